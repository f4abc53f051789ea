// Attack words, the solver matrix and regimes through the program.
#include "core/error.h"
#include "core/ops.h"
#include "nn/checkpoint.h"
#include "tests/apps/program.h"
#include "tests/nn/message_of.h"

using namespace slope::program_test;
using slope::test::contains;

namespace {

const Arguments kSpheres = {"train", "spheres-mlp", "--iterations", "60",         "--optimizer",
                            "adam",  "--lr",        "0.01",         "--json",     "--quiet",
                            "--out", "a",           "--solver",     "rk2,u=0.5:4"};

Arguments with(Arguments a, const Arguments& more) {
  a.insert(a.end(), more.begin(), more.end());
  return a;
}

}  // namespace

TEST_CASE("attack words: each attack runs as it is listed, and what is refused") {
  Folder here;
  run(here, kSpheres).json();
  const Json list = run(here, {"info", "attacks", "--json"}).json()["attacks"];
  CHECK(list.size() >= 17);
  for (const Json& a : list) {
    const std::string name = a["name"];
    CAPTURE(name);
    const Arguments arguments{"attack", "a", "--attack", name, "--limit", "4", "--json", "--quiet"};
    // Two classes have no difference of logits ratio; points have no lowest and highest value.
    if (name == "apgd-dlr") {
      check_error(here, arguments, 1, "at least 3 classes");
    } else if (name == "salt-pepper") {
      check_error(here, arguments, 1, "no lowest and highest value");
    } else {
      CHECK(run(here, arguments).json()["results"][0]["examples"] == 4);
    }
  }
  const auto refused = [&](const char* word, const char* text) {
    check_error(here, {"attack", "a", "--attack", word}, 1, text);
  };
  refused("fgsn", "Did you mean fgsm?");
  refused("fgsm,eps=-0.1", "eps must not be negative, got -0.1");
  refused("pgd,iterations=0", "a whole number of at least 1, got 0");
  refused("pgd,loss=hinge", "it can be ce, cw, dlr, cw-clipped");
  refused("pgd,alpha=1", "pgd has no option alpha");
  refused("pgd,restarts=0", "at least 1, got 0");
  refused("pgd,eps=nan", "is not a number");
  refused("square,norm=l1", "it can be linf, l2");
  // Who is attacked needs no gradient, who attacks does.
  const auto through = [&](const char* solver, const char* gradient) {
    return Arguments{"attack",  "a",      "--attack",        "fgsm", "--limit",    "4",
                     "--quiet", "--json", "--attack-solver", solver, "--gradient", gradient};
  };
  CHECK(run(here, through("reversible_heun:4", "reversible")).json()["results"].size() == 1);
  check_error(here, through("rk4:4", "reversible"), 1, "rk4 cannot be undone step by step");
  check_error(here, through("symplectic_euler:4", "checkpointed"), 1, "needs a separable field");
  refused("autoattack,iterations=0", "a whole number of at least 1, got 0");
  refused("square,queries=0", "a whole number of at least 1, got 0");
  check_error(here,
              {"attack", "a", "--attack", "fgsm", "--regime", "switching", "--solver",
               "rk4:1+euler:2", "--weights", "0.5,0.4"},
              1, "sum to 0.9, not to 1");
  // A model of another data set in an ensemble.
  run(here, {"train", "spheres-mlp,width=8", "--data", "spheres,dim=3", "--iterations", "2",
             "--quiet", "--out", "other"});
  check_error(
      here,
      {"attack", "a", "--attack", "fgsm", "--regime", "model-ensemble", "--ensemble", "other"}, 1,
      "They must be the same");
  run(here, {"train", "spheres-mlp", "--data", "minima", "--iterations", "2", "--quiet", "--out",
             "three"});
  check_error(
      here,
      {"attack", "a", "--attack", "fgsm", "--regime", "model-ensemble", "--ensemble", "three"}, 1,
      "tells 3 classes apart");
}

