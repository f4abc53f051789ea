#include <algorithm>
#include <csignal>
#include <iostream>
#include <optional>

#include "apps/report/report.h"
#include "apps/slope/commands.h"
#include "apps/slope/mistakes.h"
#include "apps/slope/output.h"
#include "apps/slope/plane.h"
#include "apps/slope/results.h"
#include "apps/slope/trainer.h"

namespace slope::program {
namespace {

volatile std::sig_atomic_t stopped_by = 0;

void on_signal(int number) { stopped_by = number; }

struct TrainCommand {
  TrainingOptions options;
  std::string resume, out;
  bool epochs_given = false;
};

int run(TrainCommand c, const Settings& given) {
  apply_settings(given);
  Settings settings = given;
  std::optional<Run> old;
  if (!c.resume.empty()) {
    old = open_run(c.resume, given);
    const int64_t epochs = c.options.epochs;
    c.options = old->options;
    if (c.epochs_given) {
      c.options.epochs = epochs;
      c.options.iterations = 0;
    }
    settings.seed = old->settings.seed;
    settings.dtype = old->settings.dtype;
  } else if (c.options.model.empty()) {
    throw UsageError("MODEL (or --resume RUN) is required");
  }
  complete(c.options);
  // Everything that can be wrong shows before a folder is touched.
  Trainer trainer(c.options, settings, load_data(c.options.data, settings.data_dir, settings.seed),
                  old ? &*old : nullptr);
  const std::filesystem::path folder =
      old ? old->folder : make_run_folder(c.out, c.options.model, settings.force);
  if (!old) remove_run_files(folder);
  remove_leftovers(folder);
  write_text(folder / "config.toml", to_toml(c.options, settings));

  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESETHAND;  // a second Ctrl-C ends at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  const bool finished = trainer.run(folder, stopped_by);
  if (!finished) {
    std::cerr << "stopped and saved; go on with: slope train --resume " << folder.string() << "\n";
    return 128 + stopped_by;
  }
  drop_stale_results(folder, trainer.step());
  write_plane(folder, trainer.model(), trainer.solver(), trainer.data().test,
              settings.value_dtype(), trainer.step());
  if (!trainer.test_logits().empty())
    write_mistakes(folder, trainer.test_logits(), trainer.data().test, trainer.step());
  report::write(folder);
  const nlohmann::ordered_json result = trainer.result();
  if (settings.json) {
    nlohmann::ordered_json with_report = result;
    with_report["report"] = (folder / "report.html").string();
    print_json(with_report);
  } else {
    print(concat("test accuracy ", result["test_accuracy"].get<double>(), " (best ",
                 result["best_accuracy"].get<double>(), "), run ", folder.string(), ", report ",
                 (folder / "report.html").string(), "\n"));
  }
  return 0;
}

// A run goes on with its own options: others would be ignored, so they are refused.
void check_resume(const std::vector<std::string>& typed) {
  const std::string allowed[] = {"resume", "epochs", "threads", "device", "data-dir",
                                 "exact",  "quiet",  "json",    "force"};
  for (const std::string& name : typed) {
    if (std::find(std::begin(allowed), std::end(allowed), name) != std::end(allowed)) continue;
    throw UsageError(concat("--resume goes on with the options of the run; ",
                            name == "model" ? "" : "--", name, " cannot be given, only --epochs."));
  }
}

}  // namespace

Command train_command(CLI::App& program, Settings& settings) {
  auto values = std::make_shared<TrainCommand>();
  CLI::App* app = add_command(
      program, "train", "Train a model; writes a run folder with weights, curves and a report");
  auto options = std::make_shared<OptionList>(*app);
  options->add("model", values->options.model, "NAME[,option=value].. (slope info models)");
  add_training_options(*options, values->options);
  options->add("--out", values->out, "Run folder; default: runs/MODEL-001 and so on");
  options->add("--resume", values->resume, "Go on with this run exactly where it stopped");
  return {app, options, [values, options, &settings] {
            const std::vector<std::string> typed = options->typed();
            values->epochs_given = std::count(typed.begin(), typed.end(), "epochs") > 0;
            if (!values->resume.empty()) check_resume(typed);
            return run(*values, settings);
          }};
}

}  // namespace slope::program
