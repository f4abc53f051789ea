// Training on attacked and noisy samples, and the watch over it.
#include "apps/slope/robust_training.h"

#include <sstream>

#include "core/error.h"
#include "tests/apps/program.h"
#include "tests/nn/message_of.h"

using namespace slope::program_test;
using slope::concat;
using slope::test::contains;

namespace {

Arguments training(const char* out, const Arguments& more) {
  Arguments a = {"train",  "spheres-mlp", "--optimizer", "adam",        "--lr",  "0.01",
                 "--json", "--quiet",     "--solver",    "rk2,u=0.5:2", "--out", out};
  a.insert(a.end(), more.begin(), more.end());
  return a;
}

}  // namespace

TEST_CASE("robust training: withstands more than training on clean samples") {
  Folder here;
  const Json clean = run(here, training("clean", {"--iterations", "400"})).json();
  const Json robust = run(here, training("robust", {"--iterations", "400", "--train-attack",
                                                    "pgd,eps=0.015,step=0.005,iterations=5"}))
                          .json();
  CHECK(!clean.contains("robust_accuracy"));
  CHECK(robust["robust_accuracy"].get<double>() > 0.6);
  CHECK(robust["nfe_forward"] == 4);  // the attack's evaluations are not the training's
  const auto under_attack = [&](const char* folder) {
    return run(here, {"attack", folder, "--attack", "pgd,eps=0.02,step=0.005,iterations=20",
                      "--json", "--quiet"})
        .json()["results"][0]["accuracy"]
        .get<double>();
  };
  CHECK(under_attack("robust") > under_attack("clean") + 0.03);
  CHECK(contains(read(here / "robust/metrics.csv"), "attack_accuracy,pgd_accuracy"));
  CHECK(contains(read(here / "robust/config.toml"), "train-attack = 'pgd,eps=0.015"));
}

TEST_CASE("robust training: goes on after a stop with the same draws, and noise is drawn anew") {
  Folder here;
  const Arguments random{"--train-attack", "fgsm-random,eps=0.02,alpha=0.025"};
  const auto epochs = [&](const char* out, const char* count) {
    Arguments a = training(out, random);
    a.insert(a.end(), {"--epochs", count});
    return run(here, a).json();
  };
  const Json whole = epochs("whole", "3");
  epochs("parts", "2");
  const Json parts =
      run(here, {"train", "--resume", "parts", "--epochs", "3", "--json", "--quiet"}).json();
  for (const char* key : {"train_loss", "test_accuracy", "robust_accuracy"})
    CHECK(parts[key] == whole[key]);
  const auto noisy = [&](const char* out, const char* noise) {
    return run(here, training(out, {"--epochs", "2", "--train-noise", noise})).json();
  };
  const Json noise = noisy("noise", "noise,sigma=0.05");
  CHECK(!noise.contains("robust_accuracy"));
  CHECK(noise["train_loss"] != noisy("none", "noise,sigma=0")["train_loss"]);
  CHECK(noisy("none2", "noise,sigma=0")["train_loss"] ==
        run(here, training("clean", {"--epochs", "2"})).json()["train_loss"]);
}

