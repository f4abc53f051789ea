#include "nn/schedule.h"

#include <algorithm>
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

class Triangular final : public Schedule {
 public:
  // halved: the height, after each cycle.
  Triangular(double base, double rate, double momentum, double up, double down, bool halved)
      : base_(base), rate_(rate), momentum_(momentum), up_(up), down_(down), halved_(halved) {}
  ScheduleValues at(int64_t step, int64_t) const override {
    const double length = up_ + down_, top = up_ / length;
    const double cycle = std::floor(1 + static_cast<double>(step) / length);
    const double x = 1 + static_cast<double>(step) / length - cycle;
    const double height =
        (x <= top ? x / top : (1 - x) / (1 - top)) / (halved_ ? std::pow(2, cycle - 1) : 1.0);
    return {base_ + (rate_ - base_) * height, momentum_ - std::min(0.1, momentum_) * height};
  }

 private:
  double base_, rate_, momentum_, up_, down_;
  bool halved_;
};

class Step final : public Schedule {
 public:
  Step(double rate, double momentum, double every, double factor)
      : rate_(rate), momentum_(momentum), every_(every), factor_(factor) {}
  ScheduleValues at(int64_t step, int64_t) const override {
    return {rate_ * std::pow(factor_, std::floor(static_cast<double>(step) / every_)), momentum_};
  }

 private:
  double rate_, momentum_, every_, factor_;
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

class Plateau final : public Schedule {
 public:
  Plateau(double rate, double momentum, double patience, double factor)
      : rate_(rate), momentum_(momentum), patience_(patience), factor_(factor) {}
  ScheduleValues at(int64_t, int64_t) const override { return {rate_ * scale_, momentum_}; }
  void observe(double loss) override {
    if (loss < best_ * (1 - 1e-4)) {
      best_ = loss;
      waited_ = 0;
    } else if (++waited_ > patience_) {
      scale_ *= factor_;
      waited_ = 0;
    }
  }
  std::vector<double> state() const override { return {best_, waited_, scale_}; }
  void restore(const std::vector<double>& values) override {
    best_ = values.at(0), waited_ = values.at(1), scale_ = values.at(2);
  }

 private:
  double rate_, momentum_, patience_, factor_;
  double best_ = INFINITY, waited_ = 0, scale_ = 1;
};

// Another schedule behind a rise.
class Warmup final : public Schedule {
 public:
  Warmup(std::unique_ptr<Schedule> then, int64_t steps) : then_(std::move(then)), steps_(steps) {}
  ScheduleValues at(int64_t step, int64_t total) const override {
    const int64_t left = std::max<int64_t>(total - steps_, 1);
    if (step >= steps_) return then_->at(step - steps_, left);
    ScheduleValues values = then_->at(0, left);
    values.rate *= static_cast<double>(step + 1) / static_cast<double>(steps_);
    return values;
  }
  void observe(double loss) override { then_->observe(loss); }
  std::vector<double> state() const override { return then_->state(); }
  void restore(const std::vector<double>& values) override { then_->restore(values); }

 private:
  std::unique_ptr<Schedule> then_;
  int64_t steps_;
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
  const auto steps = [&](const char* option, const char* standard, double least) {
    const double value = number(word, take(option, standard));
    if (!(value >= least) || value > 1e15 || value != std::floor(value))
      throw ValueError(concat("schedule: ", option, " must be a whole number from ", least,
                              " on, got ", value, "."));
    return value;
  };
  const auto factor = [&] {
    const double value = number(word, take("factor", "0.1"));
    if (!(value > 0))
      throw ValueError(concat("schedule: factor must be positive, got ", value, "."));
    return value;
  };
  std::unique_ptr<Schedule> schedule;
  std::string known;
  bool rises = false;
  if (name == "constant") schedule = std::make_unique<Constant>(rate, momentum);
  if (name == "cosine") schedule = std::make_unique<Cosine>(rate, momentum);
  if (name == "one-cycle") {
    schedule = std::make_unique<OneCycle>(rate);
    rises = true;
  }
  if (name == "triangular" || name == "triangular2") {
    const double base = number(word, take("base", "0"));
    if (base < 0)
      throw ValueError(concat("schedule: base must be a rate from 0 on, got ", base, "."));
    const double up = steps("up", nullptr, 1);
    const std::optional<std::string> given = parsed.take("down");
    const double down = given ? number(word, *given) : up;
    if (!(down >= 1) || down > 1e15 || down != std::floor(down))
      throw ValueError(concat("schedule: down must be a whole number from 1 on, got ", down, "."));
    schedule = std::make_unique<Triangular>(base, rate, momentum, up, down, name == "triangular2");
    known = "up, down, base";
    rises = true;
  }
  if (name == "step") {
    const double every = steps("every", nullptr, 1);
    schedule = std::make_unique<Step>(rate, momentum, every, factor());
    known = "every, factor";
  }
  if (name == "multi-step") {
    std::vector<double> at;
    for (const std::string& part : split(take("at", nullptr), '/')) {
      const double fraction = number(word, part);
      if (!(fraction > (at.empty() ? 0 : at.back()) && fraction < 1))
        throw ValueError(
            concat("schedule: at has parts of the training, between 0 and 1 and "
                   "rising, as in at=0.5/0.75; got ",
                   part, " in ", word, "."));
      at.push_back(fraction);
    }
    schedule = std::make_unique<MultiStep>(rate, momentum, at, factor());
    known = "at, factor";
  }
  if (name == "plateau") {
    const double patience = steps("patience", "2", 0);
    schedule = std::make_unique<Plateau>(rate, momentum, patience, factor());
    known = "patience, factor";
  }
  if (!schedule) {
    throw ValueError(concat("schedule: \"", name,
                            "\" is not one of constant, cosine, one-cycle, triangular, "
                            "triangular2, step, multi-step, plateau."));
  }
  if (!rises) {
    known += known.empty() ? "warmup" : ", warmup";
    const auto warmup = static_cast<int64_t>(steps("warmup", "0", 0));
    if (warmup > 0) schedule = std::make_unique<Warmup>(std::move(schedule), warmup);
  }
  parsed.expect_empty(known);
  return schedule;
}

}  // namespace slope::nn
