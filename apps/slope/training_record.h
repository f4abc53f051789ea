// TrainingRecord: what a training run tells: metrics.csv, the progress line, log.txt, warnings.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "apps/slope/progress.h"
#include "apps/slope/training_position.h"

namespace slope::program {

// printf into a string of at most 255 characters.
std::string formatted(const char* format, ...) __attribute__((format(printf, 1, 2)));

// What a run of `total` steps, epoch_steps of them an epoch, still takes: its steps, and the tests
// at the ends of its epochs as far as it is known what these take.
double seconds_left(const Position& at, int64_t epoch_steps, int64_t total);

// What was measured at the end of an epoch, beside the position.
struct EpochResult {
  double rate = 0;       // the learning rate of its last step
  double test_loss = 0;  // mean
  // Of what not every run has: the columns named to open(), in their order.
  std::vector<double> further = {};
  std::string words = {};  // about these, for the epoch's line
};

class TrainingRecord {
 public:
  explicit TrainingRecord(bool quiet) : quiet_(quiet) {}

  // Starts log.txt and metrics.csv in a run folder. further: the columns after the usual ones. Of
  // what is in metrics.csv already the lines of finished epochs stay. epoch_steps: of an epoch;
  // total: of the whole run.
  void open(const std::filesystem::path& folder, const std::vector<std::string>& further,
            int64_t finished_epochs, int64_t epoch_steps, int64_t total);

  // The line that moves.
  void step(const Position& at, double learning_rate);
  // The same while BatchNorm's statistics are computed, of which `done` of `batches` are in.
  void statistics(const Position& at, int64_t done, int64_t batches);
  // The same during the test at the end of an epoch, of which `done` of `samples` are tested.
  void testing(const Position& at, int64_t done, int64_t samples);
  // Adds the epoch to metrics.csv and tells of it. at: with the epoch's sums, before begin_epoch.
  void epoch(const Position& at, const EpochResult& result, bool last);
  void line(const std::string& text) { progress_->line(text); }
  // Shown, and kept for the result.
  void warning(const std::string& text);
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  bool quiet_;
  std::filesystem::path metrics_;
  std::unique_ptr<Progress> progress_;  // once it is open
  std::vector<std::string> warnings_;
  int64_t epoch_steps_ = 1, total_ = 0;
  double next_line_ = 0;  // seconds of training before the next line of an epoch
};

}  // namespace slope::program
