// Attacks against what PyTorch makes of the papers' descriptions (tests/golden/make_attacks.py):
// the same network, samples and random draws, float64.
#include <fstream>
#include <nlohmann/json.hpp>

#include "nn/attack/apgd.h"
#include "nn/attack/boundary.h"
#include "nn/attack/fgsm.h"
#include "nn/attack/pgd.h"
#include "nn/attack/square.h"
#include "tests/core/test_values.h"
#include "tests/paths.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

struct Golden {
  nlohmann::json json;
  Tensor w1, b1, w2;
  AttackSamples samples;
  double eps;
  uint64_t seed;

  Golden() {
    std::ifstream file(source_dir() + "/tests/golden/attacks.json");
    json = nlohmann::json::parse(file);
    const Values s = values("shape");
    const Shape shape{static_cast<int64_t>(s[0]), static_cast<int64_t>(s[1]),
                      static_cast<int64_t>(s[2]), static_cast<int64_t>(s[3])};
    const int64_t width = shape.size() / shape[0], hidden = json["hidden"],
                  classes = json["classes"];
    w1 = tensor(values("w1"), {hidden, width}, Dtype::f64);
    b1 = tensor(values("b1"), {hidden}, Dtype::f64);
    w2 = tensor(values("w2"), {classes, hidden}, Dtype::f64);
    samples = {.x = tensor(values("x"), shape, Dtype::f64),
               .labels = from_host(json["labels"].get<std::vector<int32_t>>(), {shape[0]})};
    eps = json["eps"];
    seed = json["seed"];
  }
  Values values(const char* key) const { return json[key].get<Values>(); }
  AttackedModel model() const {
    return [this](const Tensor& x) {
      return linear(tanh(linear(x.reshape({x.dim(0), -1}), w1, b1)), w2);
    };
  }
};

}  // namespace

TEST_CASE("attacks: every step as the papers have it") {
  const Golden golden;
  Target target(golden.model(), {.stop_when_fooled = false});
  const AttackSamples& s = golden.samples;
  const double eps = golden.eps;
  SUBCASE("fgsm on the difference of logits ratio") {
    check_close(fgsm(target, s, {.eps = eps, .loss = AttackLoss::dlr}), golden.values("fgsm_dlr"),
                1e-12);
  }
  SUBCASE("pgd") {
    check_close(pgd(target, s, {.eps = eps, .step = 0.01, .iterations = 10, .seed = golden.seed}),
                golden.values("pgd_10"), 1e-12);
  }
  SUBCASE("pgd on kl, as in TRADES") {
    check_close(pgd(target, s,
                    {.eps = eps,
                     .step = 0.01,
                     .iterations = 10,
                     .start = PgdStart::normal,
                     .last = true,
                     .loss = AttackLoss::kl,
                     .seed = golden.seed}),
                golden.values("pgd_kl_10"), 1e-12);
  }
  SUBCASE("apgd") {
    ApgdOptions options{.eps = eps, .iterations = 40, .seed = golden.seed};
    check_close(apgd(target, s, options), golden.values("apgd_ce_40"), 1e-12);
    options.loss = AttackLoss::dlr;
    check_close(apgd(target, s, options), golden.values("apgd_dlr_40"), 1e-12);
  }
  SUBCASE("apgd, targeted") {
    check_close(apgd_targeted(target, s, {.eps = eps, .iterations = 20, .seed = golden.seed}),
                golden.values("apgd_t_20"), 1e-12);
  }
  SUBCASE("fab, targeted") {
    const Values expected = golden.values("fab_20");
    CHECK(expected != s.x.values());
    check_close(fab(target, s, {.eps = golden.json["fab_eps"], .iterations = 20}), expected, 1e-9);
  }
  SUBCASE("fab, targeted, L2") {
    const Values expected = golden.values("fab_l2_20");
    CHECK(expected != s.x.values());
    check_close(fab(target, s,
                    {.eps = golden.json["fab_l2_eps"], .iterations = 20, .norm = AttackNorm::l2}),
                expected, 1e-9);
  }
  SUBCASE("square, L2") {
    Target stopping(golden.model());
    check_close(square(stopping, s,
                       {.eps = golden.json["l2_eps"],
                        .queries = 300,
                        .norm = AttackNorm::l2,
                        .seed = golden.seed}),
                golden.values("square_l2_300"), 1e-12);
  }
  SUBCASE("square") {
    Target stopping(golden.model());
    check_close(square(stopping, s, {.eps = eps, .queries = 300, .seed = golden.seed}),
                golden.values("square_300"), 1e-12);
  }
}
