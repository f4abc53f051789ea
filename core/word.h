// Words that people type: NAME[,name=value]..., e.g. "spheres,dim=2" or "fgsm,eps=8/255".
#pragma once

#include <map>
#include <optional>
#include <string>

namespace slope {

class Word {
 public:
  // kind: what the word names, for messages ("data", "attack"). Errors, all ValueError: a part that
  // is not name=value, a name that is given twice.
  Word(std::string kind, const std::string& text);

  const std::string& text() const { return text_; }
  const std::string& name() const { return name_; }
  const std::map<std::string, std::string>& options() const { return options_; }

  // Takes an option out; nothing when it was not given.
  std::optional<std::string> take(const std::string& option);
  // What is left was not understood: ValueError that names the first one and what there is ("dim,
  // train, test").
  void expect_empty(const std::string& known) const;

 private:
  std::string kind_, text_, name_;
  std::map<std::string, std::string> options_;
};

}  // namespace slope
