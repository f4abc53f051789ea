#include "apps/slope/training_run.h"

#include <csignal>
#include <optional>

#include "apps/report/report.h"
#include "apps/slope/mistakes.h"
#include "apps/slope/output.h"
#include "apps/slope/plane.h"
#include "apps/slope/results.h"
#include "apps/slope/states.h"
#include "apps/slope/trainer.h"
#include "core/atomic_file.h"
#include "core/exact.h"

namespace slope::program {
namespace {

volatile std::sig_atomic_t stopped_by = 0;

void on_signal(int number) { stopped_by = number; }

// How the run stands, for its report: "running", "finished", "stopped" or "failed"; why, where it
// failed; and how many steps an epoch has, which --iterations may cut off.
void write_outcome(const std::filesystem::path& folder, const Trainer& trainer, const char* state,
                   const std::string& why = "") {
  const nlohmann::ordered_json outcome{
      {"state", state}, {"why", why}, {"epoch_steps", trainer.epoch_steps()}};
  write_atomically(folder / "outcome.json", json_text(outcome) + "\n");
}

// The report of a run that ended before its time.
void report_early_end(const std::filesystem::path& folder, const Trainer& trainer,
                      const char* state, const std::string& why = "") {
  drop_stale_results(folder, trainer.step());
  write_outcome(folder, trainer, state, why);
  report::write(folder);
}

}  // namespace

Trained train_run(TrainingOptions options, const Settings& settings, const std::string& out,
                  const Run* old) {
  complete(options);
  // In full: config.toml repeats the run from any folder.
  options.data = settled(options.data, settings.data_dir);
  if (!old && !options.init.empty()) {
    const std::filesystem::path init = std::filesystem::absolute(options.init).lexically_normal();
    std::error_code none;
    if (!out.empty() &&
        std::filesystem::equivalent(is_regular_file(init) ? init.parent_path() : init, out, none))
      throw ValueError(concat("train: --init ", options.init, " is in the run folder that --out ",
                              out, " would overwrite. Choose another --out."));
    options.init = init.string();
  }
  const ExactScope exact(settings.exact);
  // Everything that can be wrong shows before a folder is touched.
  Trainer trainer(options, settings, load_data(options.data, settings.data_dir, settings.seed),
                  old);
  if (!old) check_one_step(options, settings, trainer.data().train);
  const std::filesystem::path folder =
      old ? old->folder : make_run_folder(out, options.model, settings.force);
  std::optional<RunLock> lock;  // of an old run the caller has it, since before it was read
  if (!old) {
    lock.emplace(folder);
    remove_run_files(folder);
  }
  remove_leftovers(folder);
  write_atomically(folder / "config.toml", to_toml(options, settings));

  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESETHAND;  // a second Ctrl-C ends at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  struct sigaction before {};
  sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);  // nohup keeps it running
  write_outcome(folder, trainer, "running");
  try {
    if (!trainer.run(folder, stopped_by)) {
      report_early_end(folder, trainer, "stopped");
      return {folder, stopped_by, {}};
    }
  } catch (const std::exception& error) {
    try {
      report_early_end(folder, trainer, "failed", error.what());
    } catch (const std::exception&) {  // a full disk: the first error is the one to be told
    }
    throw;
  }
  drop_stale_results(folder, trainer.step());
  write_plane(folder, trainer.model(), trainer.solver(), trainer.data().test,
              settings.value_dtype(), trainer.step());
  write_states(folder, trainer.model(), trainer.solver(), trainer.data().test,
               settings.value_dtype(), trainer.step());
  if (!trainer.test_logits().empty())
    write_mistakes(folder, trainer.test_logits(), trainer.data().test, trainer.step());
  write_outcome(folder, trainer, "finished");
  report::write(folder);
  nlohmann::ordered_json result = trainer.result();
  result["report"] = (folder / "report.html").string();
  return {folder, 0, result};
}

int stop_signal() { return stopped_by; }

}  // namespace slope::program
