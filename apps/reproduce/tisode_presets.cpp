// "On Robustness of Neural Ordinary Differential Equations" (Yan, Du, Tan, Feng 2020): TisODE, and
// the questions that its readers asked.
#include "apps/reproduce/preset.h"
#include "core/error.h"

namespace slope::reproduce {
namespace {

constexpr const char* kPaper = "Yan et al. 2020, On Robustness of Neural ODEs";
constexpr const char* kNoData = "no data at hand: published only";

// The three networks with the same number of convolutions.
struct Block {
  const char *word, *name, *further;
};
const Block kCnn{"cnn", "CNN", ""}, kOde{"ode", "ODE net", ""},
    kTisode{"tisode", "TisODE", " --regularize steady=0.01,steady-form=released,steady-after=5"};

// The released recipe for MNIST: Adam with L2 decay, the rate times 0.2 at 30, 60 and 90 %.
std::string training(const Block& block, const std::string& further) {
  const bool tisode = block.word == kTisode.word;
  return concat(
      "tisode-mnist,block=", block.word, " --solver ", tisode ? "euler:h=0.05" : "euler:h=0.1",
      " --gradient checkpointed --optimizer adam --lr 1e-3 --weight-decay 5e-4 --schedule "
      "multi-step,at=0.3/0.6/0.9,factor=0.2 --batch 128 --epochs 100",
      block.further, further);
}
// Few pictures and epochs; TisODE's loss begins after one of them.
std::string smoke(const Block& block) {
  return std::string("--epochs 2 --limit 3200 --batch 32 --test-limit 1000") +
         (block.word == kTisode.word
              ? " --regularize steady=0.01,steady-form=released,steady-after=1"
              : "");
}

const char* const kAttacks =
    "--attack noise,sigma=100/255 --attack tisode-fgsm,eps=0.15 --attack tisode-fgsm,eps=0.3 "
    "--attack tisode-fgsm,eps=0.5 --attack tisode-pgd,eps=0.2 --attack tisode-pgd,eps=0.3 --attack "
    "fgsm,eps=0.3";

struct Cell {
  const char *attack, *what;
};
const Cell kCells[] = {{"noise,sigma=100/255", "noise, sigma 100"},
                       {"tisode-fgsm,eps=0.15", "FGSM-0.15"},
                       {"tisode-fgsm,eps=0.3", "FGSM-0.3"},
                       {"tisode-fgsm,eps=0.5", "FGSM-0.5"},
                       {"tisode-pgd,eps=0.2", "PGD-0.2"},
                       {"tisode-pgd,eps=0.3", "PGD-0.3"},
                       {"fgsm,eps=0.3", "FGSM-0.3 of the cross-entropy"}};

void add_block(Preset& p, const Block& block, const std::string& protocol,
               std::optional<double> clean, const std::map<std::string, double>& published,
               const std::string& note) {
  const std::string name = block.word;
  p.experiments.push_back(
      {.name = name,
       .train = {training(block, protocol), smoke(block)},
       .measurements = {attack("attacks", std::string(kAttacks) + " --limit 1000", "--limit 300"),
                        attack("autoattack", "--attack autoattack,eps=0.3 --limit 1000",
                               "--attack apgd-ce,eps=0.3,iterations=20 --limit 100")}});
  p.rows.push_back(
      {.what = concat(block.name, ", clean, last epoch"), .measured = last_epoch(name)});
  p.rows.push_back({.what = concat(block.name, ", clean, best epoch"),
                    .published = clean,
                    .measured = best_epoch(name),
                    .note = clean ? "published on noisy test images" : ""});
  for (const Cell& cell : kCells) {
    Row row{.what = concat(block.name, ", ", cell.what),
            .measured = under_attack(name, "attacks", cell.attack)};
    if (const auto found = published.find(cell.what); found != published.end()) {
      row.published = found->second;
      row.note = note;
    }
    p.rows.push_back(row);
  }
  p.rows.push_back({.what = concat(block.name, ", AutoAttack-0.3 (smoke: APGD-CE, 20 steps)"),
                    .measured = first_of(name, "autoattack")});
}

constexpr const char* kProtocol =
    "FGSM and PGD are the published ones: the sign of the gradient of a clipped margin, from the "
    "clean picture; PGD takes 9 steps. Beside them FGSM of the cross-entropy and AutoAttack. "
    "Attacked "
    "are the first 1000 test images (published: 1000 random ones, and accuracies among those that "
    "were right when clean), at the weights of the last epoch (published: the best by the test "
    "set).";

Preset tisode_noise() {
  Preset p{.name = "tisode-noise",
           .what = "CNN, ODE net and TisODE trained on noisy digits, under noise and attacks",
           .source = concat(kPaper, ", the table with Gaussian training and its released log"),
           .seeds_full = 3,
           .seeds_smoke = 1,
           .experiments = {},
           .rows = {},
           .note = kProtocol};
  const std::string noise = " --train-noise tisode-noise";
  const char* const released = "mean of 3 seeds, released log, and the notes' table";
  add_block(p, kCnn, noise, .993,
            {{"noise, sigma 100", .987},
             {"FGSM-0.15", .8557},
             {"FGSM-0.3", .5377},
             {"FGSM-0.5", .1573},
             {"PGD-0.2", .329},
             {"PGD-0.3", .000}},
            released);
  add_block(p, kOde, noise, .995,
            {{"noise, sigma 100", .994},
             {"FGSM-0.15", .9373},
             {"FGSM-0.3", .7113},
             {"FGSM-0.5", .1980},
             {"PGD-0.2", .647},
             {"PGD-0.3", .130}},
            released);
  add_block(p, kTisode, noise, .995,
            {{"noise, sigma 100", .996},
             {"FGSM-0.3", .7720},
             {"FGSM-0.5", .3370},
             {"PGD-0.2", .674},
             {"PGD-0.3", .132}},
            "released log; sigma and PGD from the paper's table");
  struct Elsewhere {
    const char* what;
    double value;
  };
  for (const Elsewhere& row :
       {Elsewhere{"SVHN, CNN, original data, noise, sigma 35", .609},
        Elsewhere{"SVHN, ODE net, original data, noise, sigma 35", .782},
        Elsewhere{"SVHN, CNN, original data, FGSM-8/255", .054},
        Elsewhere{"SVHN, ODE net, original data, FGSM-8/255", .309},
        Elsewhere{"SVHN, CNN, noise training, PGD-3/255", .324},
        Elsewhere{"SVHN, ODE net, noise training, PGD-3/255", .509},
        Elsewhere{"SVHN, CNN, noise training, PGD-5/255", .140},
        Elsewhere{"SVHN, ODE net, noise training, PGD-5/255", .272},
        Elsewhere{"ImgNet10, CNN, original data, noise, sigma 25", .408},
        Elsewhere{"ImgNet10, ODE net, original data, noise, sigma 25", .487}})
    p.rows.push_back({.what = row.what, .published = row.value, .note = kNoData});
  return p;
}

Preset tisode_adversarial() {
  Preset p{.name = "tisode-adversarial",
           .what = "CNN, ODE net and TisODE trained on attacked digits",
           .source = concat(kPaper, ", the table with adversarial training"),
           .seeds_full = 3,
           .seeds_smoke = 1,
           .experiments = {},
           .rows = {},
           .note = concat(kProtocol,
                          " The attack of the adversarial training is not given in the sources at "
                          "hand: FGSM of the published kind with eps 0.3 is taken.")};
  const std::string attacked = " --train-attack tisode-fgsm,eps=0.3";
  const char* const table = "the notes' table";
  add_block(p, kCnn, attacked, {},
            {{"noise, sigma 100", .580}, {"FGSM-0.3", .984}, {"FGSM-0.5", .211}, {"PGD-0.3", .053}},
            table);
  add_block(p, kOde, attacked, {},
            {{"noise, sigma 100", .842}, {"FGSM-0.3", .991}, {"FGSM-0.5", .360}, {"PGD-0.3", .123}},
            table);
  add_block(p, kTisode, attacked, {},
            {{"noise, sigma 100", .879}, {"FGSM-0.3", .991}, {"FGSM-0.5", .665}, {"PGD-0.3", .789}},
            table);
  return p;
}

Preset tisode_questions() {
  Preset p{.name = "tisode-questions",
           .what =
               "what readers asked: other solvers, other gradients, a ResNet of shared weights, "
               "AutoAttack",
           .source = concat("open questions on ", kPaper),
           .seeds_full = 3,
           .seeds_smoke = 1,
           .experiments = {},
           .rows = {},
           .note =
               "No published figures: the rows answer each other. An ODE net without time "
               "channel solved by ten Euler steps is a ResNet of ten blocks that share their "
               "weights, each added a tenth: the rows of \"shared-weight ResNet\" solve the "
               "same weights with other step counts, for which an ODE would not change. Attacks "
               "on the first 1000 test images, at the weights of the last epoch."};
  const std::string weak = "tisode-fgsm,eps=0.3", pgd = "pgd,eps=0.2,step=0.02,iterations=20";
  const std::string few = "--limit 50";
  // Two measurements of an experiment: NAME and "NAME, AutoAttack".
  const auto attacked = [&](Experiment& e, const std::string& what, const std::string& name,
                            const std::string& further) {
    const std::string strong = name + ", AutoAttack";
    e.measurements.push_back(
        attack(name, concat("--attack ", weak, " --attack ", pgd, further, " --limit 1000"), few));
    e.measurements.push_back(attack(strong,
                                    concat("--attack autoattack,eps=0.2", further, " --limit 1000"),
                                    concat("--attack apgd-ce,eps=0.2,iterations=20 ", few)));
    p.rows.push_back({.what = what + ", FGSM-0.3", .measured = under_attack(e.name, name, weak)});
    p.rows.push_back(
        {.what = what + ", PGD-20, eps 0.2", .measured = under_attack(e.name, name, pgd)});
    p.rows.push_back({.what = what + ", AutoAttack, eps 0.2 (smoke: APGD-CE, 20 steps)",
                      .measured = first_of(e.name, strong)});
  };
  const auto train = [](const std::string& solver, const std::string& gradient,
                        const std::string& block) {
    return concat("tisode-mnist,block=", block, " --solver ", solver, " --gradient ", gradient,
                  " --optimizer adam --lr 1e-3 --weight-decay 5e-4 --schedule "
                  "multi-step,at=0.3/0.6/0.9,factor=0.2 --batch 128 --epochs 20 "
                  "--train-noise tisode-noise");
  };
  const std::string fewer = "--epochs 1 --limit 4800 --batch 32 --test-limit 1000";
  struct Case {
    const char *name, *what, *solver, *gradient, *block;
  };
  for (const Case& c :
       {Case{"euler", "trained with euler:10", "euler:10", "checkpointed", "ode"},
        Case{"rk4", "trained with rk4:3", "rk4:3", "checkpointed", "ode"},
        Case{"dopri5", "trained with dopri5@1e-3", "dopri5@1e-3", "checkpointed", "ode"},
        Case{"adjoint", "trained with euler:10 and the adjoint", "euler:10", "adjoint", "ode"},
        Case{"shared", "shared-weight ResNet (block=tisode, euler:10)", "euler:10", "checkpointed",
             "tisode"}}) {
    Experiment e{.name = c.name, .train = {train(c.solver, c.gradient, c.block), fewer}};
    p.rows.push_back(
        {.what = concat(c.what, ", clean, last epoch"), .measured = last_epoch(c.name)});
    p.rows.push_back(
        {.what = concat(c.what, ", clean, best epoch"), .measured = best_epoch(c.name)});
    attacked(e, c.what, "own", "");
    if (std::string(c.name) == "euler") {
      e.measurements.push_back(attack(
          "solvers",
          "--attack tisode-fgsm,eps=0.3 --solver euler:10 --solver rk4:3 --solver dopri5@1e-3 "
          "--limit 1000",
          few));
      for (const char* solver : {"euler:10", "rk4:3", "dopri5@1e-3"})
        p.rows.push_back(
            {.what = concat("the same net solved by ", solver, ", FGSM-0.3"),
             .measured =
                 Figure{.experiment = c.name, .from = "solvers", .where = {{"solver", solver}}}});
      attacked(e, "the same net, attacked through the adjoint", "adjoint attack",
               " --gradient adjoint");
    }
    if (std::string(c.name) == "shared") {
      e.measurements.push_back(
          eval("steps", "--solver euler:5 --solver euler:10 --solver euler:20 --solver euler:80",
               "--limit 500"));
      for (const char* solver : {"euler:5", "euler:10", "euler:20", "euler:80"})
        p.rows.push_back({.what = concat(c.what, ", solved by ", solver, ", clean"),
                          .measured = under_solver(c.name, "steps", solver)});
    }
    p.experiments.push_back(e);
  }
  return p;
}

}  // namespace

std::vector<Preset> tisode_presets() {
  return {tisode_noise(), tisode_adversarial(), tisode_questions()};
}

}  // namespace slope::reproduce
