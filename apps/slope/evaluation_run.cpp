#include "apps/slope/evaluation_run.h"

#include "apps/slope/evaluation.h"
#include "apps/slope/results.h"
#include "apps/slope/run_folder.h"
#include "core/exact.h"
#include "ode/solver_word.h"

namespace slope::program {

using Json = nlohmann::ordered_json;

Evaluated evaluate_run(const EvaluationRequest& c, const Settings& settings, Progress& progress) {
  const Run trained = open_run(c.run, settings);
  const ExactScope exact(trained.settings.exact);
  const std::string data = c.data.empty() ? data_word(trained.options) : c.data;
  const nn::Dataset test = test_set(trained, data, c.limit, settings);
  const std::vector<std::string> words = with_steps(
      c.solvers.empty() ? std::vector<std::string>{default_solver(c.regime, trained)} : c.solvers,
      c.steps);
  for (const std::string& word : c.solvers) {
    if (!c.steps.empty() && word.find('+') != std::string::npos)
      throw ValueError("--steps sweeps one solver; " + word + " has several, each with its own.");
  }
  std::vector<ode::Regime> regimes;
  for (const std::string& word : words) regimes.push_back(regime_of(c.regime, word));
  const Members members(trained, c.regime, settings);

  const ode::BatchSteps batch_steps =
      ode::parse_batch_steps(c.stepping.empty() ? trained.options.stepping : c.stepping);

  Json results = Json::array();
  std::vector<std::vector<std::string>> rows{
      {"solver", "regime", "stepping", "accuracy", "correct", "loss", "NFE"}};
  for (size_t i = 0; i < words.size(); ++i) {
    progress.moving("eval " + words[i]);
    SolveMeter meter;
    Defence defence(members.models(), regimes[i], batch_steps, ode::GradientChoice{},
                    trained.settings.seed, kDefenceStream, &meter);
    Evaluator evaluate([&](const Tensor& x, nn::Pass& pass) { return defence(x, pass); },
                       defence.plan(), meter);
    const Accuracy a = evaluate(test, c.batch, trained.settings.value_dtype());
    const std::string stepping = defence.stepping();
    results.push_back({{"solver", words[i]},
                       {"stepping", stepping},
                       {"regime", c.regime.regime},
                       {"accuracy", a.value()},
                       {"correct", a.correct},
                       {"examples", a.examples},
                       {"loss", a.loss},
                       {"nfe", a.nfe},
                       {"warnings", Json::array()}});
    rows.push_back({words[i], c.regime.regime, stepping, percent(a.value()),
                    std::to_string(a.correct), shown(a.loss), concat(a.nfe)});
    if (defence.random()) results.back()["draws"] = draws_json(*defence.meta());
    std::vector<std::string> warnings = evaluate.warnings();
    if (const std::string few = few_classes(test, "test"); c.limit > 0 && !few.empty())
      warnings.push_back(few);
    if (!a.warning().empty()) warnings.push_back(a.warning());
    for (const std::string& warning : warnings) {
      results.back()["warnings"].push_back(warning);
      progress.warning(words[i] + ": " + warning);
    }
  }
  keep_results(trained, "eval", results, {"solver", "stepping", "regime", "examples"}, data);
  return {results, table_text(rows)};
}

void add_evaluation_options(OptionList& options, EvaluationRequest& values) {
  options.add("run", values.run, "Run folder (its last weights), or RUN/best.safetensors")
      ->required();
  options
      .add("--solver", values.solvers,
           "Solver; repeat it for more. Default: the one of the training, of several the first")
      ->allow_extra_args(false);
  add_regime_options(options, values.regime);
  options.add("--steps", values.steps, "Step counts to sweep, e.g. 1,2,4,8", positive())
      ->delimiter(',');
  options.add("--stepping", values.stepping,
              "Adaptive steps: shared by the batch, or per-sample. Default: that of the training");
  options.add("--data", values.data, "Another data set of the same shape");
  options.add("--limit", values.limit, "The first N test samples; 0: all", not_negative());
  options.add("--batch", values.batch, "Samples at a time", positive());
}

}  // namespace slope::program
