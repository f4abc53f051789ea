// The options of a model word: NAME,option=value,...
#pragma once

#include <map>
#include <string>
#include <vector>

namespace slope::models {

class Options {
 public:
  // declared: "downsampling=conv|res" (a choice, the default first) or "width=32" (a positive whole
  // number). given: what the word says. Errors, all ValueError: unknown options and values.
  Options(const std::string& model, const std::vector<std::string>& declared,
          const std::map<std::string, std::string>& given);

  const std::string& choice(const std::string& name) const { return values_.at(name); }
  int64_t number(const std::string& name) const;
  // Those that differ from the default, as ",name=value,..".
  std::string word() const;

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::string> defaults_, values_;
};

}  // namespace slope::models
