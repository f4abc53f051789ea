// Presets of `slope reproduce`: published experiments as data. What is trained, what is measured of
// it, and which published figure each measurement stands beside.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace slope::reproduce {

enum class Scale { smoke, full };
const char* name(Scale scale);

// Arguments of a command, as they are typed: those of the published setting, and what the smoke
// scale changes about them, which is put behind and wins.
struct Arguments {
  std::string full, smoke = {};
};

// What is done with a trained run: `slope eval RUN ..` or `slope attack RUN ..`.
struct Measurement {
  enum class Command { eval, attack };
  std::string name;
  Command command = Command::eval;
  Arguments arguments = {};
};

// A model that is trained, once for each seed, and measured.
struct Experiment {
  std::string name;  // its folder
  Arguments train;   // of `slope train`
  std::vector<Measurement> measurements = {};
  bool smoke = true;  // part of the smoke scale
};

// Where a number comes from: a field of what a command has printed with --json.
struct Figure {
  std::string experiment;
  std::string from;  // "train", "epoch 1" (a row of metrics.csv) or the name of a measurement
  std::string field = "accuracy";
  // Fields of the result that is meant, {{"solver", "euler:2"}}; none: the first.
  std::map<std::string, std::string> where = {};
  enum class Take { one, lowest, quoted };
  // lowest: over all results that fit; quoted: of an attack, samples that withstand all attackers.
  Take take = Take::one;
};

// A line in a chart: accuracy against steps, say.
struct Point {
  std::string chart, series;
  double x = 0;
};

enum class Unit { share, number, seconds };

struct Row {
  std::string what;
  std::optional<double> published = {};
  std::optional<Figure> measured = {};  // none: published only, and `note` says why
  std::optional<Figure> minus = {};     // the difference of two figures of one seed
  Unit unit = Unit::share;
  std::string note = {};  // on the published figure
  std::optional<Point> point = {};
};

struct Chart {
  std::string title, x, y;
  bool logarithmic = false;  // along x
  std::string caption = {};
};

struct Preset {
  std::string name, what, source;
  int seeds_full = 1, seeds_smoke = 1;
  std::vector<Experiment> experiments;
  std::vector<Row> rows;
  std::vector<Chart> charts = {};
  std::string note = {};   // what to know when reading the table
  std::string smoke = {};  // what is different at the smoke scale beside the arguments
};

// All of them, in the order in which they are listed.
const std::vector<Preset>& presets();
// ValueError: there is none of this name; the nearest one is offered.
const Preset& preset(const std::string& name);

// The parts of the list.
std::vector<Preset> sphere_presets();
std::vector<Preset> mnist_presets();
std::vector<Preset> tisode_presets();
std::vector<Preset> cifar_presets();

// ---- words that presets are built of ----

inline Measurement eval(const std::string& name, const std::string& full,
                        const std::string& smoke = {}) {
  return {.name = name, .command = Measurement::Command::eval, .arguments = {full, smoke}};
}
inline Measurement attack(const std::string& name, const std::string& full,
                          const std::string& smoke = {}) {
  return {.name = name, .command = Measurement::Command::attack, .arguments = {full, smoke}};
}
// Test accuracy as the training tells it: of the last epoch, or of the best one.
inline Figure last_epoch(const std::string& experiment) {
  return {.experiment = experiment, .from = "train", .field = "test_accuracy"};
}
inline Figure best_epoch(const std::string& experiment) {
  return {.experiment = experiment, .from = "train", .field = "best_accuracy"};
}
inline Figure of_training(const std::string& experiment, const std::string& field) {
  return {.experiment = experiment, .from = "train", .field = field};
}
inline Figure under_solver(const std::string& experiment, const std::string& measurement,
                           const std::string& solver) {
  return {.experiment = experiment, .from = measurement, .where = {{"solver", solver}}};
}
inline Figure under_attack(const std::string& experiment, const std::string& measurement,
                           const std::string& attack) {
  return {.experiment = experiment, .from = measurement, .where = {{"attack", attack}}};
}
inline Figure first_of(const std::string& experiment, const std::string& measurement,
                       const std::string& field = "accuracy") {
  return {.experiment = experiment, .from = measurement, .field = field};
}
inline Figure lowest_of(const std::string& experiment, const std::string& measurement) {
  return {.experiment = experiment, .from = measurement, .take = Figure::Take::lowest};
}

}  // namespace slope::reproduce
