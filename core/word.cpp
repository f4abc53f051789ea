#include "core/word.h"

#include "core/error.h"

namespace slope {

Word::Word(std::string kind, const std::string& text) : kind_(std::move(kind)), text_(text) {
  size_t comma = text.find(',');
  name_ = text.substr(0, comma);
  while (comma != std::string::npos) {
    const size_t begin = comma + 1;
    comma = text.find(',', begin);
    const std::string part = text.substr(begin, comma == std::string::npos ? comma : comma - begin);
    const size_t sign = part.find('=');
    if (sign == std::string::npos || sign == 0) {
      throw ValueError(concat(kind_, ": \"", part, "\" in ", text, " is not name=value."));
    }
    if (!options_.emplace(part.substr(0, sign), part.substr(sign + 1)).second) {
      throw ValueError(concat(kind_, ": ", part.substr(0, sign), " is given twice in ", text, "."));
    }
  }
}

std::optional<std::string> Word::take(const std::string& option) {
  auto node = options_.extract(option);
  if (node.empty()) return std::nullopt;
  return node.mapped();
}

void Word::expect_empty(const std::string& known) const {
  if (options_.empty()) return;
  throw ValueError(concat(kind_, ": ", name_, " has no option ", options_.begin()->first,
                          known.empty() ? "; it has none." : "; it has " + known + "."));
}

}  // namespace slope
