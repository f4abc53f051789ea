#include <algorithm>

#include "apps/slope/commands.h"
#include "apps/slope/evaluation.h"
#include "apps/slope/output.h"
#include "apps/slope/run_folder.h"
#include "ode/solver_word.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;

struct PredictCommand {
  std::string run, solver, data, out;
  int64_t limit = 0, batch = 250;
};

// Raw outputs of a trained model, under the solver that was asked for or that of the training.
class Predictor {
 public:
  Predictor(const Run& run, const std::string& solver)
      : settings_{.solver = ode::parse_solver(solver.empty() ? run.options.solver : solver)},
        step_([this, &run](const Tensor& x,
                           nn::Pass& pass) { return run.model->logits(x, pass, settings_); },
              can_be_captured(settings_.solver) || !run.model->has_ode()) {}
  // (size of data, classes)
  Tensor operator()(const nn::Dataset& data, int64_t batch, Dtype dtype) {
    std::vector<double> values;
    nn::Loader loader(data, std::min(batch, data.size()), false, 0, dtype);
    for (nn::Batch b; loader.next(&b);) {
      const std::vector<double> rows = step_(b.x, b.labels).logits.values();
      values.insert(values.end(), rows.begin(), rows.end());
    }
    return tensor(values, {data.size(), data.classes}, dtype);
  }

 private:
  ode::BlockSettings settings_;
  nn::EvaluationStep step_;
};

int run(const PredictCommand& c, const Settings& settings) {
  apply_settings(settings);
  const Run run = open_run(c.run, settings);
  const std::string word = c.data.empty() ? data_word(run.options) : c.data;
  if (std::filesystem::exists(c.out) && !settings.force)
    throw ValueError(concat(c.out, ": exists. Choose another --out, or overwrite with --force."));
  const nn::Dataset data = test_set(run, word, c.limit, settings);
  const Tensor logits = Predictor(run, c.solver)(data, c.batch, run.settings.value_dtype());
  nn::save_checkpoint(c.out, {{"logits", logits}},
                      {{"model", run.model->word()},
                       {"data", word},
                       {"solver", c.solver.empty() ? run.options.solver : c.solver}});
  if (settings.json) {
    print_json({{"run", c.run},
                {"data", word},
                {"out", c.out},
                {"examples", data.size()},
                {"classes", data.classes}});
  } else {
    print(concat("logits ", logits.shape(), " of ", word, ": ", c.out, "\n"));
  }
  return 0;
}

}  // namespace

Command predict_command(CLI::App& program, Settings& settings) {
  auto values = std::make_shared<PredictCommand>();
  CLI::App* app = program.add_subcommand("predict", "The raw outputs on a data set, as a file");
  auto options = std::make_shared<OptionList>(*app);
  options->add("run", values->run, "Run folder")->required();
  options->add("--solver", values->solver, "Solver; default: the one of the training");
  options->add("--data", values->data, "Data set; default: that of the training");
  options->add("--limit", values->limit, "The first N test samples; 0: all", not_negative());
  options->add("--batch", values->batch, "Samples at a time", positive());
  options->add("--out", values->out, "FILE.safetensors: one tensor `logits` (N, classes)")
      ->required();
  return {app, options, [values, &settings] { return run(*values, settings); }};
}

}  // namespace slope::program
