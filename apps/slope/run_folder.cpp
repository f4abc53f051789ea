#include "apps/slope/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/ops/movement.h"
#include "nn/data/sha256.h"

namespace slope::program {

namespace fs = std::filesystem;

constexpr const char *kConfig = "config.toml", *kLastWeights = "model.safetensors";
constexpr int64_t kLargestSize = 1 << 20;  // of a sample's axis; larger is a damaged file

fs::path make_run_folder(const std::string& out, const std::string& model, bool force) {
  std::error_code error;
  if (!out.empty()) {
    const fs::path folder = out;
    if (fs::exists(folder) && !fs::is_directory(folder))
      throw ValueError(out + ": exists and is not a folder.");
    if (fs::exists(folder) && !fs::is_empty(folder, error) && !force) {
      throw ValueError(concat("train: the run folder ", out,
                              " exists. Choose another --out, go on with --resume ", out,
                              ", or overwrite with --force."));
    }
    fs::create_directories(folder, error);
    if (error) throw DataError(concat(out, ": cannot be created: ", error.message(), "."));
    return folder;
  }
  const std::string name = model.substr(0, model.find(','));
  for (int i = 1;; ++i) {
    char number[16];
    std::snprintf(number, sizeof number, "-%03d", i);
    const fs::path folder = fs::path("runs") / (name + number);
    fs::create_directories("runs", error);
    if (error) throw DataError(concat("runs: cannot be created: ", error.message(), "."));
    if (fs::create_directory(folder, error))
      return folder;  // false when it exists: try the next number
    if (error)
      throw DataError(concat(folder.string(), ": cannot be created: ", error.message(), "."));
  }
}

RunLock::RunLock(const fs::path& folder)
    : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  // A file system without locks is no reason to fail, nor is a folder that is not there: whoever
  // opens it says so.
  if (descriptor_ < 0 || ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
    return;
  ::close(descriptor_);
  throw DataError(concat(folder.string(), ": another slope train is writing this run. Wait until ",
                         "it has ended, stop it, or choose another --out."));
}

RunLock::~RunLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void remove_run_files(const fs::path& folder) {
  for (const char* file : {kConfig, "metrics.csv", "adapt.csv", "log.txt", "model.safetensors",
                           "best.safetensors", "plane.json", "states.json", "mistakes.json",
                           "pictures.json", "results.json", "outcome.json", "report.html"})
    fs::remove(folder / file);
}

void remove_leftovers(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const size_t mark = name.rfind(".tmp");
    if (mark == std::string::npos || !entry.is_regular_file() ||
        name.find_first_not_of("0123456789", mark + 4) != std::string::npos)
      continue;
    const std::string of = fs::path(name.substr(0, mark)).extension().string();
    const char* written[] = {".safetensors", ".toml", ".csv", ".json", ".html"};
    if (std::find(std::begin(written), std::end(written), of) != std::end(written))
      fs::remove(entry.path());
  }
}

// What the registry says of the model. Of one that it does not know: anything, since its own error
// comes when it is made.
static models::ModelEntry entry_of(const TrainingOptions& options) {
  const std::string name = options.model.substr(0, options.model.find(','));
  for (const models::ModelEntry& entry : models::model_list()) {
    if (entry.name == name) return entry;
  }
  return {.name = name, .what = "", .data = "mnist", .facts = {}, .options = {}};
}

std::string data_word(const TrainingOptions& options) {
  return options.data.empty() ? entry_of(options).data : options.data;
}

void complete(TrainingOptions& options) {
  const models::ModelEntry entry = entry_of(options);
  options.data = data_word(options);
  if (options.optimizer.empty()) options.optimizer = entry.optimizer;
  if (options.lr > 0) return;
  // Looking ahead and decoupled decay leave the size of a step as it is.
  const auto kind = [](std::string name) {
    if (name.ends_with("w")) name.pop_back();
    return name == "nesterov" ? "sgd" : name;
  };
  options.lr = kind(options.optimizer) == kind(entry.optimizer) ? entry.lr
               : kind(options.optimizer) == "sgd"               ? 0.05
                                                                : 0.001;
}

