// GMRES against systems whose solution is known.
#include "ode/krylov.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/ops.h"

using namespace slope;
using namespace slope::ode;

namespace {

// Smooth numbers without pattern.
Tensor wave(const Shape& shape, double phase, Dtype dtype = Dtype::f64) {
  std::vector<double> values;
  for (int64_t i = 0; i < shape.size(); ++i) {
    values.push_back(std::sin(1.7 * static_cast<double>(i * i % 101) + phase));
  }
  return tensor(values, shape, dtype);
}

// One matrix for each row, the identity and something beside it. -> (rows, n, n)
Tensor matrices(int64_t rows, int64_t n, double beside, Dtype dtype = Dtype::f64) {
  std::vector<double> identity;
  for (int64_t i = 0; i < rows * n * n; ++i) {
    identity.push_back(i % (n * n) / n == i % n ? 1 : 0);
  }
  return tensor(identity, {rows, n, n}, dtype) + beside * wave({rows, n, n}, 0.4, dtype);
}

LinearMap times(const Tensor& a) {
  return [a](const Tensor& x) { return squeeze(matmul(a, unsqueeze(x, 2)), 2); };
}

std::vector<double> sizes_of(const Tensor& b) { return norm(b, {1}).values(); }

std::vector<double> goals_of(const Tensor& b, double part) {
  std::vector<double> goals = sizes_of(b);
  for (double& goal : goals) goal *= part;
  return goals;
}

double largest(const Tensor& x) { return max(abs(x)).item(); }

}  // namespace

TEST_CASE("gmres: every row's own system, in as many products as there are unknowns") {
  for (int64_t n : {1, 2, 5, 12}) {
    for (int64_t rows : {1, 3, 17}) {
      CAPTURE(n);
      const Tensor a = matrices(rows, n, 0.6), solution = wave({rows, n}, 2.0);
      const Tensor b = times(a)(solution);
      const KrylovResult found = gmres(times(a), b, sizes_of(b), goals_of(b, 1e-13));
      CHECK(found.converged);
      CHECK(found.iterations <= n + 1);
      CHECK(largest(found.x - solution) < 1e-10);
    }
  }
}

TEST_CASE("gmres: a row's result depends neither on the rows beside it nor on their number") {
  const Tensor a = matrices(6, 8, 0.5), b = wave({6, 8}, 1.0);
  const Tensor together = gmres(times(a), b, sizes_of(b), goals_of(b, 1e-6)).x;
  for (int64_t i = 0; i < 6; ++i) {
    const Tensor ai = slice(a, 0, i, i + 1), bi = slice(b, 0, i, i + 1);
    const Tensor alone = gmres(times(ai), bi, sizes_of(bi), goals_of(bi, 1e-6)).x;
    CHECK(alone.values() == slice(together, 0, i, i + 1).values());
  }
}

TEST_CASE("gmres: stops at the goal, not later") {
  const Tensor a = matrices(1, 40, 0.08), b = wave({1, 40}, 1.0);
  int before = 0;
  for (double part : {1e-1, 1e-3, 1e-6, 1e-10}) {
    const KrylovResult found = gmres(times(a), b, sizes_of(b), goals_of(b, part));
    CHECK(found.converged);
    CHECK(norm(b - times(a)(found.x)).item() <= 1.01 * part * norm(b).item());
    CHECK(found.iterations > before);
    before = found.iterations;
  }
  CHECK(before < 40);
}

TEST_CASE("gmres: restarts, and gives up at its limit") {
  const Tensor a = matrices(2, 30, 0.05), b = wave({2, 30}, 1.0);
  const KrylovResult found =
      gmres(times(a), b, sizes_of(b), goals_of(b, 1e-10), {.restart = 4, .max_iterations = 300});
  CHECK(found.converged);
  CHECK(found.iterations > 8);
  CHECK(largest(b - times(a)(found.x)) < 1e-9);
  const KrylovResult few =
      gmres(times(a), b, sizes_of(b), goals_of(b, 1e-10), {.restart = 4, .max_iterations = 6});
  CHECK(!few.converged);
  CHECK(few.iterations == 6);
}

TEST_CASE("gmres: float32 to its own accuracy") {
  const Tensor a = matrices(3, 10, 0.4, Dtype::f32), solution = wave({3, 10}, 2.0, Dtype::f32);
  const Tensor b = times(a)(solution);
  const KrylovResult found = gmres(times(a), b, sizes_of(b), goals_of(b, 1e-6));
  CHECK(found.converged);
  CHECK(found.x.dtype() == Dtype::f32);
  CHECK(largest(found.x - solution) < 1e-4);
}

TEST_CASE("gmres: zero, NaN and singular rows leave the others alone") {
  const Tensor a = matrices(3, 4, 0.5);
  const Tensor b = wave({3, 4}, 1.0);
  const Tensor expected = gmres(times(a), b, sizes_of(b), goals_of(b, 1e-12)).x;
  for (double first : {0.0, std::nan("")}) {
    Tensor bad = b.clone();
    copy_into(slice(bad, 0, 0, 1), full({1, 4}, first, Dtype::f64));
    const KrylovResult found = gmres(times(a), bad, sizes_of(bad), goals_of(bad, 1e-12));
    CHECK(found.converged == (first == 0));
    CHECK(slice(found.x, 0, 1, 3).values() == slice(expected, 0, 1, 3).values());
    if (first == 0) CHECK(largest(slice(found.x, 0, 0, 1)) == 0);
  }
  // A row of zeros instead of a matrix has no solution.
  Tensor singular = a.clone();
  copy_into(slice(singular, 0, 0, 1), zeros({1, 4, 4}, Dtype::f64));
  const KrylovResult found = gmres(times(singular), b, sizes_of(b), goals_of(b, 1e-12));
  CHECK(!found.converged);
  CHECK(slice(found.x, 0, 1, 3).values() == slice(expected, 0, 1, 3).values());
}
