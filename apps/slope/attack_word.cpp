#include "apps/slope/attack_word.h"

#include <algorithm>
#include <cmath>

#include "core/nearest.h"
#include "core/word.h"
#include "nn/attack/apgd.h"
#include "nn/attack/autoattack.h"
#include "nn/attack/boundary.h"
#include "nn/attack/fgsm.h"
#include "nn/attack/noise.h"
#include "nn/attack/pgd.h"
#include "nn/attack/spsa.h"
#include "nn/attack/square.h"
#include "ode/number_text.h"

namespace slope::program {
namespace {

// Takes the options of an attack out of its word, each with its check.
class Options {
 public:
  Options(const std::string& word, const nn::Range& range, uint64_t seed)
      : range(range), seed(seed), word_("attack", word) {}

  const nn::Range range;
  const uint64_t seed;
  const std::string& name() const { return word_.name(); }

  // A fraction of the pixel range: 0.3 or 8/255.
  double number(const std::string& option, double otherwise, double least, double most) {
    const auto text = word_.take(option);
    if (!text) return otherwise;
    const std::optional<double> value = ode::parse_number(*text);
    if (!value)
      throw ValueError(concat("attack: ", option, " in ", word_.text(), " is not a number."));
    if (*value < 0 && least >= 0)
      throw ValueError(
          concat("attack: ", name(), ": ", option, " must not be negative, got ", *text, "."));
    if (*value < least || *value > most)
      throw ValueError(concat("attack: ", name(), ": ", option, " must be from ", least, " to ",
                              most, ", got ", *text, "."));
    return *value;
  }
  double positive(const std::string& option, double otherwise) {
    const double value = number(option, otherwise, 0, kMost);
    if (!(value > 0))
      throw ValueError(concat("attack: ", name(), ": ", option, " must be above 0, got 0."));
    return value;
  }
  int64_t count(const std::string& option, int64_t otherwise, int64_t least = 1) {
    const double value = number(option, static_cast<double>(otherwise), 0, 1e9);
    if (value != std::floor(value) || value < static_cast<double>(least))
      throw ValueError(concat("attack: ", name(), ": ", option,
                              " must be a whole number of at least ", least, ", got ",
                              ode::number_text(value), "."));
    return static_cast<int64_t>(value);
  }
  // Numbers joined by +.
  std::vector<double> numbers(const std::string& option, const std::vector<double>& otherwise) {
    const auto text = word_.take(option);
    if (!text) return otherwise;
    std::vector<double> values;
    for (size_t begin = 0; begin <= text->size();) {
      const size_t end = std::min(text->find('+', begin), text->size());
      const std::optional<double> value = ode::parse_number(text->substr(begin, end - begin));
      if (!value || *value < 0)
        throw ValueError(concat("attack: ", name(), ": ", option,
                                " must be numbers of at least 0, joined by +, got ", *text, "."));
      values.push_back(*value);
      begin = end + 1;
    }
    return values;
  }
  // One of several words, the first unless given.
  size_t choice(const std::string& option, const std::vector<std::string>& words) {
    const auto text = word_.take(option);
    if (!text) return 0;
    for (size_t i = 0; i < words.size(); ++i)
      if (words[i] == *text) return i;
    std::string all;
    for (const std::string& w : words) all += (all.empty() ? "" : ", ") + w;
    throw ValueError(
        concat("attack: ", name(), ": ", option, "=", *text, ": it can be ", all, "."));
  }
  nn::AttackNorm norm() {
    return choice("norm", {"linf", "l2"}) == 0 ? nn::AttackNorm::linf : nn::AttackNorm::l2;
  }
  nn::AttackLoss loss() {
    using enum nn::AttackLoss;
    constexpr nn::AttackLoss losses[] = {cross_entropy, margin, dlr, clipped_margin};
    return losses[choice("loss", {"ce", "cw", "dlr", "cw-clipped"})];
  }
  nn::AttackLoss loss_or_kl() {
    if (word_.options().contains("loss") && word_.options().at("loss") == "kl") {
      word_.take("loss");
      return nn::AttackLoss::kl;
    }
    return loss();
  }
  // In L2 eps is the length of the whole change and may be above 1.
  double eps(double otherwise, nn::AttackNorm norm = nn::AttackNorm::linf) {
    const bool pixels = norm == nn::AttackNorm::linf && std::isfinite(range.high);
    eps_ = number("eps", otherwise, 0, kMost);
    if (pixels && eps_ > range.high - range.low)
      throw ValueError(concat("attack: ", name(), ": eps must be at most ", range.high - range.low,
                              ", the whole range of a pixel, got ", eps_, ". Write 8/255 for 8."));
    return eps_;
  }
  double taken_eps() const { return eps_; }
  int64_t draws(int64_t otherwise) { return count("draws", otherwise); }
  void end(const std::string& known) { word_.expect_empty(known); }

