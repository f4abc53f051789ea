#include "apps/slope/robust_training.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "apps/slope/output.h"
#include "core/word.h"
#include "nn/attack/objective.h"
#include "nn/attack/pgd.h"
#include "ode/number_text.h"

namespace slope::program {
namespace {

constexpr int64_t kWatchSteps = 10;
constexpr double kRobustOnce = 0.2;  // the accuracy under PGD from which a fall to half counts
constexpr double kSmallGap = 0.2;    // between the two attacks, where robustness was lost
constexpr double kLargeGap = 0.4;    // where there has never been any

// given: the word that `attack` stands for, for messages.
Attack chosen(const std::string& given, const std::string& attack, const std::string& noise,
              const nn::Range& range, uint64_t seed) {
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
    throw ValueError(concat("--train-attack: ", given.substr(0, given.find(',')),
                            " needs an eps above 0, e.g. fgsm-random,eps=8/255,alpha=10/255."));
  return result;
}

double number(Word& word, const std::string& option, double otherwise, double least) {
  const auto text = word.take(option);
  if (!text) return otherwise;
  const std::optional<double> value = ode::parse_number(*text);
  if (!value || *value < least)
    throw ValueError(concat("--train-attack: ", word.name(), ": ", option, " must be at least ",
                            least, ", got ", *text, "."));
  return *value;
}

// The word of an attack with some of the options of `word`, which are taken out of it.
std::string with_options(std::string attack, Word& word, const std::vector<std::string>& options) {
  for (const std::string& option : options) {
    if (const auto value = word.take(option)) attack += "," + option + "=" + *value;
  }
  return attack;
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

RobustWord parse_robust_word(const std::string& attack, const std::string& noise,
                             const nn::Range& range, uint64_t seed) {
  RobustWord result;
  std::string changed_by = attack;
  if (!attack.empty()) {
    Word word("train-attack", attack);
    if (word.name() == "trades") {
      result.kind = RobustWord::Kind::trades;
      result.beta = number(word, "beta", 6, 0);
      const bool own_step = word.options().contains("step");
      const bool own_count = word.options().contains("iterations");
      changed_by =
          with_options(concat("pgd,loss=kl,start=normal,result=last", own_step ? "" : ",step=0.007",
                              own_count ? "" : ",iterations=10"),
                       word, {"eps", "step", "iterations", "norm", "draws"});
      word.expect_empty("eps, step, iterations, norm, beta, draws");
    } else if (word.name() == "free") {
      result.kind = RobustWord::Kind::free;
      result.free = {.eps = number(word, "eps", 8.0 / 255, 0),
                     .step = number(word, "step", 0, 0),
                     .range = range};
      const double replays = number(word, "replays", 8, 1);
      if (replays != std::floor(replays) || replays > 1e6)
        throw ValueError(
            concat("--train-attack: free: replays must be a whole number, got ", replays, "."));
      result.replays = static_cast<int64_t>(replays);
      word.expect_empty("eps, step, replays");
      const std::string eps = ode::number_text(result.free.eps);
      changed_by = concat("fgsm-random,eps=", eps, ",alpha=", eps);
    } else if (word.name() == "fgsm-random") {
      const std::string accumulate = word.take("accumulate").value_or("no");
      if (accumulate != "yes" && accumulate != "no")
        throw ValueError(concat("--train-attack: fgsm-random: accumulate can be yes or no, got ",
                                accumulate, "."));
      if (accumulate == "yes") result.kind = RobustWord::Kind::summed;
      const auto start = word.options().find("start");
      result.random.clip_start = start == word.options().end() || start->second != "unclipped";
      changed_by = with_options("fgsm-random", word, {"eps", "alpha", "start", "loss", "draws"});
      word.expect_empty("eps, alpha, start, loss, draws, accumulate");
    } else if (word.name() == "pgd" && !word.options().contains("result")) {
      changed_by += ",result=last";
    }
  }
  result.attack = chosen(attack, changed_by, noise, range, seed);
  result.random.eps = result.attack.eps;
  result.random.range = range;
  result.random.seed = seed;
  return result;
}

void RobustTraining::configure(const RobustWord& word, nn::StepOptions& options) {
  if (word.kind == RobustWord::Kind::trades)
    options.objective = nn::trades_objective(word.beta, options.label_smoothing);
  if (word.kind == RobustWord::Kind::summed)
    options.objective = nn::summed_objective(options.label_smoothing);
  options.input_gradient = word.kind == RobustWord::Kind::free;
}

RobustTraining::RobustTraining(const RobustWord& word, const nn::Range& range,
                               nn::AttackedModel model, bool plan, uint64_t seed,
                               const Shape& batch, Dtype dtype)
    : word_(word),
      range_(range),
      seed_(seed),
      target_(std::move(model),
              {.plan = plan, .draws = word.attack.draws, .stop_when_fooled = false}) {
  if (word.kind == RobustWord::Kind::free)
    free_ = std::make_unique<nn::FreePerturbation>(word.free, batch, dtype);
}

nn::StepResult RobustTraining::train(const Tensor& x, const Tensor& labels, int64_t first,
                                     const Update& update) {
  const nn::AttackSamples samples = numbered(x, labels, first);
  switch (word_.kind) {
    case RobustWord::Kind::changed:
      return update(0, word_.attack.run(target_, samples), {});
    case RobustWord::Kind::trades:
      return update(0, x, {word_.attack.run(target_, samples)});
    case RobustWord::Kind::summed:
      return update(0, word_.attack.run(target_, samples),
                    {nn::fgsm_random_start(samples, word_.random)});
    case RobustWord::Kind::free:
      break;
  }
  nn::StepResult result;
  for (int64_t replay = 0; replay < word_.replays; ++replay) {
    const Tensor changed = free_->apply(x);
    result = update(replay, changed, {});
    free_->climb(x, changed, result.input_gradient);
  }
  return result;
}

std::vector<nn::NamedTensor> RobustTraining::state() const {
  if (!free_) return {};
  return {{"free.change", free_->change()}};
}

RobustCheck RobustTraining::check(const Tensor& x, const Tensor& labels) {
  const nn::AttackSamples samples = numbered(x, labels, 0);
  const auto accuracy = [&](const Tensor& changed) {
    const std::vector<bool> fooled = target_.forward(changed, samples).fooled;
    return static_cast<double>(std::count(fooled.begin(), fooled.end(), false)) /
           static_cast<double>(std::max<size_t>(fooled.size(), 1));
  };
  const nn::PgdOptions strong{.eps = word_.attack.eps,
                              .step = word_.attack.eps / 4,
                              .iterations = kWatchSteps,
                              .norm = word_.attack.l2 ? nn::AttackNorm::l2 : nn::AttackNorm::linf,
                              .range = range_,
                              .seed = seed_};
  return {.attack = accuracy(word_.attack.run(target_, samples)),
          .pgd = accuracy(nn::pgd(target_, samples, strong))};
}

}  // namespace slope::program
