// What is particular to the tableaus of implicit methods: their kind, stability, interpolants.
#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "ode/methods.h"
#include "ode/order_conditions.h"
#include "ode/stability.h"

using namespace slope::ode;

namespace {

std::vector<double> embedded(const Tableau& m) {
  std::vector<double> weights = m.b;
  for (size_t i = 0; i < weights.size(); ++i) weights[i] -= m.b_error[i];
  return weights;
}

// The largest |R(z)| over the left half plane: it is taken on the imaginary axis, or at a pole.
double largest_factor(const Tableau& m, const std::vector<double>& weights) {
  double largest = 0;
  for (double size = 1e-3; size < 1e7; size *= 1.05) {
    for (int i = 0; i <= 32; ++i) {
      const double angle = std::numbers::pi * (0.5 + i / 64.0);
      largest =
          std::max(largest, std::abs(stability_function(m, weights, std::polar(size, angle))));
    }
  }
  return largest;
}

double factor_at_infinity(const Tableau& m, const std::vector<double>& weights) {
  return std::abs(stability_function(m, weights, -1e6));
}

}  // namespace

TEST_CASE("implicit tableaus: kind, order, stability as published") {
  struct Row {
    const char* name;
    int order, embedded_order, dense_order, stages;
    bool coupled, ends_in_slope, fsal;
    double at_infinity;    // |R| far out on the left: 0 means L-stable
    double embedded_last;  // likewise of the embedded result
  };
  const std::vector<Row> rows = {
      {"implicit-euler", 1, 0, 1, 1, false, true, false, 0, 0},
      {"implicit-midpoint", 2, 0, 1, 1, false, false, false, 1, 0},
      {"trapezoid", 2, 0, 2, 2, false, true, true, 1, 0},
      {"sdirk2", 2, 0, 2, 2, false, true, false, 0, 0},
      {"radau3", 3, 0, 2, 2, true, true, false, 0, 0},
      {"gauss4", 4, 0, 2, 2, true, false, false, 1, 0},
      {"radau5", 5, 0, 3, 3, true, true, false, 0, 0},
      {"gauss6", 6, 0, 3, 3, true, false, false, 1, 0},
      {"tr-bdf2", 2, 3, 2, 3, false, true, true, 0, 0},
      {"kvaerno3", 3, 2, 3, 4, false, true, true, 0, 0.9567},
      {"kencarp4", 4, 3, 3, 6, false, true, true, 0, 0.15},
  };
  REQUIRE(implicit_methods().size() == rows.size());
  for (const Row& row : rows) {
    const Tableau m = tableau(row.name);
    CAPTURE(row.name);
    CHECK(m.name == row.name);
    CHECK(m.implicit());
    CHECK(m.order == row.order);
    CHECK(proven_order(m, m.b) == row.order);
    CHECK(m.embedded_order == row.embedded_order);
    CHECK(m.dense_order == row.dense_order);
    CHECK(m.stages() == row.stages);
    CHECK(m.coupled() == row.coupled);
    CHECK(m.ends_in_slope() == row.ends_in_slope);
    CHECK(m.fsal() == row.fsal);
    CHECK(largest_factor(m, m.b) <= 1 + 1e-9);  // A-stable
    CHECK(std::abs(factor_at_infinity(m, m.b) - row.at_infinity) < 1e-4);
    CHECK(real_stability(m) >= 100);
    if (!m.has_error()) continue;
    CHECK(proven_order(m, embedded(m)) == row.embedded_order);
    if (m.name != "tr-bdf2") {
      CHECK(largest_factor(m, embedded(m)) <= 1 + 1e-9);
      CHECK(factor_at_infinity(m, embedded(m)) == doctest::Approx(row.embedded_last).epsilon(1e-3));
    }
  }
}

TEST_CASE("implicit tableaus: torchdiffeq's Gauss node with the wrong sign is refused (T2)") {
  Tableau m = tableau("gauss4");
  m.c[1] = -m.c[1];
  CHECK(std::abs(m.a[1][0] + m.a[1][1] - m.c[1]) > 0.5);
}
