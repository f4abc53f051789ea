// The algebra of every tableau: order conditions, interpolants, families and their poles.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "core/error.h"
#include "ode/families.h"
#include "ode/methods.h"
#include "ode/order_conditions.h"
#include "ode/stability.h"

using namespace slope;
using namespace slope::ode;

namespace {

std::vector<double> embedded_weights(const Tableau& m) {
  std::vector<double> weights = m.b;
  for (size_t i = 0; i < weights.size(); ++i) weights[i] -= m.b_error[i];
  return weights;
}

double largest_row_defect(const Tableau& m) {
  double largest = 0;
  for (size_t i = 0; i < m.a.size(); ++i) {
    double sum = -m.c[i];
    for (double a : m.a[i]) sum += a;
    largest = std::max(largest, std::abs(sum));
  }
  return largest;
}

// Everything that makes a tableau right; the text of what is wrong, or "".
std::string defects(const Tableau& m) {
  const std::string where = m.name + ": ";
  if (largest_row_defect(m) > 1e-13) return where + "rows of a do not sum to c";
  if (proven_order(m, m.b) != m.order) return where + "wrong order of b";
  if (m.has_error() && proven_order(m, embedded_weights(m)) != m.embedded_order) {
    return where + "wrong order of the embedded weights";
  }
  const Tableau extended = with_last_slope(m);
  int dense_order = kMaxTreeOrder;
  for (double x : {0.25, 0.5, 0.8}) {
    dense_order = std::min(dense_order, proven_order(extended, dense_weights(m, x), x));
  }
  if (dense_order != m.dense_order) return where + "wrong order of the interpolant";
  const std::vector<double> start = dense_weights(m, 0), end = dense_weights(m, 1);
  for (size_t i = 0; i < end.size(); ++i) {
    const double b = i < m.b.size() ? m.b[i] : 0;
    if (start[i] != 0 || std::abs(end[i] - b) > 1e-12) return where + "interpolant misses an end";
  }
  return "";
}

std::vector<Tableau> all_tableaus() {
  std::vector<Tableau> all = explicit_methods();
  for (const Tableau& m : family_examples()) all.push_back(m);
  for (const Tableau& m : implicit_methods()) all.push_back(m);
  return all;
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("rooted trees: counts, densities and symmetries") {
  std::vector<int> counts(kMaxTreeOrder + 1, 0);
  for (const RootedTree& tree : rooted_trees()) ++counts[static_cast<size_t>(tree.order)];
  CHECK(counts == std::vector<int>{0, 1, 1, 2, 4, 9, 20, 48, 115, 286});
  // sum over trees of order n of n! / (symmetry * density) counts the ways to grow one leaf by
  // leaf: (n - 1)!. (Hairer, Norsett, Wanner, II.2.)
  double factorial = 1;
  for (int n = 1; n <= kMaxTreeOrder; ++n) {
    double ways = 0;
    for (const RootedTree& tree : rooted_trees()) {
      if (tree.order == n) ways += factorial * n / (tree.symmetry * tree.density);
    }
    CHECK(ways == doctest::Approx(factorial).epsilon(1e-12));
    factorial *= n;
  }
}

TEST_CASE(
    "tableaus: order conditions of b, b^ and the interpolant, and failure at the next order") {
  for (const Tableau& m : all_tableaus()) {
    CHECK_MESSAGE(defects(m).empty(), defects(m));
    REQUIRE(m.stages() <= 16);
    if (!m.has_error()) continue;
    double sum = 0;
    for (double e : m.b_error) sum += e;
    CHECK(std::abs(sum) < 1e-14);
  }
}

TEST_CASE("tableaus: an entry that is off by 1e-6 is found, whichever it is") {
  for (const Tableau& good : all_tableaus()) {
    CAPTURE(good.name);
    for (size_t i = 0; i < good.a.size(); ++i) {
      for (size_t j = 0; j < good.a[i].size(); ++j) {
        Tableau bad = good;
        bad.a[i][j] += 1e-6;
        CHECK(!defects(bad).empty());
      }
      Tableau bad_c = good, bad_b = good;
      bad_c.c[i] += 1e-6;
      CHECK(!defects(bad_c).empty());
      bad_b.b[i] += 1e-6;
      CHECK(!defects(bad_b).empty());
      if (!good.has_error()) continue;
      Tableau bad_e = good;
      bad_e.b_error[i] += 1e-6;
      CHECK(!defects(bad_e).empty());
    }
    for (size_t i = 0; i < good.dense.size(); ++i) {
      Tableau bad = good;
      bad.dense[i].back() += 1e-6;
      CHECK(!defects(bad).empty());
    }
  }
}

TEST_CASE("tableaus: first same as last is derived") {
  for (const Tableau& m : explicit_methods()) {
    const bool expected = m.name == "bosh3" || m.name == "dopri5" || m.name == "tsit5" ||
                          m.name == "verner6" || m.name == "dopri8";
    CHECK_MESSAGE(m.fsal() == expected, m.name);
  }
}

TEST_CASE("tableaus: error constants and stability intervals as published") {
  struct Row {
    const char* name;
    double error, real, imaginary;
  };
  // Hairer, Norsett, Wanner; SciML's stability constants for dopri5 (3.3066) and tsit5 (3.5068).
  for (const Row& row : std::vector<Row>{{"euler", 5.0e-1, 2.00, 0.00},
                                         {"midpoint", 1.72e-1, 2.00, 0.03},
                                         {"ralston2", 1.67e-1, 2.00, 0.03},
                                         {"heun3", 4.63e-2, 2.51, 1.73},
                                         {"ssprk3", 7.22e-2, 2.51, 1.73},
                                         {"rk4", 1.45e-2, 2.79, 2.83},
                                         {"rk38", 1.27e-2, 2.79, 2.83},
                                         {"fehlberg2", 1.71e-1, 2.01, 0.03},
                                         {"fehlberg45", 3.36e-3, 3.68, 0.22},
                                         {"cash-karp", 9.48e-4, 3.73, 0.30},
                                         {"dopri5", 3.99e-4, 3.31, 1.00},
                                         {"tsit5", 1.39e-4, 3.51, 0.51},
                                         {"dopri8", 4.51e-6, 5.17, 3.70}}) {
    CAPTURE(row.name);
    const Tableau m = tableau(row.name);
    CHECK(error_constant(m) == doctest::Approx(row.error).epsilon(5e-3));
    CHECK(std::abs(real_stability(m) - row.real) < 6e-3);
    CHECK(std::abs(imaginary_stability(m) - row.imaginary) < 6e-3);
  }
  // Ralston's is the best two-stage method.
  for (double u : {0.3, 0.5, 0.6, 0.7, 0.8, 1.0}) {
    CHECK(error_constant(rk2(u)) > error_constant(tableau("ralston2")));
  }
}

TEST_CASE("families: order conditions on a grid away from the poles") {
  const std::vector<double> grid = {-0.7, 0.1, 0.25, 0.3, 0.45, 0.55, 0.7, 0.8, 0.95, 1.2};
  int members = 0;
  for (double u : grid) {
    for (const Tableau& m : {rk2(u), rk4_u1(u), rk4_u2(u), rk4_u3(u)}) {
      CHECK_MESSAGE(defects(m).empty(), defects(m));
    }
    for (double v : grid) {
      if (u == v) continue;
      // A special pair may be of higher order than its family only if the family has room; order 3
      // with three stages and 4 with four have none.
      CHECK_MESSAGE(defects(rk3(u, v)).empty(), defects(rk3(u, v)));
      if (std::abs(6 * u * v - 4 * (u + v) + 3) < 1e-3) continue;
      CHECK_MESSAGE(defects(rk4(u, v)).empty(), defects(rk4(u, v)));
      ++members;
    }
  }
  CHECK(members > 80);
}

TEST_CASE("families: known members and test vectors") {
  const auto equal = [](const Tableau& a, const Tableau& b) {
    double largest = 0;
    for (size_t i = 0; i < a.b.size(); ++i) {
      largest = std::max(largest, std::abs(a.b[i] - b.b[i]));
      largest = std::max(largest, std::abs(a.c[i] - b.c[i]));
      for (size_t j = 0; j < i; ++j) largest = std::max(largest, std::abs(a.a[i][j] - b.a[i][j]));
    }
    return largest < 1e-14;
  };
  CHECK(equal(rk2(0.5), tableau("midpoint")));
  CHECK(equal(rk2(2. / 3), tableau("ralston2")));
  CHECK(equal(rk2(1), tableau("heun2")));
  CHECK(equal(rk3(1. / 3, 2. / 3), tableau("heun3")));
  CHECK(equal(rk3(0.5, 1), tableau("kutta3")));
  CHECK(equal(rk3(0.5, 0.75), tableau("ralston3")));
  CHECK(equal(rk3(1, 0.5), tableau("ssprk3")));
  CHECK(equal(rk4_u2(1. / 3), tableau("rk4")));
  CHECK(equal(rk4_u2((2 + std::sqrt(2.)) / 6), tableau("rkgill")));
  CHECK(equal(rk4(1. / 3, 2. / 3), tableau("rk38")));

  const Tableau m = rk4(0.3, 0.6);
  const double b[] = {7. / 54, 50. / 189, 25. / 54, 1. / 7};
  for (size_t i = 0; i < 4; ++i) CHECK(m.b[i] == doctest::Approx(b[i]).epsilon(1e-14));
  CHECK(m.a[2][0] == doctest::Approx(-3. / 20).epsilon(1e-13));
  CHECK(m.a[3][0] == doctest::Approx(181. / 216).epsilon(1e-13));
  CHECK(m.a[3][1] == doctest::Approx(-245. / 216).epsilon(1e-13));
  CHECK(m.a[3][2] == doctest::Approx(35. / 27).epsilon(1e-13));
  CHECK(rk4(0.2, 0.9).a[3][1] == doctest::Approx(135. / 28).epsilon(1e-13));
  const Tableau third = rk4_u3(0.3);
  CHECK(third.b[1] == doctest::Approx(-2. / 15).epsilon(1e-13));
  CHECK(third.a[3][1] == doctest::Approx(-5. / 18).epsilon(1e-13));
}

TEST_CASE("families: structural zeros come from the family, not from values") {
  // a31 of Heun's method is zero for this u and v only.
  CHECK(rk3(1. / 3, 2. / 3).a_used == std::vector<uint32_t>{0, 0b1, 0b11});
  CHECK(tableau("heun3").a_used == std::vector<uint32_t>{0, 0b1, 0b10});
  // a41 is zero in the whole family u2.
  CHECK(rk4_u2(0.4).a_used[3] == 0b110);
  CHECK(rk4_u2(0.4).a[3][0] == 0);
  // b1 = 1/6 - u vanishes at u = 1/6 but is used.
  CHECK(rk4_u1(1. / 6).b_used == 0b1111);
}

TEST_CASE("families (M1): poles are refused with the value and the reason") {
  CHECK(message_of([] { rk2(0); }) ==
        "solver rk2,u=0: u = 0 is a pole of the family: b2 = 1 / (2u) divides by zero. Choose a "
        "parameter farther than 1e-6 away from it.");
  CHECK(message_of([] { rk3(2. / 3, 0.3); }) ==
        "solver rk3,u=2/3,v=0.3: u = 2/3 is a pole of the family: a32 = v (v - u) / (u (2 - 3u)) "
        "divides by zero. Choose a parameter farther than 1e-6 away from it.");
  CHECK(message_of([] { rk3(0.4, 0.4); }).find("u = v = 0.4 is a pole") != std::string::npos);
  const std::vector<std::pair<double, double>> poles_of_rk4 = {
      {0, 0.6}, {0.5, 0.6}, {1, 0.6}, {0.3, 0}, {0.3, 1}, {0.3, 0.3}, {0.3 + 1e-9, 0.3}};
  for (const auto& [u, v] : poles_of_rk4) CHECK_THROWS_AS(rk4(u, v), ValueError);
  // b4 = 0 on a curve: v = (4u - 3) / (6u - 4).
  const double u = 0.3, v = (4 * u - 3) / (6 * u - 4);
  CHECK(message_of([&] { rk4(u, v); }).find("6uv - 4u - 4v + 3") != std::string::npos);
  CHECK_THROWS_AS(rk3(0, 0.5), ValueError);
  CHECK_THROWS_AS(rk3(0.5, 0), ValueError);
  CHECK_THROWS_AS(rk4_u1(0), ValueError);
  CHECK_THROWS_AS(rk4_u2(1e-7), ValueError);
  CHECK_THROWS_AS(rk4_u3(0), ValueError);
  CHECK_THROWS_AS(rk2(NAN), ValueError);
  CHECK_THROWS_AS(rk4(HUGE_VAL, 0.5), ValueError);
  // Near a pole, but not at it, is a method like any other.
  CHECK(proven_order(rk3(2. / 3 + 1e-2, 0.3), rk3(2. / 3 + 1e-2, 0.3).b) == 3);
}

TEST_CASE("methods: names, aliases, suggestions") {
  CHECK(explicit_methods().size() == 19);
  for (const Tableau& m : explicit_methods()) CHECK(method(m.name).name() == m.name);
  CHECK(tableau("bogacki_shampine").name == "bosh3");
  CHECK(tableau("heun").name == "heun2");
  CHECK(canonical_method("adaptive_heun").adaptive);
  CHECK(!canonical_method("heun2").adaptive);
  CHECK(tableau("rk2").name == "rk2,u=0.5");
  CHECK(tableau("rk4", {{"u3", 0.3}}).name == "rk4,u3=0.3");
  CHECK(tableau("rk4", {{"v", 0.6}, {"u", 0.3}}).name == "rk4,u=0.3,v=0.6");
  for (const MethodAlias& a : method_aliases()) CHECK(method(a.alias).name() == a.name);

  CHECK(message_of([] { tableau("dopri6"); }) ==
        "solver: there is no method dopri6. Did you mean dopri5? All of them: slope info methods.");
  CHECK(message_of([] { tableau("ruler"); }).find("Did you mean euler?") != std::string::npos);
  CHECK(message_of([] { tableau("rk2", {{"w", 1}}); }) == "solver: rk2 takes u; got w.");
  CHECK(message_of([] { tableau("rk3"); }) == "solver: rk3 takes u and v; got none.");
  CHECK(message_of([] {
          tableau("rk4", {{"u", 0.3}});
        }) == "solver: rk4 takes u1, or u2, or u3, or u and v; got u.");
  CHECK(message_of([] {
          tableau("euler", {{"u", 0.3}});
        }) == "solver: euler takes no parameters; got u.");
}
