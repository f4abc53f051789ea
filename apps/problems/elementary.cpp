// Problems with a formula: one equation, or linear.
#include <array>
#include <cmath>

#include "apps/problems/parts.h"
#include "core/ops.h"

namespace slope::problems {
namespace {

Problem exponential(Dtype dtype) {
  return {.name = "exponential",
          .what = "y' = y, y(0) = 1",
          .field = {.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return y; }},
          .y0 = row({1}, dtype),
          .end = 1,
          .components = {"y"},
          .solution = [](double t) { return std::vector<double>{std::exp(t)}; }};
}

// Depends on time: what a method with misplaced nodes gets wrong.
Problem cosine(Dtype dtype) {
  return {.name = "cosine",
          .what = "y' = y cos t, y(0) = 1",
          .field = {.evaluate = [](const Tensor& t, const Tensor& y,
                                   const Tensors&) { return y * cos(t); }},
          .y0 = row({1}, dtype),
          .end = 10,
          .components = {"y"},
          .solution = [](double t) { return std::vector<double>{std::exp(std::sin(t))}; }};
}

// tan(y/2) = e^t tan(1/2)
Problem sine(Dtype dtype) {
  return {
      .name = "sine",
      .what = "y' = sin y, y(0) = 1",
      .field = {.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return sin(y); }},
      .y0 = row({1}, dtype),
      .end = 6,
      .components = {"y"},
      .solution = [](double t) {
        return std::vector<double>{2 * std::atan(std::exp(t) * std::tan(0.5))};
      }};
}

constexpr size_t kSize = 10;
using Vector = std::array<double, kSize>;
using Matrix = std::array<Vector, kSize>;

std::vector<double> product(const Matrix& a, const std::vector<double>& x) {
  std::vector<double> y(kSize, 0.0);
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t j = 0; j < kSize; ++j) y[i] += a[i][j] * x[j];
  }
  return y;
}

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c{};
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t k = 0; k < kSize; ++k) {
      for (size_t j = 0; j < kSize; ++j) c[i][j] += a[i][k] * b[k][j];
    }
  }
  return c;
}

// y' = A y with a full 10 x 10 matrix A = Q D Q: D five rotations with damping, Q = I - 2 v v^T /
// |v|^2 a reflection, so that exp(A t) = Q exp(D t) Q is known.
Problem linear10(Dtype dtype) {
  const auto damping = [](size_t block) { return -0.2 - 0.1 * static_cast<double>(block); };
  const auto frequency = [](size_t block) { return 0.5 + 0.4 * static_cast<double>(block); };
  Vector v{};
  double length = 0;
  for (size_t i = 0; i < kSize; ++i) {
    const auto x = static_cast<double>(i);
    v[i] = 1 + 0.3 * x - 0.05 * x * x;
    length += v[i] * v[i];
  }
  Matrix q{}, d{};
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t j = 0; j < kSize; ++j) q[i][j] = (i == j ? 1 : 0) - 2 * v[i] * v[j] / length;
  }
  for (size_t block = 0; block < kSize / 2; ++block) {
    const size_t i = 2 * block;
    d[i][i] = d[i + 1][i + 1] = damping(block);
    d[i][i + 1] = frequency(block);
    d[i + 1][i] = -frequency(block);
  }
  std::vector<double> a;
  for (const Vector& line : product(product(q, d), q)) a.insert(a.end(), line.begin(), line.end());

  const std::vector<double> start = {1, -0.5, 0.25, 2, -1, 0.75, 0.1, -0.3, 1.5, -2};
  const auto solution = [=](double t) {
    std::vector<double> z = product(q, start);
    for (size_t block = 0; block < kSize / 2; ++block) {
      const double growth = std::exp(damping(block) * t), angle = frequency(block) * t;
      const double x = z[2 * block], y = z[2 * block + 1];
      z[2 * block] = growth * (x * std::cos(angle) + y * std::sin(angle));
      z[2 * block + 1] = growth * (-x * std::sin(angle) + y * std::cos(angle));
    }
    return product(q, z);
  };
  return {.name = "linear10",
          .what = "y' = A y with a full 10 x 10 matrix: five damped rotations, mixed",
          .field = linear_field(a, dtype),
          .y0 = row(start, dtype),
          .end = 10,
          .components = {"y1", "y2", "y3", "y4", "y5", "y6", "y7", "y8", "y9", "y10"},
          .solution = solution};
}

}  // namespace

Problem make_elementary(const std::string& name, Dtype dtype) {
  if (name == "exponential") return exponential(dtype);
  if (name == "cosine") return cosine(dtype);
  if (name == "sine") return sine(dtype);
  return linear10(dtype);
}

}  // namespace slope::problems
