#include "apps/slope/training_position.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "core/error.h"

namespace slope::program {
namespace {

constexpr double kLargestCount = 1e15;  // of steps, samples, seconds; larger is a damaged file

// Each member of Position by name.
template <typename P, typename F>
void each_field(P& p, F f) {
  f("step", p.step), f("epoch", p.epoch), f("batch", p.batch);
  f("loss-sum", p.loss_sum), f("penalty-sum", p.penalty_sum);
  f("correct", p.correct), f("seen", p.seen);
  f("seconds", p.seconds), f("test-seconds", p.test_seconds), f("examples", p.examples);
  f("train-loss", p.train_loss);
  f("test-accuracy", p.test_accuracy), f("best-accuracy", p.best_accuracy);
  f("validation-accuracy", p.validation_accuracy), f("best-validation", p.best_validation);
  f("forward-sum", p.forward_sum), f("backward-sum", p.backward_sum), f("passes", p.passes);
  f("nfe-forward", p.nfe_forward), f("nfe-backward", p.nfe_backward);
  f("robust-accuracy", p.robust_accuracy), f("best-robust", p.best_robust);
}

std::string number_text(int64_t value) { return std::to_string(value); }
std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

template <typename T>
bool read_number(const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

void write_position(const Position& position, nn::Metadata& metadata) {
  each_field(position, [&](const char* name, auto value) { metadata[name] = number_text(value); });
}

void write_schedule(const nn::Schedule& schedule, nn::Metadata& metadata) {
  for (double value : schedule.state()) metadata["schedule"] += number_text(value) + " ";
}

void MetadataReader::check(bool sound, const char* name, const std::string& what) const {
  if (!sound)
    throw DataError(
        concat(file_, ": metadata \"", name, "\" is ", what, "; the run cannot be resumed."));
}

const std::string& MetadataReader::text(const char* name) const {
  const auto found = metadata_.find(name);
  check(found != metadata_.end(), name, "missing");
  return found->second;
}

void MetadataReader::read(const char* name, int64_t& value) const {
  const std::string& t = text(name);
  check(read_number(t, value), name, "\"" + t + "\", not a number");
  check(value >= 0 && static_cast<double>(value) <= kLargestCount, name,
        "\"" + t + "\", out of its range");
}

void MetadataReader::read(const char* name, double& value) const {
  const std::string& t = text(name);
  check(read_number(t, value), name, "\"" + t + "\", not a number");
  check(value >= 0 && value <= kLargestCount, name, "\"" + t + "\", out of its range");
}

void MetadataReader::read(const char* name, std::vector<double>& values) const {
  const std::string& t = text(name);
  const char* at = t.c_str();
  for (double& value : values) {
    char* end = nullptr;
    value = std::strtod(at, &end);
    check(end != at && !std::isnan(value), name,
          concat("\"", t, "\", not ", values.size(), " numbers"));
    at = end;
  }
}

Position read_position(const MetadataReader& reader, int64_t batches, int64_t samples) {
  Position p;
  each_field(p, [&](const char* name, auto& value) { reader.read(name, value); });
  reader.check(p.batch <= batches, "batch", concat(p.batch, ", an epoch has ", batches));
  reader.check(p.seen <= samples, "seen",
               concat(p.seen, ", the training set has ", samples, " samples"));
  reader.check(p.correct <= p.seen, "correct", concat(p.correct, " of ", p.seen, " samples"));
  reader.check(p.test_accuracy <= 1, "test-accuracy", concat(p.test_accuracy, ", above 1"));
  reader.check(p.best_accuracy <= 1, "best-accuracy", concat(p.best_accuracy, ", above 1"));
  return p;
}

void read_schedule(const MetadataReader& reader, nn::Schedule& schedule) {
  std::vector<double> learnt = schedule.state();
  if (learnt.empty()) return;
  reader.read("schedule", learnt);
  schedule.restore(learnt);
}

}  // namespace slope::program