std::unique_ptr<models::Classifier> new_model(const TrainingOptions& options,
                                              const Settings& settings, const nn::Dataset& data) {
  const models::InputFacts facts{data.sample, data.classes};
  Rng rng(settings.seed);
  return models::make_model(options.model, &facts, rng, {.dtype = settings.value_dtype()});
}

std::string not_finite(const std::vector<nn::NamedTensor>& tensors) {
  for (const nn::NamedTensor& t : tensors) {
    const bool finite = dispatch_any(t.tensor.dtype(), [&]<typename T>() {
      const std::vector<T> values = t.tensor.to_vector<T>();
      return std::all_of(values.begin(), values.end(),
                         [](T v) { return std::isfinite(static_cast<double>(v)); });
    });
    if (!finite) return t.name;
  }
  return {};
}

nn::Metadata model_metadata(const models::Classifier& model, const TrainingOptions& options,
                            const Settings& settings) {
  nn::Metadata metadata{{"slope", SLOPE_VERSION},
                        {"model", model.word()},
                        {"config", to_toml(options, settings)},
                        {"classes", std::to_string(model.facts().classes)}};
  for (int64_t n : model.facts().sample)
    metadata["sample"] += (metadata["sample"].empty() ? "" : " ") + std::to_string(n);
  return metadata;
}

std::vector<nn::NamedTensor> model_tensors(const nn::Module& model) {
  std::vector<nn::NamedTensor> all = model.named_parameters();
  const auto buffers = model.named_buffers();
  all.insert(all.end(), buffers.begin(), buffers.end());
  return all;
}

void read_config(const fs::path& folder, TrainingOptions& options, Settings& settings) {
  OptionList list;
  list.add("model", options.model, "");
  add_training_options(list, options);
  list.add("--seed", settings.seed, "");
  list.add("--dtype", settings.dtype, "");
  list.add_flag("--exact", settings.exact, "");
  list.read_toml((folder / kConfig).string());
}

std::string config_text(const fs::path& folder) {
  TrainingOptions options;
  Settings settings;
  try {
    read_config(folder, options, settings);
  } catch (const Error&) {
    return {};
  }
  return to_toml(options, settings);
}

bool has_only_begun(const fs::path& folder) {
  if (!fs::exists(folder / kConfig) || fs::exists(folder / kLastWeights)) return false;
  std::ifstream in(folder / "outcome.json");
  const auto outcome = nlohmann::json::parse(in, nullptr, false);
  const std::string state = outcome.is_object() ? outcome.value("state", "") : "";
  return state == "running" || state == "failed";
}

