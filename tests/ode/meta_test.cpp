// Meta-solvers: the laws of their draws, that they repeat, and what blocks get.
#include "ode/meta.h"

#include <algorithm>
#include <cmath>

#include "core/word.h"
#include "ode/layer.h"
#include "ode/number_text.h"
#include "ode/solver_word.h"
#include "tests/core/test_values.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::ode;
using namespace slope::test;

namespace {

// u of a drawn rk2.
double drawn(const SolverNoise& noise, uint32_t draw, uint64_t seed = 5) {
  const Solver s = noised(parse_solver("rk2,u=0.5:8"), noise, seed, 1, draw);
  return *parse_number(Word("solver", s.method.name()).options().at("u"));
}

struct Law {
  double at_mean = 0, at_ends = 0, outside = 0, deviation = 0;
};
Law law_of(const SolverNoise& noise, uint32_t count = 4000) {
  Law law;
  for (uint32_t i = 0; i < count; ++i) {
    const double d = drawn(noise, i) - 0.5;
    law.at_mean += d == 0;
    law.at_ends += std::abs(std::abs(d) - 2 * noise.scale) < 1e-12;
    law.outside += std::abs(d) > 2 * noise.scale + 1e-12;
    law.deviation += d * d;
  }
  law.deviation = std::sqrt(law.deviation / count);
  for (double* v : {&law.at_mean, &law.at_ends, &law.outside}) *v /= count;
  return law;
}

// y' = -t y.
class Decay final : public FieldModule {
 public:
  Field field(const Shape&, nn::Pass&) const override {
    return {.context = {},
            .evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) { return -(t * y); }};
  }
  std::string describe() const override { return "Decay"; }
};

double solved(const Decay& field, const std::string& word) {
  nn::Pass pass;
  return solve_block(field, tensor({1}, Dtype::f64), pass, {.solver = parse_solver(word)}).item();
}

}  // namespace

TEST_CASE("smoothing: the published law, an atom at the mean included") {
  using enum SolverNoise::Law;
  using enum SolverNoise::Outside;
  // P(|N| >= 2) = 4.55 %, P(|Cauchy| >= 2) = 29.5 %; sd of the truncated normal with its atom
  // 0.0108.
  const Law normal_reset = law_of({normal, 0.0125, reset});
  CHECK(normal_reset.at_mean == doctest::Approx(0.0455).epsilon(0.25));
  CHECK(normal_reset.deviation == doctest::Approx(0.0108).epsilon(0.05));
  CHECK(normal_reset.outside == 0);
  CHECK(law_of({cauchy, 0.0125, reset}).at_mean == doctest::Approx(0.295).epsilon(0.08));
  const Law clipped = law_of({cauchy, 0.0125, clip});
  CHECK(clipped.at_ends == doctest::Approx(0.295).epsilon(0.08));
  CHECK(clipped.at_mean == 0);
  const Law resampled = law_of({normal, 0.0125, resample});
  CHECK(resampled.at_mean == 0);
  CHECK(resampled.outside == 0);
  // Parameters are moved off poles as published.
  for (uint32_t i = 0; i < 50; ++i) CHECK(drawn({cauchy, 5, resample}, i) >= 9.7e-4);
}

TEST_CASE("draws: repeat with the seed, differ between passes, streams and blocks") {
  const SolverNoise noise;
  CHECK(drawn(noise, 3) == drawn(noise, 3));
  CHECK(drawn(noise, 3) != drawn(noise, 4));
  CHECK(drawn(noise, 3, 6) != drawn(noise, 3));
  const auto words = [](const char* draw, uint64_t seed) {
    MetaSolver meta(parse_regime("smoothing", "rk2,u=0.5:2", "", "normal,0.0125,resample", draw),
                    seed, 0);
    std::vector<std::string> list;
    for (int pass = 0; pass < 3; ++pass) {
      meta.begin_pass();
      for (int block = 0; block < 2; ++block)
        list.push_back(solver_word(meta.next_block().at(0).solver));
    }
    return list;
  };
  // A pass with a number draws the same whatever was drawn before.
  MetaSolver jumps(parse_regime("smoothing", "rk2,u=0.5:2", "", "normal,0.0125,resample", "batch"),
                   1, 0);
  jumps.begin_pass(2);
  CHECK(solver_word(jumps.next_block().at(0).solver) == words("batch", 1)[4]);
  const std::vector<std::string> shared = words("batch", 1), own = words("block", 1);
  CHECK(shared == words("batch", 1));
  CHECK(shared != words("batch", 2));
  CHECK(shared[0] == shared[1]);
  CHECK(shared[0] != shared[2]);
  CHECK(own[0] != own[1]);
}

TEST_CASE("switching: each member as often as its probability says") {
  MetaSolver meta(parse_regime("switching", "euler:2+rk4:1+heun2:3", "0.5,0.3,0.2", "", "block"), 9,
                  0);
  for (int pass = 0; pass < 2000; ++pass) {
    meta.begin_pass();
    meta.next_block();
    meta.next_block();
  }
  REQUIRE(meta.uses().size() == 3);
  for (const auto& [word, count] : meta.uses()) {
    const double expected = word == "euler:2" ? 0.5 : word == "rk4:1" ? 0.3 : 0.2;
    CHECK(static_cast<double>(count) / 4000 == doctest::Approx(expected).epsilon(0.1));
  }
}

TEST_CASE("solver ensemble: blocks give the weighted mean of the members' results") {
  const Decay field;
  MetaSolver meta(parse_regime("solver-ensemble", "euler:2+rk4:1", "0.25,0.75", "", "batch"), 0, 0);
  meta.begin_pass();
  nn::Pass pass;
  std::vector<std::shared_ptr<Statistics>> solves;
  const Tensor y =
      solve_block(field, tensor({1}, Dtype::f64), pass,
                  {.solver = parse_solver("euler:1"), .meta = &meta, .solves = &solves});
  CHECK(y.item() == doctest::Approx(0.25 * solved(field, "euler:2") + 0.75 * solved(field, "rk4:1"))
                        .epsilon(1e-14));
  CHECK(solves.size() == 2);
}

TEST_CASE("regimes: what they refuse") {
  const auto message = [](const char* kind, const char* solvers, const char* weights,
                          const char* noise = "") {
    return message_of<ValueError>([&] { parse_regime(kind, solvers, weights, noise, "batch"); });
  };
  CHECK(contains(message("switch", "rk4:1", ""), "no regime switch"));
  CHECK(contains(message("standalone", "rk4:1+euler:2", ""), "takes one solver, got 2"));
  CHECK(contains(message("switching", "rk4:1+euler:2", "0.5,0.6"), "sum to 1.1, not to 1"));
  CHECK(contains(message("switching", "rk4:1+euler:2", "1"), "1 weights for 2 solvers"));
  CHECK(contains(message("switching", "rk4:1+euler:2", "1.5,-0.5"), "must not be negative"));
  CHECK(contains(message("smoothing", "euler:2", ""), "has no parameter to draw"));
  CHECK(contains(message("smoothing", "rk2,u=0.5:2", "", "uniform,1"), "no law uniform"));
  CHECK(contains(message("smoothing", "rk2,u=0.5:2", "", "normal,-1"), "above 0"));
  CHECK(contains(message("smoothing", "rk2,u=0.5:2", "", "normal,1,drop"), "reset|clip|resample"));
}
