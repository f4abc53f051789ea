#include "apps/models/options.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "core/nearest.h"

namespace slope::models {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(separator, begin)) != std::string::npos; begin = end + 1) {
    parts.push_back(text.substr(begin, end - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

bool positive_number(const std::string& text, int64_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && *value > 0;
}

}  // namespace

Options::Options(const std::string& model, const std::vector<std::string>& declared,
                 const std::map<std::string, std::string>& given) {
  std::map<std::string, std::vector<std::string>> choices;
  for (const std::string& d : declared) {
    const size_t sign = d.find('=');
    const std::string name = d.substr(0, sign);
    names_.push_back(name);
    choices[name] = split(d.substr(sign + 1), '|');
    defaults_[name] = values_[name] = choices[name].front();
  }
  for (const auto& [name, value] : given) {
    if (!choices.contains(name)) {
      throw ValueError(
          names_.empty() ? concat("model: ", model, " has no options, got ", name, "=", value, ".")
                         : concat("model: ", model, " has no option ", name, ". Did you mean ",
                                  nearest(name, names_), "?"));
    }
    const std::vector<std::string>& choice = choices[name];
    int64_t number = 0;
    if (choice.size() == 1) {
      if (!positive_number(value, &number)) {
        throw ValueError(concat("model: ", model, ": ", name,
                                " must be a whole number of at least 1, got \"", value, "\"."));
      }
    } else if (std::find(choice.begin(), choice.end(), value) == choice.end()) {
      std::string all;
      for (const std::string& c : choice) all += (all.empty() ? "" : ", ") + c;
      throw ValueError(
          concat("model: ", model, ": ", name, " must be one of ", all, ", got \"", value, "\"."));
    }
    values_[name] = value;
  }
}

int64_t Options::number(const std::string& name) const {
  int64_t value = 0;
  SLOPE_ASSERT(positive_number(values_.at(name), &value));
  return value;
}

std::string Options::word() const {
  std::string text;
  for (const std::string& name : names_) {
    if (values_.at(name) != defaults_.at(name)) text += "," + name + "=" + values_.at(name);
  }
  return text;
}

}  // namespace slope::models