TEST_CASE("attack: an eps beyond the range of pixels") {
  Folder here;
  run(here, {"train", "cnn-mnist", "--limit", "100", "--batch", "50", "--iterations", "2",
             "--quiet", "--out", "a"});
  const auto refused = [&](const char* word, const char* text) {
    check_error(here, {"attack", "a", "--attack", word, "--limit", "2"}, 1, text);
  };
  for (const char* name : {"fgsm", "pgd", "apgd-ce", "fab-t", "square", "autoattack", "uniform"})
    refused(slope::concat(name, ",eps=8").c_str(),
            "eps must be at most 1, the whole range of a pixel, got 8. Write 8/255 for 8.");
  refused("apgd-t,eps=-8/255", "eps must not be negative, got -8/255");
  check_error(here, {"train", "cnn-mnist", "--train-attack", "pgd,eps=1.5", "--out", "b"}, 1,
              "got 1.5");
  // A length may be above 1.
  CHECK(run(here, {"attack", "a", "--attack", "fgsm,eps=1.5,norm=l2", "--limit", "2", "--quiet"})
            .status == 0);
}

// Weights so large that the logits overflow: files with infinities are refused.
TEST_CASE("attack: a model that tells no numbers is not robust, and the result says so") {
  Folder here;
  run(here, kSpheres).json();
  const fs::path file = here / "a/model.safetensors";
  const slope::nn::Checkpoint old = slope::nn::load_checkpoint(file);
  std::vector<slope::nn::NamedTensor> broken = old.tensors;
  for (slope::nn::NamedTensor& t : broken) t.tensor = full_like(t.tensor, 3e38);
  slope::nn::save_checkpoint(file, broken, old.metadata);
  // Debug builds repeat a plan eagerly, and an eager solve says itself that the field is infinite.
  ::setenv("SLOPE_CHECK_PLANS", "0", 1);
  for (const std::string attack :
       {"pgd,eps=0.05", "square,eps=0.05,queries=5", "uniform,eps=0.05"}) {
    CAPTURE(attack);
    const Json result =
        run(here, {"attack", "a", "--attack", attack, "--limit", "20", "--json", "--quiet"})
            .json()["results"][0];
    CHECK(result["accuracy"] == 0);
    CHECK(contains(result["warnings"].dump(), "not finite"));
  }
  ::unsetenv("SLOPE_CHECK_PLANS");
}

TEST_CASE("attack: a matrix with the figure to quote, warnings that come by themselves") {
  Folder here;
  run(here, kSpheres).json();
  const Json all = run(here, {"attack",          "a",
                              "--attack",        "pgd,eps=0.05,step=0.01,iterations=10",
                              "--attack",        "uniform,eps=0.05",
                              "--attack",        "pgd-weak,eps=0.05",
                              "--solver",        "rk2,u=0.5:4",
                              "--solver",        "dopri5@1e-3",
                              "--attack-solver", "rk2,u=0.5:4",
                              "--attack-solver", "rk4:8",
                              "--limit",         "100",
                              "--json",          "--quiet"})
                       .json();
  REQUIRE(all["results"].size() == 12);
  REQUIRE(all["minima"].size() == 2);
  for (const Json& m : all["minima"]) {
    CHECK(m["attackers"] == 4);
    for (const Json& r : all["results"]) {
      if (r["solver"] != m["solver"] || r["attack"] == "uniform,eps=0.05") continue;
      CHECK(m["lowest"].get<double>() <= r["accuracy"].get<double>());
      CHECK(m["accuracy"].get<double>() <= r["accuracy"].get<double>());
    }
  }
  for (const Json& r : all["results"]) CHECK(r["largest_change"].get<double>() <= 0.05 + 1e-6);
  for (const Json& m : all["minima"]) CHECK(!m["weak"].get<bool>());
  const std::string weak = all["results"][8]["warnings"].dump();
  CHECK(contains(weak, "known to be weak"));
  CHECK(contains(read(here / "a/report.html"), "attack_regime"));
}

