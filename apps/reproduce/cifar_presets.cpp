// CIFAR-10: the meta-solver's regimes, Ott's ODE on pixels, the homework's ladder, the adjoint
// against the exact gradient.
#include <map>

#include "apps/reproduce/preset.h"
#include "core/error.h"

namespace slope::reproduce {
namespace {

const std::vector<int> kSteps{1, 2, 4, 6, 8, 10, 12, 14, 16};

Preset metasolver_cifar() {
  Preset p{.name = "metasolver-cifar",
           .what =
               "standalone, switching and smoothing in fast adversarial training, tested with 1 "
               "to 16 steps",
           .source = "Gusak et al. 2021, Meta-Solver for Neural ODEs, the CIFAR-10 figure",
           .seeds_full = 3,
           .seeds_smoke = 1,
           .experiments = {},
           .rows = {},
           .note =
               "Published figures are means of 3 seeds over 9984 test images; those of "
               "switching are read off the figure. Its error bands are s / n, less than half of "
               "the standard error. The published training adds the attack's own gradient to "
               "that of the step, and draws switched solvers for each block: here the gradient "
               "is the step's alone, and a step has one draw."};
  const std::string recipe =
      " --optimizer sgd --lr 0.1 --momentum 0.9 --weight-decay 5e-4 --schedule "
      "triangular2,up=3186,base=1e-7 --batch 256 --epochs 36 --validation 0.1 --augment "
      "crop,padding=4,flip --train-attack fgsm-random,eps=8/255,alpha=10/255";
  struct Case {
    const char *name, *training, *coarser;  // coarser: of the smoke scale
    std::vector<double> clean, fgsm, pgd;   // by kSteps, in percent
  };
  const double none = -1;
  const Case cases[] = {
      {"standalone",
       "--solver rk2,u=0.5:8",
       "--solver rk2,u=0.5:2",
       {77.0767, 81.7274, 82.2683, 82.3785, 82.4352, 82.4219, 82.4185, 82.4219, 82.4352},
       {30.1149, 39.3329, 40.5950, 40.7185, 40.7352, 40.7519, 40.7652, 40.7519, 40.7419},
       {26.4623, 35.1663, 35.8006, 35.7639, 35.6804, 35.7372, 35.6938, 35.6971, 35.7171}},
      {"switching",
       "--regime switching --solver rk2,u=0.5:8+rk2,u=0.5125:8+rk2,u=0.4875:8",
       "--solver rk2,u=0.5:2+rk2,u=0.5125:2+rk2,u=0.4875:2",
       {none, 81.91, 82.69, 82.82, 82.84, 82.84, 82.84, 82.84, 82.83},
       {none, 39.46, 40.71, 40.90, 40.88, 40.90, 40.92, 40.93, 40.96},
       {none, 35.20, 35.91, 35.96, 36.01, 35.99, 36.02, 36.10, 36.06}},
      {"smoothing",
       "--regime smoothing --solver rk2,u=0.5:8 --noise normal,0.0125,reset",
       "--solver rk2,u=0.5:2",
       {77.0566, 81.8843, 82.7057, 82.8359, 82.8526, 82.8425, 82.8459, 82.8492, 82.8592},
       {30.5088, 40.1242, 41.2994, 41.3962, 41.3896, 41.4129, 41.3862, 41.4129, 41.3996},
       {26.5792, 35.5435, 36.3081, 36.3949, 36.4049, 36.3782, 36.3281, 36.3849, 36.3916}}};
  std::string tested, few_solvers;
  for (int n : kSteps) tested += concat("--solver rk2,u=0.5:", n, " ");
  for (int n : {1, 2, 8}) few_solvers += concat("--solver rk2,u=0.5:", n, " ");
  const std::string fgsm = "fgsm,eps=8/255", pgd = "pgd,eps=8/255,step=2/255,iterations=7";
  for (const char* what : {"clean", "FGSM", "PGD-7"})
    p.charts.push_back({.title = concat("accuracy against test steps, ", what),
                        .x = "steps of RK2, u = 0.5",
                        .y = "accuracy"});
  for (const Case& c : cases) {
    p.experiments.push_back(
        {.name = c.name,
         .train = {concat("premetanode10 ", c.training, recipe),
                   concat("--epochs 1 --limit 2560 --batch 32 --test-limit 1000 --schedule "
                          "triangular2,up=36,base=1e-7 ",
                          c.coarser)},
         .measurements = {
             eval("clean", tested, few_solvers + "--limit 100"),
             attack("attacks",
                    concat("--attack ", fgsm, " --attack ", pgd, " ", tested, "--limit 10000"),
                    few_solvers + "--limit 50"),
             attack("autoattack", "--attack autoattack,eps=8/255 --limit 1000",
                    "--attack apgd-ce,eps=8/255,iterations=10 --limit 50")}});
    p.rows.push_back({.what = concat(c.name, ", clean, last epoch"),
                      .published = c.clean[4] / 100,
                      .measured = last_epoch(c.name),
                      .note = "published with 8 steps"});
    p.rows.push_back({.what = concat(c.name, ", clean, best epoch by the test set"),
                      .measured = best_epoch(c.name)});
    const auto add = [&](const std::string& what, const std::vector<double>& published,
                         const std::string& from, const std::string& attack) {
      for (size_t i = 0; i < kSteps.size(); ++i) {
        const std::string solver = concat("rk2,u=0.5:", kSteps[i]);
        Figure figure{.experiment = c.name, .from = from, .where = {{"solver", solver}}};
        if (!attack.empty()) figure.where["attack"] = attack;
        Row row{.what = concat(c.name, ", ", what, ", ", kSteps[i], " steps"),
                .measured = figure,
                .point = Point{concat("accuracy against test steps, ", what), c.name,
                               static_cast<double>(kSteps[i])}};
        if (published[i] >= 0) row.published = published[i] / 100;
        p.rows.push_back(row);
      }
    };
    add("clean", c.clean, "clean", "");
    add("FGSM", c.fgsm, "attacks", fgsm);
    add("PGD-7", c.pgd, "attacks", pgd);
    p.rows.push_back({.what = concat(c.name, ", AutoAttack (smoke: APGD-CE, 10 steps)"),
                      .measured = first_of(c.name, "autoattack")});
  }
  return p;
}

Preset figure_4d() {
  Preset p{.name = "resnet-after-all-4d",
           .what = "an ODE on the CIFAR-10 image itself, dopri5, tested with other tolerances",
           .source = "Ott et al. 2021, ResNet After All?, figure 4d",
           .seeds_full = 5,
           .seeds_smoke = 1,
           .experiments = {},
           .rows = {},
           .note =
               "The paper has curves only, below 70 %. The published evaluation leaves the last "
               "16 of the 10,000 test images out."};
  p.experiments.push_back(
      {.name = "dopri5",
       .train = {"odenet-pixels --solver dopri5@1e-3 --optimizer adam --lr 1e-4 --batch 256 "
                 "--iterations 7800",
                 "--batch 32 --iterations 100 --lr 1e-3 --test-limit 500"},
       .measurements = {
           eval("tolerances", "--solver dopri5@1e-4 --solver dopri5@1e-3 --solver dopri5@1e-2",
                "--limit 100"),
           eval("finer", "--solver dopri5@1e-5 --solver rk38:32", "--limit 100")}});
  p.rows.push_back({.what = "parameters",
                    .published = 179213,
                    .measured = of_training("dopri5", "parameters"),
                    .unit = Unit::number});
  p.rows.push_back({.what = "last epoch", .measured = last_epoch("dopri5")});
  p.rows.push_back({.what = "best epoch", .measured = best_epoch("dopri5")});
  for (const auto& [solver, factor] :
       {std::pair{"dopri5@1e-4", "0.1"}, std::pair{"dopri5@1e-3", "1"},
        std::pair{"dopri5@1e-2", "10"}})
    p.rows.push_back({.what = concat("tolerance times ", factor),
                      .measured = under_solver("dopri5", "tolerances", solver)});
  p.rows.push_back({.what = "drop under finer solvers",
                    .measured = under_solver("dopri5", "tolerances", "dopri5@1e-3"),
                    .minus = lowest_of("dopri5", "finer")});
  p.rows.push_back({.what = "evaluations of a forward pass",
                    .measured = of_training("dopri5", "nfe_forward"),
                    .unit = Unit::number});
  return p;
}

Preset homework_cifar() {
  Preset p{.name = "homework-cifar",
           .what = "from the MNIST net to 85 % on CIFAR-10, a ladder of five experiments",
           .source = "a homework on torchdiffeq's ODE net",
           .seeds_full = 1,
           .seeds_smoke = 1,
           .experiments = {},
           .rows = {},
           .note =
               "Published accuracies are the best of all epochs by the test set, as told in "
               "words (\"about 80 %\"). Rows 3 and 4 had one convolution more in the "
               "down-sampling, which no model here has: they take row 2's net. Rows 1, 2 and 4 "
               "do not say how many epochs: 100 here."};
  const std::string sgd =
      " --optimizer sgd --lr 0.1 --momentum 0.9 --schedule "
      "multi-step,at=0.375/0.625/0.875 --batch 128 --epochs 100";
  struct Case {
    const char *name, *what;
    std::string train;
    double published;
    const char* note;
  };
  const Case cases[] = {
      {"row-1", "row 1: the MNIST net, random crop",
       "odenet-mnist --data cifar10 --solver euler:1 --gradient adjoint --augment crop,padding=4" +
           sgd,
       .80, "about 80 % at best"},
      {"row-2", "row 2: one more convolution and norm, dropout",
       "odenet-cifar,downsampling=conv --solver euler:1 --gradient adjoint --augment "
       "crop,padding=4" +
           sgd,
       -1, "a little better"},
      {"row-3", "row 3: Adam, 200 epochs",
       "odenet-cifar,downsampling=conv --solver euler:1 --gradient adjoint --augment "
       "crop,padding=4 --optimizer adam --lr 1e-3 --batch 128 --epochs 200",
       -1, "no better"},
      {"row-4", "row 4: SGD, rotation, flip, jitter",
       "odenet-cifar,downsampling=conv --solver euler:1 --gradient adjoint --augment "
       "crop,padding=4,rotate,degrees=10,flip,jitter" +
           sgd,
       -1, "worse at first, slow"},
      {"row-5", "row 5: residual down-sampling, dopri5, crop, flip, jitter, weight decay",
       "odenet-cifar,downsampling=res --solver dopri5@1e-3 --gradient adjoint --augment "
       "crop,padding=4,flip,jitter,hue=0.05,saturation=0.05 --weight-decay 1e-4" +
           sgd,
       .85, "about 85 % at best; about 40 s an epoch on a GPU"}};
  for (const Case& c : cases) {
    p.experiments.push_back(
        {.name = c.name,
         .train = {c.train,
                   "--epochs 1 --limit 12800 --batch 32 --schedule constant --test-limit 2000"}});
    Row best{
        .what = concat(c.what, ", best epoch"), .measured = best_epoch(c.name), .note = c.note};
    if (c.published > 0) best.published = c.published;
    p.rows.push_back(best);
    p.rows.push_back({.what = concat(c.what, ", last epoch"), .measured = last_epoch(c.name)});
    p.rows.push_back({.what = concat(c.what, ", seconds for 60,000 images"),
                      .measured = of_training(c.name, "seconds_per_60000"),
                      .unit = Unit::seconds});
  }
  return p;
}

Preset anode_vs_adjoint() {
  Preset p{.name = "anode-vs-adjoint",
           .what =
               "the exact gradient of the discrete solve against the continuous adjoint, and "
               "residual blocks",
           .source = "Gholami, Keutzer, Biros 2019, ANODE",
           .seeds_full = 3,
           .seeds_smoke = 1,
           .experiments = {},
           .rows = {},
           .note =
               "Published are averages over runs of other networks (their ResNet-4 and "
               "ResNet-10); metanode4 and metanode10 with group norm have as many layers. Their "
               "solver is not in the sources at hand: Euler with 2 steps is taken."};
  const std::string recipe =
      " --optimizer sgd --lr 0.1 --momentum 0.9 --weight-decay 5e-4 --schedule "
      "multi-step,at=0.5/0.75 --batch 256 --epochs 100 --augment crop,padding=4,flip";
  struct Case {
    const char *net, *size;
    double base, adjoint, exact;
  };
  for (const Case& c : {Case{"metanode4", "4 layers", .7695, .4737, .7730},
                        Case{"metanode10", "10 layers", .8810, .6794, .8860}}) {
    struct Variant {
      const char *name, *what, *block, *gradient;
      double published;
    };
    for (const Variant& v :
         {Variant{"residual", "residual blocks", ",block=residual", "checkpointed", c.base},
          Variant{"adjoint", "ODE, adjoint", "", "adjoint", c.adjoint},
          Variant{"exact", "ODE, exact gradient", "", "checkpointed", c.exact}}) {
      const std::string name = concat(c.net, "-", v.name);
      p.experiments.push_back(
          {.name = name,
           .train = {concat(c.net, ",norm=gn", v.block, " --solver euler:2 --gradient ", v.gradient,
                            recipe),
                     "--epochs 1 --limit 6400 --batch 32 --schedule constant --lr 0.05 "
                     "--test-limit 1000"}});
      p.rows.push_back({.what = concat(c.size, ", ", v.what, ", best epoch"),
                        .published = v.published,
                        .measured = best_epoch(name)});
      p.rows.push_back(
          {.what = concat(c.size, ", ", v.what, ", last epoch"), .measured = last_epoch(name)});
    }
  }
  return p;
}

}  // namespace

std::vector<Preset> cifar_presets() {
  return {metasolver_cifar(), figure_4d(), homework_cifar(), anode_vs_adjoint()};
}

}  // namespace slope::reproduce