TEST_CASE("robust training: TRADES, free, and the two gradients of the meta-solver code") {
  Folder here;
  const auto with = [&](const char* out, const char* attack, const char* epochs,
                        const Arguments& more = {}) {
    Arguments a = training(out, {"--epochs", epochs, "--train-attack", attack});
    a.insert(a.end(), more.begin(), more.end());
    return run(here, a).json();
  };
  // Whole, and stopped on the way: the perturbation of free goes on where it was.
  for (const char* attack : {"free,eps=0.02,replays=3", "trades,eps=0.02,step=0.005,beta=3"}) {
    CAPTURE(attack);
    const Json whole = with("whole", attack, "3", {"--force"});
    with("parts", attack, "1", {"--force"});
    const Json parts =
        run(here, {"train", "--resume", "parts", "--epochs", "3", "--json", "--quiet"}).json();
    for (const char* key : {"train_loss", "test_accuracy", "robust_accuracy"})
      CHECK(parts[key] == whole[key]);
    CHECK(whole["nfe_forward"] == 4);  // of a pass, however many there are
  }
  const auto fast = [&](const char* out, const char* attack) {
    return with(out, attack, "1")["train_loss"].get<double>();
  };
  const double once = fast("once", "fgsm-random,eps=0.02,alpha=0.025");
  CHECK(once == fast("no", "fgsm-random,eps=0.02,alpha=0.025,accumulate=no"));
  CHECK(fast("twice", "fgsm-random,eps=0.02,alpha=0.025,accumulate=yes") > 1.5 * once);
  // Three times as many optimiser steps.
  CHECK(with("free", "free,eps=0.02,replays=3", "2")["train_loss"].get<double>() <
        fast("one", "free,eps=0.02,replays=1"));
  CHECK(fast("last", "pgd,eps=0.02") == fast("said", "pgd,eps=0.02,result=last"));
  CHECK(fast("last2", "pgd,eps=0.02") != fast("best", "pgd,eps=0.02,result=best"));
}

TEST_CASE("TisODE in training: its noise, and a steady-state loss that begins later") {
  Folder here;
  const auto steady = [&](const char* out, const char* epochs, const char* after) {
    return run(here, training(out, {"--epochs", epochs, "--train-noise", "tisode-noise",
                                    "--regularize", concat("steady=0.1,steady-after=", after)}))
        .json();
  };
  const Json whole = steady("whole", "3", "1"), never = steady("never", "3", "9");
  CHECK(whole["nfe_forward"] > never["nfe_forward"]);
  CHECK(never["nfe_forward"] == 4);
  CHECK(whole["train_loss"] != never["train_loss"]);
  const std::string metrics = read(here / "whole/metrics.csv");
  CHECK(contains(metrics, ",penalty\n"));
  std::vector<double> penalties;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);)
    penalties.push_back(std::atof(line.substr(line.rfind(',') + 1).c_str()));
  REQUIRE(penalties.size() == 4);
  CHECK(penalties[1] == 0);
  CHECK(penalties[2] > 0);
  steady("parts", "2", "1");
  const Json parts =
      run(here, {"train", "--resume", "parts", "--epochs", "3", "--json", "--quiet"}).json();
  for (const char* key : {"train_loss", "test_accuracy"}) CHECK(parts[key] == whole[key]);
}

TEST_CASE("regimes in training: repeatable, resumed, tested with one solver") {
  Folder here;
  const auto train = [&](const char* out, const char* regime, const Arguments& more) {
    Arguments a = {"train",  "spheres-mlp", "--optimizer", "adam", "--lr",     "0.01",
                   "--json", "--quiet",     "--out",       out,    "--regime", regime};
    a.insert(a.end(), more.begin(), more.end());
    return run(here, a).json();
  };
  const Arguments several{"--solver", "rk2,u=0.5:2+rk2,u=1:2", "--epochs"};
  const auto epochs = [&](const char* out, const char* count) {
    Arguments a = several;
    a.insert(a.end(), {count, "--weights", "0.7,0.3", "--train-attack", "fgsm-random,eps=0.01"});
    return train(out, "switching", a);
  };
  const Json whole = epochs("whole", "3");
  epochs("parts", "2");
  const Json parts =
      run(here, {"train", "--resume", "parts", "--epochs", "3", "--json", "--quiet"}).json();
  for (const char* key : {"train_loss", "test_accuracy", "robust_accuracy"})
    CHECK(parts[key] == whole[key]);
  CHECK(contains(read(here / "whole/log.txt"), "solvers drawn (2 different ones)"));
  const Json eval = run(here, {"eval", "whole", "--json", "--quiet"}).json()["results"][0];
  CHECK(eval["solver"] == "rk2,u=0.5:2");
  CHECK(eval["accuracy"] == whole["test_accuracy"]);
  CHECK(run(here, {"attack", "whole", "--attack", "fgsm,eps=0.01", "--regime", "switching",
                   "--limit", "20", "--json", "--quiet"})
            .json()["results"][0]["solver"] == "rk2,u=0.5:2+rk2,u=1:2");

  Arguments two = several;
  two.push_back("2");
  const Json ensemble = train("ensemble", "solver-ensemble", two);
  CHECK(ensemble["nfe_forward"] == 8);
  CHECK(run(here, {"eval", "ensemble", "--regime", "solver-ensemble", "--json", "--quiet"})
            .json()["results"][0]["accuracy"] == ensemble["test_accuracy"]);
  const Arguments family{"--solver", "rk2,u=0.5:2", "--epochs", "2"};
  const Json smooth = train("smooth", "smoothing", family);
  CHECK(smooth["train_loss"] == train("smooth2", "smoothing", family)["train_loss"]);
  CHECK(smooth["train_loss"] != train("alone", "standalone", family)["train_loss"]);
  check_error(here, {"train", "spheres-mlp", "--solver", "rk4:1+euler:2"}, 1,
              "takes one solver, got 2");
  check_error(here, {"train", "spheres-mlp", "--regime", "model-ensemble"}, 1, "one by one");
}

