#include "nn/schedule.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "core/error.h"
#include "core/word.h"

namespace slope::nn {
namespace {

class Constant final : public Schedule {
 public:
  Constant(double rate, double momentum) : values_{rate, momentum} {}
  ScheduleValues at(int64_t, int64_t) const override { return values_; }

 private:
  ScheduleValues values_;
};

// From a to b along half a cosine, x in [0, 1].
double along_cosine(double a, double b, double x) {
  return b + (a - b) * (1 + std::cos(std::numbers::pi * x)) / 2;
}

class Cosine final : public Schedule {
 public:
  Cosine(double rate, double momentum) : rate_(rate), momentum_(momentum) {}
  ScheduleValues at(int64_t step, int64_t total) const override {
    return {along_cosine(rate_, 0, static_cast<double>(step) / static_cast<double>(total)),
            momentum_};
  }

 private:
  double rate_, momentum_;
};

class OneCycle final : public Schedule {
 public:
  explicit OneCycle(double rate) : rate_(rate) {}
  ScheduleValues at(int64_t step, int64_t total) const override {
    const double top = 0.3 * static_cast<double>(total) - 1, last = static_cast<double>(total) - 1;
    const auto i = static_cast<double>(step);
    if (i <= top)
      return {along_cosine(rate_ / 25, rate_, i / top), along_cosine(0.95, 0.85, i / top)};
    const double x = last > top ? (i - top) / (last - top) : 1;
    return {along_cosine(rate_, rate_ / 25e4, x), along_cosine(0.85, 0.95, x)};
  }

 private:
  double rate_;
};

class Triangular2 final : public Schedule {
 public:
  Triangular2(double base, double rate, double momentum, double up)
      : base_(base), rate_(rate), momentum_(momentum), up_(up) {}
  ScheduleValues at(int64_t step, int64_t) const override {
    const double cycle = std::floor(1 + static_cast<double>(step) / (2 * up_));
    const double x = 1 + static_cast<double>(step) / (2 * up_) - cycle;
    const double height = (x <= 0.5 ? 2 * x : 2 * (1 - x)) / std::pow(2, cycle - 1);
    return {base_ + (rate_ - base_) * height, momentum_ - 0.1 * height};
  }

 private:
  double base_, rate_, momentum_, up_;
};

class MultiStep final : public Schedule {
 public:
  MultiStep(double rate, double momentum, std::vector<double> at, double factor)
      : rate_(rate), momentum_(momentum), at_(std::move(at)), factor_(factor) {}
  ScheduleValues at(int64_t step, int64_t total) const override {
    double rate = rate_;
    for (double fraction : at_) {
      if (static_cast<double>(step) >= fraction * static_cast<double>(total)) rate *= factor_;
    }
    return {rate, momentum_};
  }

 private:
  double rate_, momentum_;
  std::vector<double> at_;
  double factor_;
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

double number(const std::string& word, const std::string& text) {
  size_t used = 0;
  double value = NAN;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
  }
  if (used != text.size() || !std::isfinite(value)) {
    throw ValueError(concat("schedule: \"", text, "\" in ", word, " is not a number."));
  }
  return value;
}

}  // namespace

std::unique_ptr<Schedule> make_schedule(const std::string& word, double rate, double momentum) {
  Word parsed("schedule", word);
  const std::string& name = parsed.name();
  const auto take = [&](const char* option, const char* standard) {
    const std::optional<std::string> value = parsed.take(option);
    if (!value && !standard)
      throw ValueError(concat("schedule: ", name, " needs ", option, "=..."));
    return value.value_or(standard ? standard : "");
  };
  std::unique_ptr<Schedule> schedule;
  if (name == "constant") schedule = std::make_unique<Constant>(rate, momentum);
  if (name == "cosine") schedule = std::make_unique<Cosine>(rate, momentum);
  if (name == "one-cycle") schedule = std::make_unique<OneCycle>(rate);
  if (name == "triangular2") {
    const double base = number(word, take("base", "0")), up = number(word, take("up", nullptr));
    if (!(up >= 1)) throw ValueError(concat("schedule: up must be at least 1, got ", up, "."));
    schedule = std::make_unique<Triangular2>(base, rate, momentum, up);
  }
  if (name == "multi-step") {
    std::vector<double> at;
    for (const std::string& part : split(take("at", nullptr), '/'))
      at.push_back(number(word, part));
    schedule = std::make_unique<MultiStep>(rate, momentum, at, number(word, take("factor", "0.1")));
  }
  if (!schedule) {
    throw ValueError(
        concat("schedule: \"", name,
               "\" is not one of constant, cosine, one-cycle, triangular2, multi-step."));
  }
  parsed.expect_empty(name == "triangular2"  ? "up, base"
                      : name == "multi-step" ? "at, factor"
                                             : "");
  return schedule;
}

}  // namespace slope::nn
