#include "apps/slope/commands.h"
#include "apps/slope/evaluation.h"
#include "apps/slope/progress.h"
#include "apps/slope/results.h"
#include "apps/slope/run_folder.h"
#include "ode/solver_word.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;

struct EvalCommand {
  std::string run;
  std::vector<std::string> solvers;
  std::vector<int64_t> steps;
  std::string data;
  int64_t limit = 0;
  int64_t batch = 250;
};

int run(const EvalCommand& c, const Settings& settings) {
  apply_settings(settings);
  const Run trained = open_run(c.run, settings);
  const std::string data = c.data.empty() ? data_word(trained.options) : c.data;
  const nn::Dataset test = test_set(trained, data, c.limit, settings);
  const std::vector<std::string> words = with_steps(
      c.solvers.empty() ? std::vector<std::string>{trained.options.solver} : c.solvers, c.steps);
  std::vector<ode::Solver> solvers;
  for (const std::string& word : words) solvers.push_back(ode::parse_solver(word));

  Progress progress(settings.quiet);
  Json results = Json::array();
  std::vector<std::vector<std::string>> rows{{"solver", "accuracy", "correct", "loss", "NFE"}};
  for (size_t i = 0; i < words.size(); ++i) {
    progress.moving("eval " + words[i]);
    const Accuracy a =
        Evaluator(*trained.model, solvers[i])(test, c.batch, trained.settings.value_dtype());
    results.push_back({{"solver", words[i]},
                       {"regime", "standalone"},
                       {"accuracy", a.value()},
                       {"correct", a.correct},
                       {"examples", a.examples},
                       {"loss", a.loss},
                       {"nfe", a.nfe},
                       {"warnings", Json::array()}});
    rows.push_back(
        {words[i], percent(a.value()), std::to_string(a.correct), shown(a.loss), concat(a.nfe)});
    if (const std::string warning = a.warning(); !warning.empty()) {
      results.back()["warnings"].push_back(warning);
      progress.warning(words[i] + ": " + warning);
    }
  }
  if (settings.json) {
    print_json({{"run", c.run}, {"results", results}});
  } else {
    print(table_text(rows));
  }
  keep_results(trained, "eval", results, {"solver", "regime", "examples"}, data);
  return 0;
}

}  // namespace

Command eval_command(CLI::App& program, Settings& settings) {
  auto values = std::make_shared<EvalCommand>();
  CLI::App* app = program.add_subcommand(
      "eval", "Accuracy and evaluations of a trained model under one or many solvers");
  auto options = std::make_shared<OptionList>(*app);
  options->add("run", values->run, "Run folder")->required();
  options
      ->add("--solver", values->solvers,
            "Solver; repeat it for more. Default: the one of the training")
      ->allow_extra_args(false);
  options->add("--steps", values->steps, "Step counts to sweep, e.g. 1,2,4,8", positive())
      ->delimiter(',');
  options->add("--data", values->data, "Another data set of the same shape");
  options->add("--limit", values->limit, "The first N test samples; 0: all", not_negative());
  options->add("--batch", values->batch, "Samples at a time", positive());
  return {app, options, [values, &settings] { return run(*values, settings); }};
}

}  // namespace slope::program
