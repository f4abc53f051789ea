#include "apps/reproduce/reproduce.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "apps/report/page.h"
#include "apps/reproduce/record.h"
#include "apps/reproduce/table.h"
#include "apps/slope/attack_run.h"
#include "apps/slope/evaluation_run.h"
#include "apps/slope/output.h"
#include "apps/slope/training_run.h"
#include "core/atomic_file.h"
#include "core/error.h"

namespace slope::reproduce {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using program::OptionList;
using program::Settings;
using program::TrainingOptions;

std::vector<std::string> words(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> list;
  for (std::string word; in >> word;) list.push_back(word);
  return list;
}

// A line of options with some of them changed.
std::string changed(const std::string& line, const std::string& changes) {
  return line_of({line, changes}, Scale::smoke);
}

// The arguments of `slope train`, of `slope eval` or `slope attack`, as requested.
std::string training_line(const Experiment& experiment, const Request& request) {
  const std::string line = line_of(experiment.train, request.scale);
  std::string changes;
  const auto change = [&](const std::string& option, int64_t value) {
    if (value > 0) changes += concat(changes.empty() ? "" : " ", option, " ", value);
  };
  change("--epochs", request.epochs);
  if (request.epochs > 0 && line.find("--iterations ") != line.npos) changes += " --iterations 0";
  change("--limit", request.limit);
  change("--test-limit", request.test_limit);
  return changed(line, changes);
}
std::string measurement_line(const Measurement& measurement, const Request& request) {
  const std::string line = line_of(measurement.arguments, request.scale);
  if (request.test_limit == 0) return line;
  // Where the preset takes fewer, it stays at them.
  const bool attack = measurement.command == Measurement::Command::attack;
  int64_t limit = attack ? program::AttackRequest().limit : program::EvaluationRequest().limit;
  const std::vector<std::string> list = words(line);
  const auto at = std::find(list.begin(), list.end(), "--limit");
  if (at != list.end() && at + 1 != list.end()) limit = std::atoll((at + 1)->c_str());
  if (limit > 0 && limit <= request.test_limit) return line;
  return changed(line, concat("--limit ", request.test_limit));
}

TrainingOptions training_options(const Experiment& experiment, const Request& request) {
  TrainingOptions options;
  OptionList list;
  list.add("model", options.model, "");
  program::add_training_options(list, options);
  list.read_words(words(training_line(experiment, request)));
  program::complete(options);
  return options;
}

class Runner {
 public:
  Runner(const Preset& preset, const Request& request, const Settings& settings,
         program::Progress& progress)
      : preset_(preset), request_(request), settings_(settings), progress_(progress) {
    seeds_ = request.seeds > 0               ? request.seeds
             : request.scale == Scale::smoke ? preset.seeds_smoke
                                             : preset.seeds_full;
    folder_ = request.out.empty()
                  ? fs::path("runs") / concat("reproduce-", preset.name, "-", name(request.scale))
                  : fs::path(request.out);
    for (const std::string& wanted : request.only) {
      if (std::none_of(preset.experiments.begin(), preset.experiments.end(),
                       [&](const Experiment& e) { return e.name == wanted; }))
        throw ValueError(concat("--only: ", preset.name, " has no experiment \"", wanted,
                                "\". It has ", experiment_names(), "."));
    }
  }

