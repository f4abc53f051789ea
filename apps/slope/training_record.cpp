#include "apps/slope/training_record.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <fstream>

#include "apps/slope/run_folder.h"
#include "core/atomic_file.h"

namespace slope::program {
namespace {

constexpr const char* kMetricsHeader =
    "epoch,step,seconds,learning_rate,train_loss,train_accuracy,test_loss,test_accuracy,"
    "nfe_forward,nfe_backward";

// "nan" without a sign, which means nothing.
double unsigned_nan(double value) { return std::isnan(value) ? std::fabs(value) : value; }

long long whole(int64_t value) { return static_cast<long long>(value); }

double samples_per_second(const Position& at) {
  return static_cast<double>(at.examples) / at.seconds;
}

}  // namespace

std::string formatted(const char* format, ...) {
  char text[256];
  va_list parts;
  va_start(parts, format);
  std::vsnprintf(text, sizeof text, format, parts);
  va_end(parts);
  return text;
}

double seconds_left(const Position& at, int64_t epoch_steps, int64_t total) {
  const int64_t tests = (total + epoch_steps - 1) / epoch_steps - at.epoch;
  const double step = at.seconds / static_cast<double>(std::max<int64_t>(at.step, 1)),
               test = at.test_seconds / static_cast<double>(std::max<int64_t>(at.epoch, 1));
  return static_cast<double>(total - at.step) * step + static_cast<double>(tests) * test;
}

// A checkpoint may hold all steps of an epoch and yet stand before its end, so epochs count, not
// steps; those that are not finished come again. A line without its end was cut off while it was
// written.
void TrainingRecord::open(const std::filesystem::path& folder,
                          const std::vector<std::string>& further, int64_t finished_epochs,
                          int64_t epoch_steps, int64_t total) {
  epoch_steps_ = epoch_steps;
  total_ = total;
  progress_ = std::make_unique<Progress>(quiet_, (folder / "log.txt").string());
  metrics_ = folder / "metrics.csv";
  std::string kept = kMetricsHeader;
  for (const std::string& column : further) kept += "," + column;
  kept += "\n";
  std::ifstream in(metrics_);
  for (std::string line; std::getline(in, line) && !in.eof();) {
    const int64_t epoch = std::atoll(line.c_str());  // 0: the header
    if (epoch > 0 && epoch <= finished_epochs) kept += line + "\n";
  }
  write_atomically(metrics_, kept);
}

void TrainingRecord::step(const Position& at, double learning_rate) {
  const double seen = std::fmax(static_cast<double>(at.seen), 1);
  progress_->moving(formatted(
      "epoch %lld  step %lld/%lld  %.0f/s  left %s  loss %.4f  accuracy %.4f  lr %.2e  "
      "NFE %.4g/%.4g",
      whole(at.epoch + 1), whole(at.step), whole(total_), samples_per_second(at),
      duration_text(seconds_left(at, epoch_steps_, total_)).c_str(), at.loss_sum / seen,
      static_cast<double>(at.correct) / seen, learning_rate, at.nfe_forward, at.nfe_backward));
}

void TrainingRecord::statistics(const Position& at, int64_t done, int64_t batches) {
  progress_->moving(formatted("epoch %lld  step %lld/%lld  statistics %lld/%lld",
                              whole(at.epoch + 1), whole(at.step), whole(total_), whole(done),
                              whole(batches)));
}

void TrainingRecord::testing(const Position& at, int64_t done, int64_t samples) {
  progress_->moving(formatted("epoch %lld  step %lld/%lld  testing %lld/%lld", whole(at.epoch + 1),
                              whole(at.step), whole(total_), whole(done), whole(samples)));
}

void TrainingRecord::epoch(const Position& at, const EpochResult& r, bool last) {
  std::ofstream out(metrics_, std::ios::app);
  out << formatted("%lld,%lld,%.6f,%.6g,%.9g,%.9g,%.9g,%.9g,%.6g,%.6g", whole(at.epoch + 1),
                   whole(at.step), at.seconds, r.rate, at.train_loss, at.train_accuracy(),
                   unsigned_nan(r.test_loss), at.test_accuracy, at.nfe_forward, at.nfe_backward);
  for (double value : r.further) out << formatted(",%.9g", unsigned_nan(value));
  out << "\n";
  out.close();
  if (!out) throw DataError(metrics_.string() + ": cannot be written.");
  // Short epochs (points) would scroll by: their lines come once a second or so.
  if (at.seconds < next_line_ && !last) return;
  next_line_ = at.seconds + 1;
  line(formatted(
      "epoch %lld  step %lld  train loss %.4f  accuracy %.4f%s  test accuracy %.4f (best %.4f)  "
      "NFE %.4g/%.4g  %.0f/s  %s",
      whole(at.epoch + 1), whole(at.step), at.train_loss, at.train_accuracy(), r.words.c_str(),
      at.test_accuracy, at.best_accuracy, at.nfe_forward, at.nfe_backward, samples_per_second(at),
      duration_text(at.seconds).c_str()));
}

void TrainingRecord::warning(const std::string& text) {
  warnings_.push_back(text);
  progress_->warning(text);
}

}  // namespace slope::program
