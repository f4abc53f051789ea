#include "apps/slope/commands.h"
#include "apps/slope/evaluation_run.h"

namespace slope::program {
namespace {

int run(const EvaluationRequest& request, const Settings& settings) {
  apply_settings(settings);
  Progress progress(settings.quiet);
  const Evaluated done = evaluate_run(request, settings, progress);
  if (settings.json) {
    print_json({{"run", request.run}, {"results", done.results}});
  } else {
    print(done.table);
  }
  return 0;
}

}  // namespace

Command eval_command(CLI::App& program, Settings& settings) {
  auto values = std::make_shared<EvaluationRequest>();
  CLI::App* app = add_command(
      program, "eval", "Accuracy and evaluations of a trained model under one or many solvers");
  auto options = std::make_shared<OptionList>(*app);
  add_evaluation_options(*options, *values);
  return {app, options, [values, &settings] { return run(*values, settings); }};
}

}  // namespace slope::program
