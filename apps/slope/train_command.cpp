#include <csignal>
#include <iostream>

#include "apps/report/report.h"
#include "apps/slope/commands.h"
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
  std::filesystem::path folder;
  nn::Checkpoint checkpoint;
  const bool resume = !c.resume.empty();
  if (resume) {
    Run old = open_run(c.resume, given);
    folder = old.folder;
    const TrainingOptions asked = c.options;
    c.options = old.options;
    if (c.epochs_given) c.options.epochs = asked.epochs;
    settings.seed = old.settings.seed;
    settings.dtype = old.settings.dtype;
    checkpoint = std::move(old.checkpoint);
  } else if (c.options.model.empty()) {
    throw CLI::RequiredError("MODEL (or --resume RUN)");
  }
  if (c.options.lr == 0) c.options.lr = usual_rate(c.options.optimizer);
  DataSets data = load_data(data_word(c.options), settings.data_dir, settings.seed);
  if (!resume) {
    new_model(c.options, settings, data.train);  // its errors come before a folder is made
    folder = make_run_folder(c.out, c.options.model, settings.force);
    // What an older run left in a folder that is taken over with --force.
    for (const char* file : {"metrics.csv", "log.txt", "model.safetensors", "best.safetensors",
                             "results.json", "report.html"}) {
      std::filesystem::remove(folder / file);
    }
  }
  c.options.data = data_word(c.options);
  std::unique_ptr<Trainer> trainer;
  try {
    trainer = std::make_unique<Trainer>(c.options, settings, folder, std::move(data),
                                        resume ? &checkpoint : nullptr);
  } catch (...) {
    std::error_code ignored;
    if (!resume) {  // nothing was trained: leave nothing behind
      std::filesystem::remove(folder / "log.txt", ignored);
      std::filesystem::remove(folder, ignored);
    }
    throw;
  }
  write_text(folder / "config.toml", to_toml(c.options, settings));

  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESETHAND;  // a second Ctrl-C ends at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  const bool finished = trainer->run(stopped_by);
  if (!finished) {
    std::cerr << "stopped and saved; go on with: slope train --resume " << folder.string() << "\n";
    return 128 + stopped_by;
  }
  report::write(folder);
  const nlohmann::ordered_json result = trainer->result();
  if (settings.json) {
    nlohmann::ordered_json with_report = result;
    with_report["report"] = (folder / "report.html").string();
    std::cout << with_report.dump() << "\n";
  } else {
    std::cout << "test accuracy " << result["test_accuracy"].get<double>() << " (best "
              << result["best_accuracy"].get<double>() << "), run " << folder.string()
              << ", report " << (folder / "report.html").string() << "\n";
  }
  return 0;
}

}  // namespace

Command train_command(CLI::App& program, Settings& settings) {
  auto values = std::make_shared<TrainCommand>();
  CLI::App* app = program.add_subcommand(
      "train", "Train a model; writes a run folder with weights, curves and a report");
  auto options = std::make_shared<OptionList>(*app);
  options->add("model", values->options.model, "NAME[,option=value].. (slope info models)");
  add_training_options(*options, values->options);
  options->add("--out", values->out, "Run folder; default: runs/MODEL-001 and so on");
  options->add("--resume", values->resume, "Go on with this run exactly where it stopped");
  return {app, options, [values, app, &settings] {
            values->epochs_given = app->get_option("--epochs")->count() > 0;
            return run(*values, settings);
          }};
}

}  // namespace slope::program