TEST_CASE("attack: the cosine between two gradients, where it is asked for") {
  Folder here;
  run(here, kSpheres).json();
  const auto cosine = [&](const char* solver, const char* with) {
    return run(here, {"attack", "a", "--attack", "fgsm,eps=0.05", "--solver", solver,
                      "--compare-gradient", with, "--limit", "50", "--json", "--quiet"})
        .json()["results"][0]["gradient_cosine"];
  };
  // The same gradient by other means; the adjoint of coarse steps, which is another; and of fine
  // ones, which is nearly the same.
  CHECK(cosine("rk2,u=0.5:4", "through")["mean"].get<double>() == doctest::Approx(1).epsilon(1e-6));
  const Json coarse = cosine("euler:2", "adjoint"), fine = cosine("rk4:32", "adjoint");
  CHECK(coarse["with"] == "adjoint");
  CHECK(coarse["samples"] == 50);
  CHECK(coarse["least"].get<double>() <= coarse["mean"].get<double>());
  CHECK(coarse["mean"].get<double>() < 0.999999);
  CHECK(fine["least"].get<double>() > 0.999);
  CHECK(1 - fine["mean"].get<double>() < 0.1 * (1 - coarse["mean"].get<double>()));
  check_error(here,
              {"attack", "a", "--attack", "fgsm", "--compare-gradient", "adjont", "--limit", "4"},
              1, "adjont");
}

TEST_CASE("regimes: in eval and in an attack, repeatable, separate for the attacker") {
  Folder here;
  run(here, kSpheres).json();
  const Arguments smoothing{
      "eval",        "a",        "--limit",   "100",     "--solver",
      "rk2,u=0.5:4", "--regime", "smoothing", "--noise", "normal,0.05,resample",
      "--batch",     "25",       "--json",    "--quiet"};
  const Json first = run(here, smoothing).json()["results"][0];
  CHECK(first["regime"] == "smoothing");
  CHECK(first["draws"].size() == 4);
  CHECK(first == run(here, smoothing).json()["results"][0]);
  CHECK(first["draws"] !=
        run(here, with(smoothing, {"--seed", "3"})).json()["results"][0]["draws"]);

  const auto regime = [&](const char* kind, const char* solver) {
    return run(here, {"eval", "a", "--solver", solver, "--regime", kind, "--json", "--quiet"})
        .json()["results"][0];
  };
  CHECK(regime("solver-ensemble", "rk2,u=0.5:4+rk2,u=0.6:4")["nfe"] == 16);
  CHECK(regime("model-ensemble", "rk2,u=0.5:4+rk4:2")["nfe"] == 16);
  CHECK(regime("switching", "rk2,u=0.5:4+rk2,u=0.6:4")["accuracy"].get<double>() > 0.3);

  const Json attack =
      run(here, {"attack", "a", "--attack", "fgsm,eps=0.05", "--solver", "rk2,u=0.5:4+rk2,u=0.6:4",
                 "--regime", "switching", "--attack-solver", "rk2,u=0.5:4", "--attack-solver",
                 "rk2,u=0.5:4+rk2,u=0.6:4", "--limit", "100", "--json", "--quiet"})
          .json()["results"];
  REQUIRE(attack.size() == 2);
  CHECK(attack[0]["attack_regime"] == "standalone");
  CHECK(attack[1]["attack_regime"] == "switching");
  CHECK(!contains(attack[0]["warnings"].dump(), "average over draws"));
  CHECK(contains(attack[1]["warnings"].dump(), "average over draws"));
  check_error(here, {"eval", "a", "--solver", "rk4:1+euler:2"}, 1, "takes one solver, got 2");
  check_error(
      here,
      {"eval", "a", "--regime", "switching", "--solver", "rk4:1+euler:2", "--weights", "0.5,0.6"},
      1, "sum to 1.1, not to 1");
}
