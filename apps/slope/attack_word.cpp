#include "apps/slope/attack_word.h"

#include <map>

#include "core/nearest.h"
#include "nn/attack/fgsm.h"
#include "ode/number_text.h"

namespace slope::program {
namespace {

std::map<std::string, double> numbers_in(const std::string& word, std::string* name) {
  std::map<std::string, double> numbers;
  size_t begin = word.find(',');
  *name = word.substr(0, begin);
  while (begin != std::string::npos) {
    const size_t end = word.find(',', begin + 1);
    const std::string part =
        word.substr(begin + 1, end == std::string::npos ? end : end - begin - 1);
    const size_t sign = part.find('=');
    const auto value =
        sign == std::string::npos ? std::nullopt : ode::parse_number(part.substr(sign + 1));
    if (!value)
      throw ValueError(concat("attack: \"", part, "\" in ", word, " is not name=number."));
    if (!numbers.emplace(part.substr(0, sign), *value).second) {
      throw ValueError(concat("attack: ", part.substr(0, sign), " is given twice in ", word, "."));
    }
    begin = end;
  }
  return numbers;
}

}  // namespace

const std::vector<AttackDescription>& attack_list() {
  static const std::vector<AttackDescription> list = {
      {"fgsm", "one step along the sign of the gradient (Goodfellow et al. 2015)", "eps=8/255"}};
  return list;
}

Attack parse_attack(const std::string& word, const nn::Range& range) {
  std::string name;
  auto numbers = numbers_in(word, &name);
  std::vector<std::string> names;
  for (const AttackDescription& a : attack_list()) names.push_back(a.name);
  if (name != "fgsm") {
    throw ValueError(concat("attack: there is no attack ", name, ". Did you mean ",
                            nearest(name, names), "? All of them: slope info attacks."));
  }
  nn::FgsmOptions options{.range = range};
  if (const auto eps = numbers.extract("eps"); !eps.empty()) options.eps = eps.mapped();
  if (!numbers.empty())
    throw ValueError(
        concat("attack: fgsm has no option ", numbers.begin()->first, "; it has eps."));
  if (!(options.eps >= 0))
    throw ValueError(concat("attack: fgsm: eps must not be negative, got ", options.eps, "."));
  return [options](const nn::AttackedModel& model, const Tensor& x, const Tensor& labels) {
    return nn::fgsm(model, x, labels, options);
  };
}

}  // namespace slope::program
