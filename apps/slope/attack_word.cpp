#include "apps/slope/attack_word.h"

#include "core/nearest.h"
#include "core/word.h"
#include "nn/attack/fgsm.h"
#include "ode/number_text.h"

namespace slope::program {
namespace {

// A fraction of the pixel range: 0.3 or 8/255.
double number(const Word& word, const std::string& option, const std::string& text) {
  const std::optional<double> value = ode::parse_number(text);
  if (!value)
    throw ValueError(concat("attack: ", option, " in ", word.text(), " is not a number."));
  return *value;
}

}  // namespace

const std::vector<AttackDescription>& attack_list() {
  static const std::vector<AttackDescription> list = {
      {"fgsm", "one step along the sign of the gradient (Goodfellow et al. 2015)", "eps=8/255"}};
  return list;
}

Attack parse_attack(const std::string& word, const nn::Range& range) {
  Word parsed("attack", word);
  const std::string& name = parsed.name();
  std::vector<std::string> names;
  for (const AttackDescription& a : attack_list()) names.push_back(a.name);
  if (name != "fgsm") {
    throw ValueError(concat("attack: there is no attack ", name, ". Did you mean ",
                            nearest(name, names), "? All of them: slope info attacks."));
  }
  nn::FgsmOptions options{.range = range};
  if (const auto eps = parsed.take("eps")) options.eps = number(parsed, "eps", *eps);
  parsed.expect_empty("eps");
  if (!(options.eps >= 0)) {
    throw ValueError(concat("attack: fgsm: eps must not be negative, got ", options.eps, "."));
  }
  return [options](const nn::AttackedModel& model, const Tensor& x, const Tensor& labels) {
    return nn::fgsm(model, x, labels, options);
  };
}

}  // namespace slope::program
