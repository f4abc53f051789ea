#include "apps/slope/robust_training.h"

#include <algorithm>
#include <numeric>

#include "apps/slope/output.h"
#include "nn/attack/pgd.h"

namespace slope::program {
namespace {

constexpr int64_t kWatchSteps = 10;
constexpr double kRobustOnce = 0.2;  // the accuracy under PGD from which a fall to half counts
constexpr double kSmallGap = 0.2;    // between the two attacks, where robustness was lost
constexpr double kLargeGap = 0.4;    // where there has never been any

Attack chosen(const std::string& attack, const std::string& noise, const nn::Range& range,
              uint64_t seed) {
  if (!attack.empty() && !noise.empty())
    throw ValueError("train: --train-attack and --train-noise exclude each other.");
  Attack result = parse_attack(attack.empty() ? noise : attack, range, seed);
  if (attack.empty() && !result.noise)
    throw ValueError(
        concat("--train-noise: ", result.name, " is an attack. Use --train-attack ", noise, "."));
  if (!attack.empty() && result.noise)
    throw ValueError(
        concat("--train-attack: ", result.name, " is noise. Use --train-noise ", attack, "."));
  if (!attack.empty() && !(result.eps > 0))
    throw ValueError(concat("--train-attack: ", result.name,
                            " needs an eps above 0, e.g. fgsm-random,eps=8/255,alpha=10/255."));
  return result;
}

nn::AttackSamples numbered(const Tensor& x, const Tensor& labels, int64_t first) {
  std::vector<int64_t> numbers(static_cast<size_t>(x.dim(0)));
  std::iota(numbers.begin(), numbers.end(), first);
  return {.x = x, .labels = labels, .numbers = numbers};
}

}  // namespace

std::string overfitting_warning(const RobustCheck& c, double best) {
  const double gap = c.attack - c.pgd;  // a model that has only become worse has none
  const bool fell = best >= kRobustOnce && c.pgd <= best / 2 && gap >= kSmallGap;
  if (!fell && gap < kLargeGap) return {};
  return concat("catastrophic overfitting: accuracy on training samples is ", percent(c.attack),
                " under the attack of the training, but ", percent(c.pgd), " under PGD of ",
                kWatchSteps, " steps of the same size (at best ", percent(best),
                " before): the model blinds the attack instead of withstanding it. Use a smaller "
                "eps or alpha, or pgd");
}

RobustTraining::RobustTraining(const std::string& attack, const std::string& noise,
                               const nn::Range& range, nn::AttackedModel model, bool plan,
                               uint64_t seed)
    : attack_(chosen(attack, noise, range, seed)),
      range_(range),
      seed_(seed),
      target_(std::move(model), {.plan = plan, .draws = attack_.draws, .stop_when_fooled = false}) {
}

Tensor RobustTraining::operator()(const Tensor& x, const Tensor& labels, int64_t first) {
  return attack_.run(target_, numbered(x, labels, first));
}

RobustCheck RobustTraining::check(const Tensor& x, const Tensor& labels) {
  const nn::AttackSamples samples = numbered(x, labels, 0);
  const auto accuracy = [&](const Tensor& changed) {
    const std::vector<bool> fooled = target_.forward(changed, samples).fooled;
    return static_cast<double>(std::count(fooled.begin(), fooled.end(), false)) /
           static_cast<double>(std::max<size_t>(fooled.size(), 1));
  };
  const nn::PgdOptions strong{.eps = attack_.eps,
                              .step = attack_.eps / 4,
                              .iterations = kWatchSteps,
                              .norm = attack_.l2 ? nn::AttackNorm::l2 : nn::AttackNorm::linf,
                              .range = range_,
                              .seed = seed_};
  return {.attack = accuracy(attack_.run(target_, samples)),
          .pgd = accuracy(nn::pgd(target_, samples, strong))};
}

}  // namespace slope::program
