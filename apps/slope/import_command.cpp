#include <algorithm>
#include <fstream>

#include "apps/models/exchange.h"
#include "apps/slope/commands.h"
#include "apps/slope/output.h"
#include "apps/slope/progress.h"
#include "apps/slope/run_folder.h"
#include "core/atomic_file.h"
#include "ode/solver_word.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;

struct ImportCommand {
  std::string weights, layout = "torch", names, out;
  bool data_given = false;
  TrainingOptions options;  // model, data and solver are used
};

// {"source name": "slope name"}; no file: empty.
std::map<std::string, std::string> read_names(const std::string& path) {
  if (path.empty()) return {};
  std::ifstream in(path);
  if (!in) throw DataError(path + ": cannot be opened.");
  const Json json = Json::parse(in, nullptr, false);
  if (!json.is_object())
    throw DataError(path + ": must be a JSON object {\"source name\": \"slope name\"}.");
  std::map<std::string, std::string> names;
  for (const auto& [source, target] : json.items()) {
    if (!target.is_string())
      throw DataError(concat(path, ": the slope name of ", source, " is not text."));
    names[source] = target.get<std::string>();
  }
  return names;
}

// The model, for its own data set or for the one that was asked for.
std::unique_ptr<models::Classifier> make_model(const ImportCommand& c, const Settings& settings) {
  Rng rng(settings.seed);
  if (!c.data_given) {
    return models::make_model(c.options.model, nullptr, rng, {.dtype = settings.value_dtype()});
  }
  return new_model(c.options, settings,
                   load_data(c.options.data, settings.data_dir, settings.seed).test);
}

int run(ImportCommand c, Settings settings) {
  apply_settings(settings);
  ode::parse_solver(c.options.solver);
  complete(c.options);
  const models::Layout layout = c.layout == "slope" ? models::Layout::slope : models::Layout::torch;
  const auto renamed = read_names(c.names);
  // A run of slope carries its optimiser's state along.
  const nn::Checkpoint file =
      nn::load_checkpoint(c.weights, default_device(), [](const std::string& name) {
        return models::is_batch_counter(name) || name.starts_with("optimizer.");
      });
  // The weights' own precision, unless another one was asked for.
  if (!settings.dtype_given && !file.tensors.empty() &&
      std::all_of(file.tensors.begin(), file.tensors.end(),
                  [](const nn::NamedTensor& t) { return t.tensor.dtype() == Dtype::f64; })) {
    settings.dtype = "float64";
  }
  const auto model = make_model(c, settings);
  const std::vector<nn::NamedTensor> targets = model_tensors(*model);
  const models::Assignment assignment =
      models::assign(file.tensors, targets, layout, renamed, c.weights);
  models::import_state(file.tensors, targets, assignment, layout);
  if (const std::string name = not_finite(targets); !name.empty())
    throw DataError(concat(c.weights, ": ", name, " has values that are not finite."));

  const std::filesystem::path folder = make_run_folder(c.out, c.options.model, settings.force);
  const RunLock lock(folder);  // the files of a run under way are not taken from under it
  remove_run_files(folder);
  write_atomically(folder / "config.toml", to_toml(c.options, settings));
  nn::save_checkpoint(folder / "model.safetensors", targets,
                      model_metadata(*model, c.options, settings));
  if (assignment.by_order) {
    Progress(settings.quiet)
        .warning("no name of the file is one of the model: tensors were matched by order");
  }
  if (settings.json) {
    print_json({{"run", folder.string()},
                {"model", model->word()},
                {"parameters", model->parameter_count()},
                {"tensors", targets.size()},
                {"matched", assignment.by_order ? "order" : "names"}});
  } else {
    print(concat(targets.size(), " tensors, ", model->parameter_count(), " parameters, run ",
                 folder.string(), "\n"));
  }
  return 0;
}

}  // namespace

Command import_command(CLI::App& program, Settings& settings) {
  auto values = std::make_shared<ImportCommand>();
  CLI::App* app =
      add_command(program, "import",
                  "A run folder from weights, e.g. a PyTorch state_dict saved with safetensors");
  auto options = std::make_shared<OptionList>(*app);
  options->add("weights", values->weights, "WEIGHTS.safetensors")->required();
  options->add("--model", values->options.model, "NAME[,option=value].. (slope info models)")
      ->required();
  options->add("--layout", values->layout, "Layout of the weights: torch or slope",
               one_of({"torch", "slope"}));
  options->add("--names", values->names,
               "MAP.json, {\"source name\": \"slope name\"}; default: names, else order");
  options->add("--data", values->options.data, "Data set; default: the model's own");
  options->add("--solver", values->options.solver, "The run's solver, for eval and predict");
  options->add("--out", values->out, "Run folder; default: runs/MODEL-001 and so on");
  return {app, options, [values, options, &settings] {
            values->data_given = options->given("data");
            return run(*values, settings);
          }};
}

}  // namespace slope::program