 private:
  static constexpr double kMost = 1e6;
  Word word_;
  double eps_ = -1;
};

using Run = std::function<Tensor(nn::Target&, const nn::AttackSamples&)>;
struct Entry {
  AttackDescription text;
  std::function<Run(Options&)> parse;
  bool noise = false, one_step = false, historical = false;
};

// A Run from one of nn's functions and its options.
template <typename F, typename O>
Run bound(F attack, const O& options) {
  return [attack, options](nn::Target& target, const nn::AttackSamples& samples) {
    return attack(target, samples, options);
  };
}
template <typename F, typename O>
Run noise(F change, const O& options) {
  return [change, options](nn::Target&, const nn::AttackSamples& samples) {
    return change(samples, options);
  };
}

Run apgd_with(Options& o, nn::AttackLoss loss) {
  const nn::AttackNorm norm = o.norm();
  return bound(nn::apgd, nn::ApgdOptions{.eps = o.eps(8.0 / 255, norm),
                                         .iterations = o.count("iterations", 100),
                                         .restarts = o.count("restarts", 1),
                                         .norm = norm,
                                         .loss = loss,
                                         .range = o.range,
                                         .seed = o.seed});
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> list = {
      {.text = {"noise", "Gaussian noise", "sigma=50/255"},
       .parse =
           [](Options& o) {
             return noise(nn::gaussian_noise,
                          nn::NoiseOptions{.sigma = o.number("sigma", 50.0 / 255, 0, 1e6),
                                           .range = o.range,
                                           .seed = o.seed});
           },
       .noise = true},
      {.text = {"tisode-noise",
                "as TisODE trains: a share of the images gets Gaussian noise of one of these sizes",
                "sigma=50/255+75/255+100/255,share=0.5"},
       .parse =
           [](Options& o) {
             nn::MixedNoiseOptions options{.range = o.range, .seed = o.seed};
             options.sigmas = o.numbers("sigma", options.sigmas);
             options.share = o.number("share", options.share, 0, 1);
             return noise(nn::mixed_noise, options);
           },
       .noise = true},
      {.text = {"uniform", "uniform noise", "eps=8/255"},
       .parse =
           [](Options& o) {
             return noise(nn::uniform_noise,
                          nn::UniformNoiseOptions{
                              .eps = o.eps(8.0 / 255), .range = o.range, .seed = o.seed});
           },
       .noise = true},
      {.text = {"salt-pepper", "pixels set to black or white", "p=0.1"},
       .parse =
           [](Options& o) {
             return noise(nn::salt_pepper_noise,
                          nn::SaltPepperOptions{
                              .p = o.number("p", 0.1, 0, 1), .range = o.range, .seed = o.seed});
           },
       .noise = true},
      {.text = {"fgsm", "one step along the sign of the gradient (Goodfellow et al. 2015)",
                "eps=8/255,loss=ce|cw|dlr|cw-clipped,norm=linf|l2"},
       .parse =
           [](Options& o) {
             const nn::AttackNorm norm = o.norm();
             return bound(nn::fgsm, nn::FgsmOptions{.eps = o.eps(8.0 / 255, norm),
                                                    .range = o.range,
                                                    .norm = norm,
                                                    .loss = o.loss()});
           },
       .one_step = true},
      {.text = {"fgsm-random", "the same from a random start (Wong et al. 2020)",
                "eps=8/255,alpha=10/255,start=clipped|unclipped,loss=ce"},
       .parse =
           [](Options& o) {
             const bool clipped = o.choice("start", {"clipped", "unclipped"}) == 0;
             return bound(nn::fgsm_random,
                          nn::FgsmRandomOptions{.eps = o.eps(8.0 / 255),
                                                .alpha = o.number("alpha", 10.0 / 255, 0, 1e6),
                                                .clip_start = clipped,
                                                .range = o.range,
                                                .loss = o.loss(),
                                                .seed = o.seed});
           },
       .one_step = true},
      {.text = {"pgd", "projected gradient ascent (Madry et al. 2018)",
                "eps=8/255,step=2/255,iterations=20,restarts=1,start=random|clean|normal,"
                "result=best|last,loss=ce|cw|dlr|cw-clipped|kl,norm=linf|l2"},
       .parse =
           [](Options& o) {
             const nn::AttackNorm norm = o.norm();
             using enum nn::PgdStart;
             constexpr nn::PgdStart starts[] = {uniform, clean, normal};
             return bound(
                 nn::pgd,
                 nn::PgdOptions{.eps = o.eps(8.0 / 255, norm),
                                .step = o.positive("step", 2.0 / 255),
                                .iterations = o.count("iterations", 20),
                                .restarts = o.count("restarts", 1),
                                .start = starts[o.choice("start", {"random", "clean", "normal"})],
                                .last = o.choice("result", {"best", "last"}) == 1,
                                .norm = norm,
                                .loss = o.loss_or_kl(),
                                .range = o.range,
                                .seed = o.seed});
           }},
      {.text = {"apgd-ce", "PGD that sizes its steps itself, cross-entropy (Croce, Hein 2020)",
                "eps=8/255,iterations=100,restarts=1,norm=linf|l2"},
       .parse = [](Options& o) { return apgd_with(o, nn::AttackLoss::cross_entropy); }},
      {.text = {"apgd-dlr", "the same, difference of logits ratio",
                "eps=8/255,iterations=100,restarts=1,norm=linf|l2"},
       .parse = [](Options& o) { return apgd_with(o, nn::AttackLoss::dlr); }},
      {.text = {"apgd-t", "the same, towards each of the likeliest other classes",
                "eps=8/255,iterations=100,targets=9,norm=linf|l2"},
       .parse = [](Options& o) -> Run {
         const nn::AttackNorm norm = o.norm();
         const nn::ApgdOptions options{.eps = o.eps(8.0 / 255, norm),
                                       .iterations = o.count("iterations", 100),
                                       .restarts = o.count("restarts", 1),
                                       .norm = norm,
                                       .range = o.range,
                                       .seed = o.seed};
         const int64_t targets = o.count("targets", 9);
         return [=](nn::Target& target, const nn::AttackSamples& samples) {
           return nn::apgd_targeted(target, samples, options, targets);
         };
       }},
      {.text = {"fab-t", "the nearest boundary, class by class (Croce, Hein 2020)",
                "eps=8/255,iterations=100,targets=9,restarts=1,norm=linf|l2"},
       .parse =
           [](Options& o) {
             const nn::AttackNorm norm = o.norm();
             return bound(nn::fab, nn::FabOptions{.eps = o.eps(8.0 / 255, norm),
                                                  .iterations = o.count("iterations", 100),
                                                  .targets = o.count("targets", 9, 0),
                                                  .restarts = o.count("restarts", 1),
                                                  .norm = norm,
                                                  .range = o.range,
                                                  .seed = o.seed});
           }},
      {.text = {"square", "random search without gradients (Andriushchenko et al. 2020)",
                "eps=8/255,queries=5000,p=0.8,norm=linf|l2"},
       .parse =
           [](Options& o) {
             const nn::AttackNorm norm = o.norm();
             return bound(nn::square, nn::SquareOptions{.eps = o.eps(8.0 / 255, norm),
                                                        .queries = o.count("queries", 5000),
                                                        .p = o.number("p", 0.8, 1e-6, 1),
                                                        .norm = norm,
                                                        .range = o.range,
                                                        .seed = o.seed});
           }},
      {.text = {"autoattack", "four attacks without knobs, one after the other (Croce, Hein 2020)",
                "eps=8/255,version=standard|plus|rand,iterations=100,queries=5000,norm=linf|l2"},
       .parse =
           [](Options& o) {
             const nn::AttackNorm norm = o.norm();
             using enum nn::AutoAttackVersion;
             constexpr nn::AutoAttackVersion versions[] = {standard, plus, rand};
             return bound(
                 nn::autoattack,
                 nn::AutoAttackOptions{
                     .eps = o.eps(8.0 / 255, norm),
                     .norm = norm,
                     .version = versions[o.choice("version", {"standard", "plus", "rand"})],
                     .iterations = o.count("iterations", 100),
                     .queries = o.count("queries", 5000),
                     .range = o.range,
                     .seed = o.seed});
           }},
      {.text = {"spsa", "PGD with a gradient estimated from values (Uesato et al. 2018)",
                "eps=8/255,step=0.01,delta=0.01,iterations=40,samples=128,norm=linf|l2"},
       .parse =
           [](Options& o) {
             const nn::AttackNorm norm = o.norm();
             return bound(nn::spsa, nn::SpsaOptions{.eps = o.eps(8.0 / 255, norm),
                                                    .step = o.positive("step", 0.01),
                                                    .delta = o.positive("delta", 0.01),
                                                    .iterations = o.count("iterations", 40),
                                                    .directions = o.count("samples", 128),
                                                    .norm = norm,
                                                    .range = o.range,
                                                    .seed = o.seed});
           }},
      {.text = {"deepfool", "the smallest change that fools (Moosavi-Dezfooli et al. 2016); no eps",
                "iterations=50,overshoot=0.02,norm=l2|linf"},
       .parse =
           [](Options& o) {
             const bool l2 = o.choice("norm", {"l2", "linf"}) == 0;
             return bound(nn::deepfool, nn::DeepFoolOptions{
                                            .iterations = o.count("iterations", 50),
                                            .overshoot = o.number("overshoot", 0.02, 0, 10),
                                            .norm = l2 ? nn::AttackNorm::l2 : nn::AttackNorm::linf,
                                            .range = o.range});
           }},
      {.text =
           {"pgd-weak",
            "as the meta-solver paper attacks MNIST: 7 steps that reach 0.055 of its ball of 0.3",
            "eps=0.3,step=2/255,iterations=7"},
       .parse =
           [](Options& o) {
             return bound(nn::pgd, nn::PgdOptions{.eps = o.eps(0.3),
                                                  .step = o.positive("step", 2.0 / 255),
                                                  .iterations = o.count("iterations", 7),
                                                  .last = true,
                                                  .range = o.range,
                                                  .seed = o.seed});
           },
       .historical = true},
      {.text = {"tisode-fgsm", "as TisODE attacks: one step along the sign of the clipped margin",
                "eps=0.3"},
       .parse =
           [](Options& o) {
             return bound(nn::fgsm, nn::FgsmOptions{.eps = o.eps(0.3),
                                                    .range = o.range,
                                                    .loss = nn::AttackLoss::clipped_margin});
           },
       .one_step = true,
       .historical = true},
      {.text = {"tisode-pgd", "as TisODE attacks: 9 steps of eps / 5 from the clean image",
                "eps=0.3,iterations=9"},
       .parse =
           [](Options& o) {
             const double eps = o.eps(0.3);
             return bound(nn::pgd,
                          nn::PgdOptions{.eps = eps,
                                         .step = o.positive("step", std::max(eps, 1e-9) / 5),
                                         .iterations = o.count("iterations", 9),
                                         .start = nn::PgdStart::clean,
                                         .loss = nn::AttackLoss::clipped_margin,
                                         .range = o.range,
                                         .seed = o.seed});
           },
       .historical = true},
  };
  return list;
}

// The names of "eps=8/255,iterations=100": "eps, iterations", and draws.
std::string option_names(const Entry& entry) {
  const Word listed("attack", "x," + entry.text.options);
  std::string names;
  for (const auto& [name, value] : listed.options()) names += name + ", ";
  return names + "draws";
}

}  // namespace

const std::vector<AttackDescription>& attack_list() {
  static const std::vector<AttackDescription> list = [] {
    std::vector<AttackDescription> texts;
    for (const Entry& entry : entries()) texts.push_back(entry.text);
    return texts;
  }();
  return list;
}

Attack parse_attack(const std::string& word, const nn::Range& range, uint64_t seed) {
  const Word given("attack", word);
  Options options(word, range, seed);
  std::vector<std::string> names;
  for (const Entry& entry : entries()) {
    names.push_back(entry.text.name);
    if (entry.text.name != options.name()) continue;
    Attack attack{.run = entry.parse(options),
                  .name = options.name(),
                  .settings = options.name(),
                  .eps = options.taken_eps(),
                  .l2 = false,
                  .draws = 1,
                  .noise = entry.noise,
                  .one_step = entry.one_step,
                  .historical = entry.historical};
    for (const auto& [name, value] : given.options()) {
      if (name != "eps") attack.settings += "," + name + "=" + value;
      if (name == "norm") attack.l2 = value == "l2";
      // The version for models that draw something averages its gradients over 20 draws.
      if (name == "version" && value == "rand") attack.draws = 20;
    }
    attack.draws = options.draws(attack.draws);
    options.end(option_names(entry));
    return attack;
  }
  throw ValueError(concat("attack: there is no attack ", options.name(), ". Did you mean ",
                          nearest(options.name(), names), "? All of them: slope info attacks."));
}

}  // namespace slope::program