Run open_run(const std::string& place, const Settings& settings) {
  const bool file_named = fs::is_regular_file(place);
  const fs::path weights = file_named ? fs::path(place) : fs::path(place) / kLastWeights;
  Run run{.folder = file_named ? (fs::path(".") / place).parent_path().lexically_normal()
                               : fs::path(place),
          .weights = weights,
          .options = {},
          .settings = settings,
          .model = nullptr,
          .checkpoint = {}};
  if (!file_named && !fs::is_directory(run.folder))
    throw DataError(concat(place, ": there is no such run folder."));
  if (!file_named && has_only_begun(run.folder))
    throw DataError(concat(place, ": its training has not come to its first checkpoint. If it was ",
                           "stopped: slope train --resume ", place, "."));
  for (const fs::path& file : {run.folder / kConfig, weights}) {
    if (!fs::exists(file))
      throw DataError(
          concat(place, file_named ? ": not a file of a run: " : ": not a finished run: ",
                 file.filename().string(), " is missing",
                 file_named ? " beside it; slope import makes a run of weights alone." : "."));
  }
  read_config(run.folder, run.options, run.settings);
  const std::string trained_dtype = run.settings.dtype;
  if (settings.dtype_given) run.settings.dtype = settings.dtype;
  run.data_seed = run.settings.seed;
  if (settings.seed_given) run.settings.seed = settings.seed;
  run.settings.exact = run.settings.exact || settings.exact;

  run.checkpoint = nn::load_checkpoint(weights);
  const auto adapted = run.checkpoint.metadata.find("adapted-solver");
  run.solver = adapted != run.checkpoint.metadata.end() ? adapted->second : run.options.solver;
  // The data itself is not needed to rebuild the model, only its shape, which the checkpoint
  // carries.
  const auto fact = [&](const char* key) {
    const auto found = run.checkpoint.metadata.find(key);
    if (found == run.checkpoint.metadata.end())
      throw DataError(
          concat(weights.string(), ": no metadata \"", key, "\": not written by slope train."));
    return found->second;
  };
  models::InputFacts facts;
  std::istringstream classes(fact("classes")), sample(fact("sample"));
  bool sound = classes >> facts.classes && facts.classes > 0 && facts.classes <= kLargestSize;
  for (int64_t n; sample >> n;) {
    sound &= n > 0 && n <= kLargestSize && facts.sample.rank() < 4;
    if (sound) facts.sample.push_back(n);
  }
  if (!sound || facts.sample.rank() == 0)
    throw DataError(concat(weights.string(), ": metadata \"classes\" or \"sample\" is damaged."));
  Rng rng(run.settings.seed);
  run.model =
      models::make_model(run.options.model, &facts, rng, {.dtype = run.settings.value_dtype()});
  if (run.settings.dtype != trained_dtype) {
    for (nn::NamedTensor& t : run.checkpoint.tensors) {
      if (t.tensor.dtype() != Dtype::i32) t.tensor = cast(t.tensor, run.settings.value_dtype());
    }
  }
  nn::restore(run.checkpoint, model_tensors(*run.model), weights.string(), {"optimizer."});
  if (const std::string name = not_finite(model_tensors(*run.model)); !name.empty()) {
    throw DataError(concat(weights.string(), ": ", name,
                           " has values that are not finite: such a model decides nothing."));
  }
  if (const auto step = run.checkpoint.metadata.find("step"); step != run.checkpoint.metadata.end())
    run.step = std::atoll(step->second.c_str());
  if (const auto names = run.checkpoint.metadata.find("class_names");
      names != run.checkpoint.metadata.end()) {
    const auto list = nlohmann::json::parse(names->second, nullptr, false);
    bool whole = list.is_array() && static_cast<int64_t>(list.size()) == facts.classes;
    for (const auto& name : list) whole = whole && name.is_string();
    if (!whole) throw DataError(concat(weights.string(), ": metadata \"class_names\" is damaged."));
    run.class_names = list.get<std::vector<std::string>>();
  }
  return run;
}

bool has_last_weights(const Run& run) { return run.weights.filename() == kLastWeights; }

bool can_go_on(const Run& run) { return run.checkpoint.metadata.contains("step"); }

std::string start_from(const std::string& place, const Settings& settings,
                       const models::Classifier& model) {
  Settings same = settings;
  same.dtype_given = true;
  const Run run = open_run(place, same);
  nn::restore(run.checkpoint, model_tensors(model), run.weights.string(), {"optimizer."});
  return concat("starts from ", run.weights.string(), ", step ", run.step, ", SHA-256 ",
                nn::file_sha256(run.weights));
}

nn::Dataset test_set(const Run& run, const std::string& word, int64_t limit,
                     const Settings& settings) {
  nn::Dataset test = load_data(word, settings.data_dir, run.data_seed).test;
  const models::InputFacts& facts = run.model->facts();
  if (test.sample != facts.sample || test.classes != facts.classes) {
    throw ValueError(concat("data: ", word, " has samples ", test.sample, " of ", test.classes,
                            " classes, the model was made for ", facts.sample, " and ",
                            facts.classes, ". Choose another --data."));
  }
  return limit > 0 ? test.first(limit) : test;
}

}  // namespace slope::program