TEST_CASE("robust training: the sign of catastrophic overfitting") {
  using slope::program::overfitting_warning;
  CHECK(overfitting_warning({.attack = 0.5, .pgd = 0.45}, 0.5).empty());
  CHECK(overfitting_warning({.attack = 0.2, .pgd = 0.1}, 0.5).empty());  // worse in both
  CHECK(overfitting_warning({.attack = 0.6, .pgd = 0.3}, 0.1).empty());
  CHECK(contains(overfitting_warning({.attack = 0.45, .pgd = 0.2}, 0.5), "catastrophic"));
  CHECK(contains(overfitting_warning({.attack = 0.9, .pgd = 0}, 0), "0.00% under PGD"));
}

TEST_CASE("robust training: what it refuses") {
  Folder here;
  const auto refused = [&](const Arguments& more, const char* text) {
    check_error(here, training("r", more), 1, text);
  };
  refused({"--train-attack", "fgsm,eps=0.1", "--train-noise", "noise"}, "exclude each other");
  refused({"--train-attack", "uniform,eps=0.1"}, "Use --train-noise uniform,eps=0.1");
  refused({"--train-noise", "fgsm,eps=0.1"}, "Use --train-attack fgsm,eps=0.1");
  refused({"--train-attack", "deepfool"}, "needs an eps above 0");
  refused({"--train-attack", "pgd,eps=-1"}, "must not be negative");
  refused({"--train-attack", "trades,eps=-1"}, "must not be negative");
  refused({"--train-attack", "trades,eps=0.1,beta=-1"}, "beta must be at least 0, got -1");
  refused({"--train-attack", "trades,eps=0.1,loss=ce"}, "trades has no option loss");
  refused({"--train-attack", "free,eps=0"}, "free needs an eps above 0");
  refused({"--train-attack", "trades,eps=0"}, "trades needs an eps above 0");
  refused({"--train-attack", "free,replays=0"}, "replays must be at least 1, got 0");
  refused({"--train-attack", "free,replays=1.5"}, "a whole number, got 1.5");
  refused({"--train-attack", "fgsm-random,accumulate=maybe"}, "accumulate can be yes or no");
  refused({"--train-attack", "fgsm-random,start=clean"}, "it can be clipped, unclipped");
  refused({"--train-noise", "tisode-noise,sigma=0.1+x"}, "joined by +, got 0.1+x");
  refused({"--train-noise", "tisode-noise,share=2"}, "share must be from 0 to 1");
  refused({"--regularize", "steady-form=paper"}, "add steady=0.1");
  CHECK(!std::filesystem::exists(here / "r"));
}
