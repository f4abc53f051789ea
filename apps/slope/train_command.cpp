#include <algorithm>
#include <iostream>
#include <optional>

#include "apps/slope/commands.h"
#include "apps/slope/output.h"
#include "apps/slope/progress.h"
#include "apps/slope/training_run.h"

namespace slope::program {
namespace {

struct TrainCommand {
  TrainingOptions options;
  std::string resume, out;
  bool epochs_given = false;
};

// -> the exit status.
int finish(const Trained& done, const Settings& settings) {
  if (done.stopped_by) {
    std::cerr << "stopped and saved; go on with: slope train --resume " << done.folder.string()
              << "\n";
    return 128 + done.stopped_by;
  }
  if (settings.json) {
    print_json(done.result);
  } else {
    print(concat("test accuracy ", done.result["test_accuracy"].get<double>(), " (best ",
                 done.result["best_accuracy"].get<double>(), "), run ", done.folder.string(),
                 ", report ", done.result["report"].get<std::string>(), "\n"));
  }
  return 0;
}

int run(TrainCommand c, const Settings& given) {
  apply_settings(given);
  Settings settings = given;
  std::optional<RunLock> lock;
  std::optional<Run> old;
  if (!c.resume.empty()) {
    if (std::filesystem::is_regular_file(c.resume))
      throw ValueError(concat("train: --resume goes on with a run folder, ", c.resume,
                              " is a file. Start anew from these weights with --init."));
    lock.emplace(c.resume);
    const int64_t epochs = c.options.epochs;
    const auto take_epochs = [&] {
      if (!c.epochs_given) return;
      c.options.epochs = epochs;
      c.options.iterations = 0;
    };
    if (has_only_begun(c.resume)) {
      lock.reset();  // the run, which begins again, takes it itself
      read_config(c.resume, c.options, settings);
      take_epochs();
      settings.force = true;
      Progress(settings.quiet).line(c.resume + ": stopped before its first checkpoint; once more");
      return finish(train_run(c.options, settings, c.resume, nullptr), settings);
    }
    old = open_run(c.resume, given);
    if (!can_go_on(*old))
      throw ValueError(concat("train: ", c.resume, " holds imported weights: there is no training ",
                              "to go on with. Start one from them: slope train ",
                              old->model->word(), " --init ", c.resume, "."));
    c.options = old->options;
    take_epochs();
    settings.seed = old->settings.seed;
    settings.dtype = old->settings.dtype;
    settings.exact = old->settings.exact;
  } else if (c.options.model.empty()) {
    throw UsageError("MODEL (or --resume RUN) is required");
  }
  return finish(train_run(c.options, settings, c.out, old ? &*old : nullptr), settings);
}

// A run goes on with its own options: others would be ignored, so they are refused.
void check_resume(const std::vector<std::string>& typed) {
  const std::string allowed[] = {"resume",   "epochs", "threads", "device",
                                 "data-dir", "quiet",  "json",    "force"};
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
