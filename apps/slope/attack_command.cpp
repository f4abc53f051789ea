#include <limits>

#include "apps/slope/attack_word.h"
#include "apps/slope/commands.h"
#include "apps/slope/evaluation.h"
#include "apps/slope/progress.h"
#include "apps/slope/results.h"
#include "apps/slope/run_folder.h"
#include "core/ops.h"
#include "ode/solver_word.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;

struct AttackCommand {
  std::string run;
  std::vector<std::string> attacks, solvers, attack_solvers;
  std::string gradient = "checkpointed";
  std::string stepping;
  std::string data;
  int64_t limit = 1000;
  bool limit_given = false;
  int64_t batch = 250;
};

constexpr int64_t kPictures = 8;

// Attacked inputs, batch by batch, under one solver. A pass with fixed steps is one plan.
class Attacker {
 public:
  Attacker(const models::Classifier& model, Attack attack, const ode::Solver& solver,
           ode::Gradient gradient, ode::BatchSteps steps)
      : model_(model),
        attack_(std::move(attack)),
        settings_{.solver = solver, .steps = steps, .gradient = gradient},
        plan_(can_be_captured(solver) || !model.has_ode()) {}

  // Like x; valid until the next call.
  Tensor operator()(const Tensor& x, const Tensor& labels) {
    const auto f = [this](const Tensors& in) {
      const auto logits = [this](const Tensor& image) {
        nn::Pass pass;
        return model_.logits(image, pass, settings_);
      };
      return Tensors{attack_(logits, in[0], in[1])};
    };
    const Tensors inputs{x, labels};
    if (!plan_) return f(inputs)[0];
    std::unique_ptr<Plan>& plan = plans_[x.dim(0)];
    if (plan) return plan->run(inputs)[0];
    plan = std::make_unique<Plan>(inputs, f);
    return plan->results()[0];
  }

 private:
  const models::Classifier& model_;
  Attack attack_;
  ode::BlockSettings settings_;
  bool plan_;
  std::map<int64_t, std::unique_ptr<Plan>> plans_;
};

// The attacked version of a whole data set, as points (it is no longer bytes).
nn::Dataset attacked(const nn::Dataset& data, Attacker& attacker, int64_t batch, Dtype dtype) {
  nn::Dataset result{.name = data.name + " attacked",
                     .sample = data.sample,
                     .classes = data.classes,
                     .pixels = {},
                     .points = {},
                     .labels = data.labels};
  nn::Loader loader(data, std::min(batch, data.size()), false, 0, dtype);
  for (nn::Batch b; loader.next(&b);) {
    const std::vector<double> values = attacker(b.x, b.labels).values();
    result.points.insert(result.points.end(), values.begin(), values.end());
  }
  return result;
}

// The first pictures, clean and attacked, as values in [0, 1], for the report.
Json pictures(const nn::Dataset& clean, const nn::Dataset& changed, const std::string& attack) {
  const int64_t count = std::min(kPictures, clean.size()), width = clean.sample.size();
  Json list = Json::array();
  for (int64_t i = 0; i < count; ++i) {
    Json one{{"label", clean.labels[static_cast<size_t>(i)]},
             {"clean", Json::array()},
             {"attacked", Json::array()}};
    for (int64_t j = i * width; j < (i + 1) * width; ++j) {
      one["clean"].push_back(clean.pixels[static_cast<size_t>(j)] / 255.0);
      one["attacked"].push_back(changed.points[static_cast<size_t>(j)]);
    }
    list.push_back(one);
  }
  return {{"attack", attack},
          {"shape", {clean.sample[0], clean.sample[1], clean.sample[2]}},
          {"pictures", list}};
}

