#include <cmath>
#include <fstream>

#include "apps/models/exchange.h"
#include "apps/problems/problem.h"
#include "apps/slope/attack_word.h"
#include "apps/slope/commands.h"
#include "apps/slope/info_data.h"
#include "apps/slope/output.h"
#include "apps/slope/run_folder.h"
#include "backends/backends.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/threads.h"
#include "core/dispatch.h"
#include "core/nearest.h"
#include "core/ops.h"
#include "ode/methods.h"
#include "ode/order_conditions.h"
#include "ode/stability.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

// What is printed: a table for people, or the JSON.
struct Answer {
  Json json;
  Rows rows;
  std::string text;  // instead of a table
};

std::string rounded(double value, const char* format = "%.3g") {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// What is special about a method, in words.
std::string kind_of(const ode::MethodFacts& m) {
  std::string kind;
  const auto add = [&](bool is, const char* word) {
    if (is) kind += (kind.empty() ? "" : ", ") + std::string(word);
  };
  add(m.implicit, "implicit");
  add(m.multistep, "multistep");
  add(m.separable, "separable fields");
  add(m.reversible, "reversible");
  return kind;
}

Answer methods() {
  Answer answer{{{"methods", Json::array()}},
                {{"method", "order", "embedded", "stages", "FSAL", "adaptive", "dense", "stable to",
                  "error constant", "kind"}},
                {}};
  for (const ode::Method& method : ode::all_methods()) {
    const ode::MethodFacts& m = method.facts();
    Json entry = {{"name", m.name},
                  {"order", m.order},
                  {"embedded_order", m.embedded_order},
                  {"stages", m.stages},
                  {"fsal", m.fsal},
                  {"adaptive", m.has_error()},
                  {"implicit", m.implicit},
                  {"multistep", m.multistep},
                  {"separable", m.separable},
                  {"reversible", m.reversible},
                  {"dense_order", m.dense_order}};
    std::string stable, constant;
    if (const ode::Tableau* tableau = method->tableau()) {
      const double real = ode::real_stability(*tableau), error = ode::error_constant(*tableau);
      // Infinite: the method is stable on the whole negative axis.
      entry["real_stability"] = std::isfinite(real) ? Json(real) : Json();
      entry["error_constant"] = error;
      stable = rounded(-real, "%.2f");
      constant = rounded(error, "%.2e");
    }
    entry["example"] = m.name;
    answer.json["methods"].push_back(entry);
    answer.rows.push_back(
        {m.name, std::to_string(m.order), m.has_error() ? std::to_string(m.embedded_order) : "",
         std::to_string(m.stages), m.fsal ? "yes" : "", m.has_error() ? "yes" : "",
         std::to_string(m.dense_order), stable, constant, kind_of(m)});
  }
  return answer;
}

Json numbers(const Shape& shape) { return std::vector<int64_t>(shape.begin(), shape.end()); }

Answer model_answer() {
  Answer answer{{{"models", Json::array()}},
                {{"model", "parameters", "data", "optimizer", "lr", "what"}},
                {}};
  for (const models::ModelEntry& entry : models::model_list()) {
    Rng rng(0);
    const auto model = models::make_model(entry.name, nullptr, rng, {.shapes_only = true});
    Json tensors = Json::array();
    for (const nn::NamedTensor& t : model_tensors(*model)) {
      tensors.push_back({{"name", t.name},
                         {"shape", numbers(t.tensor.shape())},
                         {"torch_shape", numbers(models::torch_shape(t.tensor.shape()))}});
    }
    answer.json["models"].push_back({{"name", entry.name},
                                     {"parameters", model->parameter_count()},
                                     {"what", entry.what},
                                     {"data", entry.data},
                                     {"options", entry.options},
                                     {"optimizer", entry.optimizer},
                                     {"lr", entry.lr},
                                     {"mean", entry.mean},
                                     {"std", entry.std},
                                     {"tensors", tensors}});
    std::string options;
    for (const std::string& o : entry.options) options += (options.empty() ? "  [" : ", ") + o;
    answer.rows.push_back({entry.name, std::to_string(model->parameter_count()), entry.data,
                           entry.optimizer, rounded(entry.lr),
                           entry.what + options + (options.empty() ? "" : "]")});
  }
  return answer;
}

Answer problem_answer() {
  Answer answer{{{"problems", Json::array()}}, {{"problem", "what"}}, {}};
  for (const problems::ProblemEntry& p : problems::problem_list()) {
    answer.json["problems"].push_back(
        {{"name", p.name}, {"parameters", p.parameters}, {"what", p.what}});
    answer.rows.push_back({p.name + (p.parameters.empty() ? "" : "," + p.parameters), p.what});
  }
  return answer;
}

Answer attacks() {
  Answer answer{{{"attacks", Json::array()}}, {{"attack", "what"}}, {}};
  for (const AttackDescription& a : attack_list()) {
    answer.json["attacks"].push_back({{"name", a.name}, {"what", a.what}, {"options", a.options}});
    answer.rows.push_back({a.name + (a.options.empty() ? "" : "," + a.options), a.what});
  }
  return answer;
}

Answer data(const Settings& settings) {
  Answer answer{.json = data_facts(settings), .rows = {}, .text = {}};
  answer.text = data_text(answer.json);
  return answer;
}

Answer device_answer() {
  Answer answer{{{"devices", Json::array()}}, {{"device", "what"}}, {}};
  for (const Device d : devices()) {
    if (d.name().starts_with("cuda")) continue;  // below, with those that cannot be used
    const std::string what =
        d.name() == "cpu"
            ? concat(cpu::threads(), " threads, instruction set ", cpu::name(cpu::isa()))
            : "plain loops on one thread: the specification";
    answer.json["devices"].push_back({{"name", d.name()}, {"available", true}, {"what", what}});
    answer.rows.push_back({d.name(), what});
  }
  for (const GpuReport& gpu : gpu_reports()) {
    answer.json["devices"].push_back(
        {{"name", gpu.name}, {"available", gpu.available}, {"what", gpu.what}});
    answer.rows.push_back({gpu.name, gpu.what});
  }
  return answer;
}

// Whether a backend has a kernel for an op: asked with the op's first sample.
std::string coverage(const Op& op, Device device) {
  if (op.view) return "view";
  const Sample sample = op.samples().front();
  Tensors inputs;
  for (const SampleInput& in : sample.inputs) {
    inputs.push_back(in.undefined ? Tensor()
                                  : empty(in.shape, in.integer ? Dtype::i32 : Dtype::f32, device));
  }
  if (device->prepare({op, inputs, sample.attributes})) return "kernel";
  return op.decompose ? "decomposed" : "missing";
}

Answer ops() {
  Answer answer{{{"ops", Json::array()}}, {{"op"}}, {}};
  for (const Device d : devices()) answer.rows[0].push_back(d.name());
  answer.rows[0].push_back("tested");
  for (const Op* op : all_ops()) {
    Json entry{{"name", op->name}};
    std::vector<std::string> row{op->name};
    for (const Device d : devices()) {
      row.push_back(coverage(*op, d));
      entry[d.name()] = row.back();
    }
    std::string modes;
    for (const std::string& mode : conformance_modes(*op))
      modes += (modes.empty() ? "" : " ") + mode;
    row.push_back(modes);
    entry["modes"] = conformance_modes(*op);
    answer.json["ops"].push_back(entry);
    answer.rows.push_back(row);
  }
  return answer;
}

Answer checkpoint(const std::string& path) {
  const nn::CheckpointHeader c = nn::inspect_checkpoint(path);
  Answer answer{{{"file", path}, {"metadata", c.metadata}, {"tensors", Json::array()}},
                {{"tensor", "dtype", "shape"}},
                {}};
  for (const nn::TensorEntry& t : c.tensors) {
    answer.json["tensors"].push_back(
        {{"name", t.name}, {"dtype", t.dtype}, {"shape", numbers(t.shape)}});
    answer.rows.push_back({t.name, t.dtype, to_string(t.shape)});
  }
  return answer;
}

Answer run_folder(const std::string& folder, const Settings& settings) {
  const Run run = open_run(folder, settings);
  Answer answer;
  answer.json = {{"run", folder},
                 {"model", run.model->word()},
                 {"parameters", run.model->parameter_count()},
                 {"data", data_word(run.options)},
                 {"solver", run.solver}};
  for (const char* key : {"step", "epoch", "test-accuracy", "best-accuracy"}) {
    if (const auto found = run.checkpoint.metadata.find(key);
        found != run.checkpoint.metadata.end()) {
      answer.json[key] = Json::parse(found->second);
    }
  }
  std::ifstream config(run.folder / "config.toml");
  std::ostringstream text;
  text << config.rdbuf() << "\n" << run.model->summary();
  answer.text = text.str();
  return answer;
}

// The contact sheet that `info data` can write.
struct SheetOptions {
  std::string file, data, augment;
};

int run(const std::string& topic, const SheetOptions& sheet, const Settings& settings) {
  if (topic != "data" && !(sheet.file + sheet.data + sheet.augment).empty())
    throw ValueError("info: --sheet, --data and --augment belong to slope info data.");
  if (!sheet.file.empty()) {
    write_sheet(sheet.file, sheet.data, sheet.augment, settings);
    if (settings.json)
      print_json({{"sheet", sheet.file}});
    else
      print(concat("written: ", sheet.file, "\n"));
    return 0;
  }
  const std::vector<std::string> topics{"methods", "models",  "problems", "attacks",
                                        "data",    "devices", "ops"};
  Answer answer;
  if (topic == "methods")
    answer = methods();
  else if (topic == "models")
    answer = model_answer();
  else if (topic == "problems")
    answer = problem_answer();
  else if (topic == "attacks")
    answer = attacks();
  else if (topic == "data")
    answer = data(settings);
  else if (topic == "devices")
    answer = device_answer();
  else if (topic == "ops")
    answer = ops();
  else if (std::filesystem::is_directory(topic))
    answer = run_folder(topic, settings);
  else if (std::filesystem::exists(topic))
    answer = checkpoint(topic);
  else {
    throw ValueError(concat("info: \"", topic,
                            "\" is neither a topic, a run folder nor a file. Did you mean ",
                            nearest(topic, topics),
                            "? Topics: methods, models, problems, attacks, data, devices, ops."));
  }
  if (settings.json) {
    print_json(answer.json);
  } else {
    print(answer.text.empty() ? table_text(answer.rows) : answer.text);
  }
  return 0;
}

}  // namespace

Command info_command(CLI::App& program, Settings& settings) {
  auto topic = std::make_shared<std::string>();
  auto sheet = std::make_shared<SheetOptions>();
  CLI::App* app = add_command(program, "info",
                              "What there is: methods, models, problems, attacks, "
                              "data, devices, ops; or about a RUN or FILE.safetensors");
  auto options = std::make_shared<OptionList>(*app);
  options
      ->add("topic", *topic,
            "methods, models, problems, attacks, data, devices, ops, a run folder, or a "
            ".safetensors file")
      ->required();
  options->add("--sheet", sheet->file,
               "info data: write a PNG with pictures before and after each augmentation");
  options->add("--data", sheet->data, "--sheet: whose pictures; default: cifar10 or mnist");
  options->add("--augment", sheet->augment,
               "--sheet: its rows, separated by +; default: every kind");
  return {app, options, [topic, sheet, &settings] { return run(*topic, *sheet, settings); }};
}

}  // namespace slope::program
