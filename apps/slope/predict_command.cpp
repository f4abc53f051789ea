#include <algorithm>

#include "apps/slope/commands.h"
#include "apps/slope/evaluation.h"
#include "apps/slope/output.h"
#include "apps/slope/regime.h"
#include "apps/slope/run_folder.h"
#include "core/exact.h"
#include "core/ops/loss.h"
#include "nn/data/image.h"
#include "ode/solver_word.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;

struct PredictCommand {
  std::string run, solver, data, out;
  std::vector<std::string> images;
  bool resize = false, invert = false;
  int64_t limit = 0, batch = 250;
};

// Raw outputs of a trained model, under the solver that was asked for or that of the training.
class Predictor {
 public:
  Predictor(const Run& run, const std::string& solver)
      : settings_{.solver = ode::parse_solver(solver.empty() ? default_solver({}, run) : solver)},
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

// The pictures as samples of the model, with 0 for the labels that nobody knows.
nn::Dataset read_pictures(const PredictCommand& c, const models::InputFacts& facts) {
  if (facts.sample.rank() != 3) {
    throw ValueError(concat("predict: the model was made for samples ", facts.sample,
                            ", not for pictures. Choose --data."));
  }
  nn::Dataset data{.name = "pictures",
                   .sample = facts.sample,
                   .classes = facts.classes,
                   .pixels = {},
                   .points = {},
                   .labels = {}};
  for (const std::string& path : c.images) {
    nn::Image image = nn::read_image(path, facts.sample[2]);
    if (c.resize) image = nn::resized(image, facts.sample[0], facts.sample[1]);
    if (image.height != facts.sample[0] || image.width != facts.sample[1]) {
      throw DataError(concat(path, ": is ", image.height, "x", image.width,
                             " pixels, the model was made for ", facts.sample[0], "x",
                             facts.sample[1], ". Scale it with --resize."));
    }
    if (c.invert) {
      for (uint8_t& v : image.pixels) v = static_cast<uint8_t>(255 - v);
    }
    data.pixels.insert(data.pixels.end(), image.pixels.begin(), image.pixels.end());
    data.labels.push_back(0);
  }
  return data;
}

int predict_pictures(const PredictCommand& c, const Run& run, const Settings& settings) {
  const nn::Dataset data = read_pictures(c, run.model->facts());
  const Tensor logits = Predictor(run, c.solver)(data, c.batch, run.settings.value_dtype());
  const std::vector<double> probabilities = softmax(logits, 1).values();
  const auto classes = static_cast<size_t>(data.classes);
  Json predictions = Json::array();
  std::vector<std::vector<std::string>> rows{{"picture", "class", "probability"}};
  for (size_t i = 0; i < c.images.size(); ++i) {
    const auto row = probabilities.begin() + static_cast<std::ptrdiff_t>(i * classes);
    const auto best = std::max_element(row, row + static_cast<std::ptrdiff_t>(classes));
    const auto decided = static_cast<size_t>(best - row);
    const std::string name =
        run.class_names.empty() ? std::to_string(decided) : run.class_names[decided];
    predictions.push_back(
        {{"image", c.images[i]},
         {"class", decided},
         {"name", name},
         {"probability", *best},
         {"probabilities", std::vector<double>(row, row + static_cast<std::ptrdiff_t>(classes))}});
    rows.push_back({c.images[i], name, percent(*best)});
  }
  if (settings.json) {
    print_json({{"run", c.run}, {"predictions", predictions}});
  } else {
    print(table_text(rows));
  }
  return 0;
}

int predict_data(const PredictCommand& c, const Run& run, const Settings& settings) {
  const std::string word = c.data.empty() ? data_word(run.options) : c.data;
  if (std::filesystem::exists(c.out) && !settings.force)
    throw ValueError(concat(c.out, ": exists. Choose another --out, or overwrite with --force."));
  const nn::Dataset data = test_set(run, word, c.limit, settings);
  const Tensor logits = Predictor(run, c.solver)(data, c.batch, run.settings.value_dtype());
  nn::save_checkpoint(c.out, {{"logits", logits}},
                      {{"model", run.model->word()},
                       {"data", word},
                       {"solver", c.solver.empty() ? run.solver : c.solver}});
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

int run(const PredictCommand& c, const Settings& settings) {
  apply_settings(settings);
  if (c.images.empty() && c.out.empty())
    throw UsageError("IMAGE.. or --data D --out FILE.safetensors is required");
  if (!c.images.empty() && (!c.out.empty() || !c.data.empty()))
    throw UsageError("Pictures are printed, data goes to --out: choose one of them.");
  const Run trained = open_run(c.run, settings);
  const ExactScope exact(trained.settings.exact);
  return c.images.empty() ? predict_data(c, trained, settings)
                          : predict_pictures(c, trained, settings);
}

}  // namespace

Command predict_command(CLI::App& program, Settings& settings) {
  auto values = std::make_shared<PredictCommand>();
  CLI::App* app =
      add_command(program, "predict",
                  "Classes of your own pictures, or the raw outputs on a data set as a file");
  auto options = std::make_shared<OptionList>(*app);
  options->add("run", values->run, "Run folder (its last weights), or RUN/best.safetensors")
      ->required();
  options->add("images", values->images, "Pictures (PNG, JPEG, BMP, ..) of the model's size");
  options->add("--solver", values->solver,
               "Solver; default: the one of the training, of several the first");
  options->add_flag("--resize", values->resize, "Scale pictures of another size");
  options->add_flag(
      "--invert", values->invert,
      "Turn light and dark round: for ink on paper where the model knows light on dark");
  options->add("--data", values->data, "Data set; default: that of the training");
  options->add("--limit", values->limit, "The first N test samples; 0: all", not_negative());
  options->add("--batch", values->batch, "Samples at a time", positive());
  options->add("--out", values->out, "FILE.safetensors: one tensor `logits` (N, classes)");
  return {app, options, [values, &settings] { return run(*values, settings); }};
}

}  // namespace slope::program
