// "ResNet After All? Neural ODEs and Their Numerical Solution" (Ott, Katiyar, Hennig, Tiemann 2021)
// on points: concentric spheres and three minima.
#include <tuple>

#include "apps/reproduce/preset.h"
#include "core/error.h"

namespace slope::reproduce {
namespace {

constexpr const char* kPaper = "Ott et al. 2021, ResNet After All?";
constexpr const char* kOriginalOnce =
    "the original code, one run of 3000 iterations; the paper has curves only";
constexpr const char* kFigure1 = "read off figure 1 of the repository";
// Accuracies there cannot exceed this: the last batch is divided by the nominal batch size.
constexpr const char* kCap =
    "The original code divides the last, partial batch of the 1000 test points by 128, so that its "
    "accuracy is at most 97.66 %; here it is correct / all. Test accuracies are those of the last "
    "iteration. Drop: accuracy with the solver of the training less the lowest one among solvers "
    "of "
    "equal or smaller error.";

std::string training(const std::string& data, const std::string& solver,
                     const std::string& further = {}) {
  return concat("spheres-conv --data ", data, " --solver ", solver,
                " --optimizer adam --lr 1e-4 --batch 128 --iterations 10000", further);
}
constexpr const char* kFewer = "--iterations 3000";

const std::vector<int> kTestSteps{1, 2, 4, 8, 16, 32, 64, 128, 256};

// Accuracy under Euler, midpoint and the 3/8 rule at every step count.
std::vector<Measurement> step_sweeps() {
  std::vector<Measurement> list;
  for (const char* method : {"euler", "midpoint", "rk38"})
    list.push_back(eval(method, concat("--solver ", method, " --steps 1,2,4,8,16,32,64,128,256")));
  return list;
}

// Rows of a sweep over the test steps, with published values where there are any.
void add_sweep(Preset& preset, const std::string& experiment, const std::string& chart,
               const std::string& method, const std::vector<double>& published,
               const std::string& note) {
  for (size_t i = 0; i < kTestSteps.size(); ++i) {
    const std::string solver = concat(method, ":", kTestSteps[i]);
    Row row{.what = concat(chart, ", tested with ", solver),
            .measured = under_solver(experiment, method, solver),
            .point = Point{chart, method, static_cast<double>(kTestSteps[i])}};
    if (i < published.size()) {
      row.published = published[i];
      row.note = note;
    }
    preset.rows.push_back(row);
  }
}

// Own accuracy, and how much of it another solver of equal or smaller error may take away.
void add_drop(Preset& preset, const std::string& experiment, const std::string& what,
              std::optional<double> published = {}, const std::string& note = {}) {
  preset.rows.push_back({.what = what + ", its own solver",
                         .published = published,
                         .measured = first_of(experiment, "own"),
                         .note = note});
  preset.rows.push_back(
      {.what = what + ", lowest under finer solvers", .measured = lowest_of(experiment, "finer")});
  preset.rows.push_back({.what = what + ", drop",
                         .measured = first_of(experiment, "own"),
                         .minus = lowest_of(experiment, "finer")});
}

Measurement finer(const std::vector<std::string>& solvers) {
  std::string line;
  for (const std::string& s : solvers) line += (line.empty() ? "" : " ") + ("--solver " + s);
  return eval("finer", line);
}
// Finer than any step that the adaptation arrives at.
Measurement finest() {
  return finer({"euler:128", "euler:256", "midpoint:64", "midpoint:128", "rk38:64", "rk38:128"});
}

Preset figure_4a() {
  Preset p{.name = "resnet-after-all-4a",
           .what =
               "Euler nets tested with other solvers: valid flows only where trained with small "
               "steps",
           .source = concat(kPaper, ", figures 1 and 4a"),
           .seeds_full = 5,
           .seeds_smoke = 3,
           .experiments = {},
           .rows = {},
           .note = kCap};
  for (int k : {1, 2, 4, 8, 16, 32, 64, 256}) {
    const std::string name = concat("euler-", k);
    Experiment e{.name = name,
                 .train = {training("spheres,dim=2", concat("euler:", k)), kFewer},
                 .measurements = step_sweeps(),
                 .smoke = k == 1 || k == 2 || k == 64};
    e.measurements.push_back(eval("own", ""));
    e.measurements.push_back(
        finer({concat("euler:", 2 * k), concat("euler:", 4 * k), concat("midpoint:", k),
               concat("midpoint:", 2 * k), concat("rk38:", k), concat("rk38:", 2 * k)}));
    p.experiments.push_back(e);
    add_drop(p, name, concat("trained with euler:", k));
  }
  const auto chart = [&](int k) {
    const std::string title = concat("trained with euler:", k);
    p.charts.push_back({.title = title,
                        .x = "steps of the test solver",
                        .y = "test accuracy",
                        .logarithmic = true});
    return title;
  };
  std::string title = chart(1);
  add_sweep(p, "euler-1", title, "euler", {1.000, .746, .655, .671, .632, .620, .620, .617, .617},
            kOriginalOnce);
  add_sweep(p, "euler-1", title, "midpoint", {.474, .557, .607, .610, .614, .614, .614, .614, .614},
            kOriginalOnce);
  add_sweep(p, "euler-1", title, "rk38", {.662, .661, .629, .614, .614, .614, .614, .614, .614},
            kOriginalOnce);
  title = chart(2);
  add_sweep(p, "euler-2", title, "euler", {.74, .976, .47, .48, .49, .49, .49, .49, .49}, kFigure1);
  title = chart(64);
  add_sweep(p, "euler-64", title, "euler", {.485, .486, .529, .518, .607, .845, .920, .918, .913},
            kOriginalOnce);
  add_sweep(p, "euler-64", title, "midpoint",
            {.483, .546, .653, .840, .917, .901, .901, .901, .900}, kOriginalOnce);
  add_sweep(p, "euler-64", title, "rk38", {.520, .632, .808, .889, .900, .900, .900, .900, .900},
            kOriginalOnce);
  title = chart(256);
  add_sweep(p, "euler-256", title, "euler", {.55, .69, .76, .77, .79, .94, .976, .976, .976},
            kFigure1);
  return p;
}

Preset figure_4b() {
  Preset p{.name = "resnet-after-all-4b",
           .what = "the same with the midpoint method and the 3/8 rule in training",
           .source = concat(kPaper, ", figure 4b"),
           .seeds_full = 5,
           .seeds_smoke = 3,
           .experiments = {},
           .rows = {},
           .note = kCap};
  for (const auto& [method, steps, smoke] :
       {std::tuple{"midpoint", 1, true}, std::tuple{"midpoint", 4, false},
        std::tuple{"midpoint", 16, true}, std::tuple{"midpoint", 64, false},
        std::tuple{"rk38", 1, true}, std::tuple{"rk38", 4, false}, std::tuple{"rk38", 8, true},
        std::tuple{"rk38", 64, false}}) {
    const std::string solver = concat(method, ":", steps), name = concat(method, "-", steps);
    std::vector<std::string> other{concat(method, ":", 2 * steps), concat(method, ":", 4 * steps),
                                   concat("rk38:", 2 * steps), concat("rk38:", 4 * steps),
                                   "rk38:128"};
    p.experiments.push_back({.name = name,
                             .train = {training("spheres,dim=2", solver), kFewer},
                             .measurements = {eval("own", ""), finer(other)},
                             .smoke = smoke});
    add_drop(p, name, "trained with " + solver);
  }
  return p;
}

Preset figure_5() {
  Preset p{.name = "resnet-after-all-5",
           .what = "the step adapted during training: a valid flow at the least cost",
           .source = concat(kPaper, ", algorithm 2 and figure 5"),
           .seeds_full = 5,
           .seeds_smoke = 3,
           .experiments = {},
           .rows = {},
           .note = concat(kCap,
                          " The step's course is adapt.csv in each run folder, and a chart in "
                          "its report.")};
  p.experiments.push_back({.name = "spheres-adapted",
                           .train = {training("spheres,dim=2", "euler:1", " --adapt step"), kFewer},
                           .measurements = {eval("own", ""), finest()}});
  p.experiments.push_back(
      {.name = "spheres-midpoint-adapted",
       .train = {training("spheres,dim=2", "midpoint:1", " --adapt step"), kFewer},
       .measurements = {eval("own", ""), finest()},
       .smoke = false});
  p.experiments.push_back(
      {.name = "cifar-adapted",
       .train =
           {"odenet-pixels --solver euler:1 --adapt step --optimizer adam --lr 1e-4 --batch 256 "
            "--iterations 7800"},
       .measurements = {eval("own", ""), finer({"euler:256", "midpoint:128", "rk38:64"})},
       .smoke = false});
  const auto steps = [&](const char* experiment, const char* what, std::optional<double> published,
                         const char* note) {
    p.rows.push_back({.what = concat(what, ", steps at the end"),
                      .published = published,
                      .measured = of_training(experiment, "adapted_steps"),
                      .unit = Unit::number,
                      .note = note});
    p.rows.push_back({.what = concat(what, ", mean evaluations of a forward pass"),
                      .measured = of_training(experiment, "nfe_forward"),
                      .unit = Unit::number});
  };
  add_drop(p, "spheres-adapted", "spheres, Euler adapted", .969, kOriginalOnce);
  steps("spheres-adapted", "spheres, Euler adapted", 37, kOriginalOnce);
  add_drop(p, "spheres-midpoint-adapted", "spheres, midpoint adapted");
  steps("spheres-midpoint-adapted", "spheres, midpoint adapted", {}, "");
  add_drop(p, "cifar-adapted", "CIFAR-10, Euler adapted");
  steps("cifar-adapted", "CIFAR-10, Euler adapted", {}, "");
  return p;
}

Preset tolerance_adaptation() {
  Preset p{.name = "tolerance-adaptation",
           .what = "the tolerance of an adaptive solver adapted during training",
           .source = concat(kPaper, ", algorithm 3"),
           .seeds_full = 5,
           .seeds_smoke = 3,
           .experiments = {},
           .rows = {},
           .note = concat(kCap,
                          " The original code reads the evaluations of the training solve from "
                          "memory that was never written; here they are this iteration's own.")};
  const Measurement tight =
      finer({"dopri5@1e-7", "dopri5@1e-8", "rk38:64", "rk38:128", "euler:256"});
  const auto add = [&](const char* name, const char* solver, const char* further, bool adapted) {
    p.experiments.push_back(
        {.name = name,
         .train = {training("spheres,dim=2", solver, further), "--iterations 1500"},
         .measurements = {eval("own", ""), tight}});
    add_drop(p, name, adapted ? concat(name) : concat("trained with ", solver));
    p.rows.push_back({.what = concat(name, ", mean evaluations of a forward pass"),
                      .measured = of_training(name, "nfe_forward"),
                      .unit = Unit::number,
                      .note = adapted && std::string(solver).starts_with("dopri5")
                                  ? "the original code: 44 to 50 in one run of 400 iterations"
                                  : ""});
    if (adapted)
      p.rows.push_back({.what = concat(name, ", tolerance at the end"),
                        .measured = of_training(name, "adapted_size"),
                        .unit = Unit::number});
  };
  add("dopri5-adapted", "dopri5@1e-3", " --adapt tolerance", true);
  add("fehlberg2-adapted", "fehlberg2@1e-3", " --adapt tolerance", true);
  add("dopri5-fixed", "dopri5@1e-3", "", false);
  add("fehlberg2-fixed", "fehlberg2@1e-1", "", false);
  return p;
}

Preset three_minima() {
  Preset p{.name = "three-minima",
           .what =
               "in which of three minima a damped ball comes to rest: coarse, fine and adapted "
               "steps",
           .source = concat(kPaper, ", the third data set"),
           .seeds_full = 5,
           .seeds_smoke = 3,
           .experiments = {},
           .rows = {},
           .note =
               "The paper has no figures for this data set. Test accuracies are those of the "
               "last iteration, of 1000 points."};
  p.experiments.push_back({.name = "euler-1",
                           .train = {training("minima", "euler:1"), kFewer},
                           .measurements = {eval("own", ""), finest()}});
  p.experiments.push_back(
      {.name = "euler-64",
       .train = {training("minima", "euler:64"), kFewer},
       .measurements = {eval("own", ""), finer({"euler:128", "euler:256", "midpoint:64",
                                                "midpoint:128", "rk38:64", "rk38:128"})}});
  p.experiments.push_back({.name = "adapted",
                           .train = {training("minima", "euler:1", " --adapt step"), kFewer},
                           .measurements = {eval("own", ""), finest()}});
  p.rows.push_back({.what = "parameters",
                    .published = 3210,
                    .measured = of_training("euler-1", "parameters"),
                    .unit = Unit::number});
  add_drop(p, "euler-1", "trained with euler:1");
  add_drop(p, "euler-64", "trained with euler:64");
  add_drop(p, "adapted", "Euler adapted");
  p.rows.push_back({.what = "Euler adapted, steps at the end",
                    .measured = of_training("adapted", "adapted_steps"),
                    .unit = Unit::number});
  return p;
}

Preset spheres_dims() {
  Preset p{.name = "spheres-dims",
           .what = "spheres in 2, 3, 10 and 900 dimensions: one Euler step against adapted ones",
           .source = concat(kPaper, ", the spheres of its code"),
           .seeds_full = 5,
           .seeds_smoke = 3,
           .experiments = {},
           .rows = {},
           .note =
               "The paper has no figures beyond 2 dimensions. Test accuracies are those of the "
               "last iteration, of 1000 points."};
  const std::pair<int, double> dims[] = {{2, 3207}, {3, 3209}, {10, 3223}, {900, 5003}};
  for (const auto& [dim, parameters] : dims) {
    const std::string data = concat("spheres,dim=", dim);
    const std::string fewer =
        dim < 900 ? kFewer : "--iterations 60 --data spheres,dim=900,train=1000,test=200";
    const std::string one = concat("dim-", dim, "-euler-1"),
                      adapted = concat("dim-", dim, "-adapted");
    p.experiments.push_back({.name = one,
                             .train = {training(data, "euler:1"), fewer},
                             .measurements = {eval("own", ""), finest()}});
    p.experiments.push_back({.name = adapted,
                             .train = {training(data, "euler:1", " --adapt step"), fewer},
                             .measurements = {eval("own", ""), finest()}});
    p.rows.push_back({.what = concat("dimension ", dim, ", parameters"),
                      .published = parameters,
                      .measured = of_training(one, "parameters"),
                      .unit = Unit::number});
    add_drop(p, one, concat("dimension ", dim, ", euler:1"));
    add_drop(p, adapted, concat("dimension ", dim, ", adapted"));
    p.rows.push_back({.what = concat("dimension ", dim, ", adapted, steps at the end"),
                      .measured = of_training(adapted, "adapted_steps"),
                      .unit = Unit::number});
  }
  return p;
}

}  // namespace

std::vector<Preset> sphere_presets() {
  return {figure_4a(),    figure_4b(),   figure_5(), tolerance_adaptation(),
          three_minima(), spheres_dims()};
}

}  // namespace slope::reproduce