int run(const AttackCommand& c, const Settings& settings) {
  apply_settings(settings);
  const Run trained = open_run(c.run, settings);
  const std::string word = c.data.empty() ? data_word(trained.options) : c.data;
  const nn::Range range = is_image_data(word) ? nn::Range{}
                                              : nn::Range{-std::numeric_limits<double>::infinity(),
                                                          std::numeric_limits<double>::infinity()};
  std::vector<Attack> attacks;
  for (const std::string& a : c.attacks) attacks.push_back(parse_attack(a, range));
  const auto parsed = [](const std::vector<std::string>& words) {
    std::vector<ode::Solver> solvers;
    for (const std::string& w : words) solvers.push_back(ode::parse_solver(w));
    return solvers;
  };
  const std::vector<std::string> words =
      c.solvers.empty() ? std::vector<std::string>{trained.options.solver} : c.solvers;
  const std::vector<ode::Solver> solvers = parsed(words), attack_solvers = parsed(c.attack_solvers);
  const ode::Gradient gradient = ode::parse_gradient(c.gradient);
  const ode::BatchSteps steps =
      ode::parse_batch_steps(c.stepping.empty() ? trained.options.stepping : c.stepping);
  nn::Dataset test = test_set(trained, word, c.limit_given ? c.limit : 0, settings);
  if (!c.limit_given) test = test.first(std::min(c.limit, test.size()));
  const Dtype dtype = trained.settings.value_dtype();

  Progress progress(settings.quiet);
  Json results = Json::array();
  std::vector<std::vector<std::string>> rows{
      {"attack", "solver", "attack solver", "clean", "attacked"}};
  std::map<std::string, Accuracy> clean;  // by solver
  Json shown_pictures;
  for (size_t a = 0; a < attacks.size(); ++a) {
    for (size_t s = 0; s < solvers.size(); ++s) {
      Evaluator evaluate(*trained.model, solvers[s], steps);
      if (!clean.contains(words[s])) clean[words[s]] = evaluate(test, c.batch, dtype);
      // Without --attack-solver the attack knows the solver it is up against.
      const size_t count = c.attack_solvers.empty() ? 1 : attack_solvers.size();
      for (size_t k = 0; k < count; ++k) {
        const std::string attack_solver = c.attack_solvers.empty() ? words[s] : c.attack_solvers[k];
        progress.moving(concat("attack ", c.attacks[a], ", solver ", words[s], ", attack solver ",
                               attack_solver));
        Attacker attacker(*trained.model, attacks[a],
                          c.attack_solvers.empty() ? solvers[s] : attack_solvers[k], gradient,
                          steps);
        const nn::Dataset changed = attacked(test, attacker, c.batch, dtype);
        const Accuracy after = evaluate(changed, c.batch, dtype);
        const double accuracy = after.value(), clean_accuracy = clean[words[s]].value();
        Json warnings = Json::array();
        if (gradient == ode::Gradient::adjoint || gradient == ode::Gradient::adjoint_seminorm) {
          warnings.push_back(
              "the adjoint is not the exact gradient of what the solver computes: an attack that "
              "fails with it proves nothing");
        }
        if (const std::string w = clean[words[s]].warning(); !w.empty())
          warnings.push_back("without attack " + w);
        if (const std::string w = after.warning(); !w.empty())
          warnings.push_back("under attack " + w);
        if (accuracy > clean_accuracy)
          warnings.push_back(
              "accuracy under attack is above the clean accuracy: the gradient misleads");
        results.push_back({{"attack", c.attacks[a]},
                           {"solver", words[s]},
                           {"attack_solver", attack_solver},
                           {"gradient", ode::name(gradient)},
                           {"stepping", stepping_word(solvers[s], steps)},
                           {"clean_accuracy", clean_accuracy},
                           {"accuracy", accuracy},
                           {"examples", test.size()},
                           {"warnings", warnings}});
        rows.push_back(
            {c.attacks[a], words[s], attack_solver, percent(clean_accuracy), percent(accuracy)});
        for (const Json& w : warnings)
          progress.warning(concat(c.attacks[a], ", ", words[s], ": ", w.get<std::string>()));
        if (test.has_pixels()) shown_pictures = pictures(test, changed, c.attacks[a]);
      }
    }
  }
  if (settings.json) {
    print_json({{"run", c.run}, {"results", results}});
  } else {
    print(concat(table_text(rows), test.size(), " test samples, gradient ", ode::name(gradient),
                 "\n"));
  }
  keep_results(trained, "attack", results,
               {"attack", "solver", "attack_solver", "gradient", "stepping", "examples"}, word,
               shown_pictures);
  return 0;
}

}  // namespace

Command attack_command(CLI::App& program, Settings& settings) {
  auto values = std::make_shared<AttackCommand>();
  CLI::App* app = add_command(program, "attack",
                              "Accuracy of a trained model under attack, as a matrix over solvers");
  auto options = std::make_shared<OptionList>(*app);
  options->add("run", values->run, "Run folder")->required();
  options
      ->add("--attack", values->attacks,
            "NAME[,name=value]..; repeat it for more (slope info attacks)")
      ->required()
      ->allow_extra_args(false);
  options
      ->add("--solver", values->solvers,
            "Solver that is attacked; repeat it for more. Default: that of the training")
      ->allow_extra_args(false);
  options
      ->add("--attack-solver", values->attack_solvers,
            "Solver the attack differentiates; default: the one attacked")
      ->allow_extra_args(false);
  options->add("--gradient", values->gradient, "How the attack differentiates the solve");
  options->add("--stepping", values->stepping,
               "Adaptive steps: shared by the batch, or per-sample. Default: that of the training");
  options->add("--data", values->data, "Another data set of the same shape");
  options->add("--limit", values->limit, "The first N test samples; 0: all", not_negative());
  options->add("--batch", values->batch, "Samples at a time", positive());
  return {app, options, [values, options, &settings] {
            values->limit_given = options->given("limit");
            return run(*values, settings);
          }};
}

}  // namespace slope::program