  Reproduced run() {
    check();
    const auto start = std::chrono::steady_clock::now();
    for (const Experiment& e : preset_.experiments) {
      if (!part(e)) continue;
      for (int64_t i = 0; i < seeds_; ++i) {
        if (const int signal = run_one(e, i)) return {folder_, signal, {}, {}};
      }
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return finish(seconds);
  }

 private:
  bool part(const Experiment& e) const {
    if (!request_.only.empty())
      return std::find(request_.only.begin(), request_.only.end(), e.name) != request_.only.end();
    return request_.scale == Scale::full || e.smoke;
  }
  std::string experiment_names() const {
    std::string names;
    for (const Experiment& e : preset_.experiments) names += (names.empty() ? "" : ", ") + e.name;
    return names;
  }
  fs::path run_folder(const Experiment& e, int64_t i) const {
    return folder_ / e.name / concat("seed-", settings_.seed + static_cast<uint64_t>(i));
  }
  Settings run_settings(int64_t i) const {
    Settings settings = settings_;
    settings.seed += static_cast<uint64_t>(i);
    settings.seed_given = false;  // eval and attack use the run's own
    return settings;
  }

  // All that can be wrong beforehand.
  void check() {
    if (fs::exists(folder_) && !fs::is_directory(folder_))
      throw ValueError(folder_.string() + ": exists and is not a folder.");
    for (const Experiment& e : preset_.experiments) {
      if (!part(e)) continue;
      const TrainingOptions options = training_options(e, request_);
      for (const Measurement& m : e.measurements) {
        if (m.command == Measurement::Command::eval) {
          evaluation(m, {});
        } else {
          attack(m, {});
        }
      }
      for (int64_t i = 0; i < seeds_; ++i) {
        const fs::path config = run_folder(e, i) / "config.toml";
        if (settings_.force || !fs::exists(config) ||
            program::config_text(run_folder(e, i)) == program::to_toml(options, run_settings(i)))
          continue;
        throw ValueError(concat("reproduce: ", config.string(),
                                " has other options than this preset at scale ",
                                name(request_.scale), ". Choose another --out, or --force."));
      }
    }
  }

  // The signal that stopped it, or 0.
  int run_one(const Experiment& e, int64_t i) {
    const fs::path folder = run_folder(e, i);
    Settings settings = run_settings(i);
    const TrainingOptions options = training_options(e, request_);
    Record record(folder);
    const bool same = program::config_text(folder) == program::to_toml(options, settings);
    progress_.line(concat("== ", e.name, ", seed ", settings.seed, ": slope train ",
                          training_line(e, request_)));
    if (!same || record.train().is_null()) {
      program::Trained trained;
      if (same && fs::exists(folder / "model.safetensors")) {
        progress_.line(folder.string() + ": was interrupted and goes on");
        const program::Run old = program::open_run(folder.string(), settings);
        trained = program::train_run(options, settings, {}, &old);
      } else {
        settings.force = true;  // what is there has been checked
        fs::remove(folder / "reproduce.json");
        trained = program::train_run(options, settings, folder.string(), nullptr);
      }
      if (trained.stopped_by) return trained.stopped_by;
      Json result = trained.result;
      // An epoch of the whole of MNIST, also where only a part of it was trained on.
      if (const double rate = result["examples_per_second"]; rate > 0)
        result["seconds_per_60000"] = 60000 / rate;
      record.set_train(result);
    } else {
      progress_.line(folder.string() + ": is trained already");
    }
    for (const Measurement& m : e.measurements) {
      measure(m, folder, settings, record);
      if (const int signal = program::stop_signal()) return signal;
    }
    records_[e.name].push_back(std::make_unique<Record>(std::move(record)));
    return 0;
  }

  program::EvaluationRequest evaluation(const Measurement& m, const std::string& run) const {
    program::EvaluationRequest values;
    OptionList list;
    program::add_evaluation_options(list, values);
    list.read_words(words(measurement_line(m, request_)));
    values.run = run;
    return values;
  }

  program::AttackRequest attack(const Measurement& m, const std::string& run) const {
    program::AttackRequest values;
    OptionList list;
    program::add_attack_options(list, values);
    list.read_words(words(measurement_line(m, request_)));
    values.limit_given = list.given("limit");
    values.run = run;
    return values;
  }

  void measure(const Measurement& m, const fs::path& folder, const Settings& settings,
               Record& record) {
    const std::string line = measurement_line(m, request_);
    if (!record.measured(m.name, line).is_null()) return;
    if (m.command == Measurement::Command::eval) {
      const auto done = program::evaluate_run(evaluation(m, folder.string()), settings, progress_);
      record.set_measured(m.name, line, done.results, nullptr);
    } else {
      const auto done = program::attack_run(attack(m, folder.string()), settings, progress_);
      record.set_measured(m.name, line, done.results, done.minima);
    }
  }

  // What differs from the published setting.
  std::vector<std::string> changes() const {
    std::vector<std::string> list;
    const int64_t published = preset_.seeds_full;
    if (seeds_ != published)
      list.push_back(concat(seeds_, seeds_ == 1 ? " seed" : " seeds", " instead of ", published));
    if (request_.epochs > 0) list.push_back(concat("--epochs ", request_.epochs, " everywhere"));
    if (request_.limit > 0)
      list.push_back(concat("--limit ", request_.limit, " in every training"));
    if (request_.test_limit > 0)
      list.push_back(concat("at most the first ", request_.test_limit, " test samples everywhere"));
    if (request_.scale == Scale::full) return list;
    const auto add = [&](const std::string& where, const std::string& change) {
      if (!change.empty()) list.push_back(where + ": " + change);
    };
    std::string left_out;
    for (const Experiment& e : preset_.experiments) {
      if (!part(e)) {
        left_out += (left_out.empty() ? "" : ", ") + e.name;
        continue;
      }
      add(e.name + ", training", e.train.smoke);
      for (const Measurement& m : e.measurements) add(e.name + ", " + m.name, m.arguments.smoke);
    }
    add("not run", left_out);
    if (!preset_.smoke.empty()) list.push_back(preset_.smoke);
    return list;
  }

  // The commands that would do the same by hand.
  Json commands() const {
    Json list = Json::array();
    for (const Experiment& e : preset_.experiments) {
      if (!part(e)) continue;
      const std::string folder = run_folder(e, 0).string();
      list.push_back(concat("slope train ", training_line(e, request_), " --seed ", settings_.seed,
                            " --out ", folder));
      for (const Measurement& m : e.measurements)
        list.push_back(concat("slope ",
                              m.command == Measurement::Command::eval ? "eval " : "attack ", folder,
                              " ", measurement_line(m, request_)));
    }
    return list;
  }

  Reproduced finish(double seconds) {
    const std::vector<MeasuredRow> rows = measure_rows(preset_, [&](const std::string& experiment) {
      std::vector<const Record*> list;
      for (const auto& record : records_[experiment]) list.push_back(record.get());
      return list;
    });
    Json runs = Json::array();
    for (const Experiment& e : preset_.experiments) {
      for (int64_t i = 0; part(e) && i < seeds_; ++i)
        runs.push_back(fs::relative(run_folder(e, i), folder_).string());
    }
    const std::vector<std::string> differences = changes();
    Reproduced done{.folder = folder_, .result = {}, .text = {}};
    const fs::path report = folder_ / "report.html";
    done.result = {{"preset", preset_.name},  {"scale", name(request_.scale)},
                   {"what", preset_.what},    {"source", preset_.source},
                   {"rows", rows_json(rows)}, {"changes", differences},
                   {"note", preset_.note},    {"commands", commands()},
                   {"seconds", seconds},      {"report", report.string()}};
    std::string config;
    for (const Json& command : done.result["commands"]) config += command.get<std::string>() + "\n";
    Json page = done.result;
    page["summary"] =
        concat(preset_.what, ". After: ", preset_.source, ". Scale ", name(request_.scale), ".");
    page["config"] = config;
    page["figures"] = Json::array();
    page["charts"] = charts_json(preset_, rows);
    page["runs"] = runs;
    report::write_page(report, "reproduce " + preset_.name, {"line_chart.js", "reproduce.js"},
                       page);
    write_atomically(folder_ / "result.json", program::json_text(done.result, 1) + "\n");
    done.text = concat(preset_.name, ", scale ", name(request_.scale), ": ", preset_.what, "\n\n",
                       rows_text(rows), "\n");
    if (!differences.empty()) {
      done.text += "Other than published:\n";
      for (const std::string& line : differences) done.text += "  " + line + "\n";
    }
    if (!preset_.note.empty()) done.text += preset_.note + "\n";
    done.text += "report " + report.string() + "\n";
    return done;
  }

  const Preset& preset_;
  const Request& request_;
  const Settings& settings_;
  program::Progress& progress_;
  int64_t seeds_ = 1;
  fs::path folder_;
  std::map<std::string, std::vector<std::unique_ptr<Record>>> records_;
};

}  // namespace

std::string line_of(const Arguments& arguments, Scale scale) {
  if (scale == Scale::full || arguments.smoke.empty()) return arguments.full;
  const std::vector<std::string> changes = words(arguments.smoke);
  std::string line;
  bool kept = true;  // the option whose values come next
  for (const std::string& word : words(arguments.full)) {
    if (word.starts_with("--"))
      kept = std::find(changes.begin(), changes.end(), word) == changes.end();
    if (kept) line += word + " ";
  }
  return line + arguments.smoke;
}

Reproduced reproduce(const Preset& preset, const Request& request, const Settings& settings,
                     program::Progress& progress) {
  return Runner(preset, request, settings, progress).run();
}

}  // namespace slope::reproduce
