#include "ode/krylov.h"

#include <algorithm>
#include <cmath>

#include "core/dispatch.h"
#include "core/ops/contract.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"

namespace slope::ode {
namespace {

// One row's least squares problem min | |r| e_1 - H y |, with H turned into a triangle by Givens
// rotations, one column after the other.
class LeastSquares {
 public:
  // rounding: of the numbers that come in, relative to their size.
  LeastSquares(double size, double goal, double rounding)
      : goal_(goal), rounding_(rounding), right_{size} {}

  // What is left of the residual. NaN ends it too: nothing can be made of it.
  double residual() const { return std::abs(right_.back()); }
  bool done() const { return ended_ || !(residual() > goal_); }

  // A v = sum_i column[i] v_i + below * (the next vector) -> |A v|
  double add(std::vector<double> column, double below) {
    double size = std::abs(below);
    for (double h : column) size = std::hypot(size, h);
    // Nothing new to look at: the solution lies in the space that we have.
    ended_ = !(below > rounding_ * size);
    for (size_t i = 0; i < cosines_.size(); ++i) {
      const double h = column[i], next = column[i + 1];
      column[i] = cosines_[i] * h + sines_[i] * next;
      column[i + 1] = cosines_[i] * next - sines_[i] * h;
    }
    const double h = column.back(), length = std::hypot(h, below);
    if (!(length > rounding_ * size)) return size;  // A is singular on what is left
    cosines_.push_back(h / length);
    sines_.push_back(below / length);
    column.back() = length;
    triangle_.push_back(std::move(column));
    const double last = right_.back();
    right_.back() = cosines_.back() * last;
    right_.push_back(-sines_.back() * last);
    return size;
  }

  std::vector<double> solution() const {
    std::vector<double> y(triangle_.size());
    for (size_t i = y.size(); i-- > 0;) {
      y[i] = right_[i];
      for (size_t j = i + 1; j < y.size(); ++j) y[i] -= triangle_[j][i] * y[j];
      y[i] /= triangle_[i][i];
    }
    return y;
  }

 private:
  double goal_, rounding_;
  bool ended_ = false;
  std::vector<double> right_, cosines_, sines_;
  std::vector<std::vector<double>> triangle_;  // column j has j + 1 entries
};

Tensor row_norms(const Tensor& x) { return norm(x, {1}, true); }

// Rows of zeros stay zero.
Tensor divided(const Tensor& x, const Tensor& norms) {
  return x / maximum(norms, full_like(norms, 1e-30));
}

// sum_i c_i v_i. basis: (rows, m, n), c: (rows, 1, m) -> (rows, n)
Tensor combined(const Tensor& c, const Tensor& basis) { return squeeze(matmul(c, basis), 1); }

// w without its components along the basis -> the rest, the components (rows, 1, m).
std::pair<Tensor, Tensor> orthogonal_part(Tensor w, const Tensor& basis) {
  Tensor components;
  for (int pass = 0; pass < 2; ++pass) {
    const Tensor c = matmul(unsqueeze(w, 1), basis, {.transpose_b = true});
    w = w - combined(c, basis);
    components = components.defined() ? components + c : c;
  }
  return {w, components};
}

}  // namespace

KrylovResult gmres(const LinearMap& a, const Tensor& b, const std::vector<double>& sizes,
                   const std::vector<double>& goals, const KrylovOptions& options) {
  const MuteTapes quiet;
  const auto rows = static_cast<size_t>(b.dim(0));
  const double rounding = b.dtype() == Dtype::f64 ? 1e-15 : 1e-6;
  const int64_t most_vectors = std::min<int64_t>(options.restart, b.dim(1));
  KrylovResult result{.x = zeros_like(b), .left = sizes, .stretch = std::vector<double>(rows, 0)};
  Tensor r = b;
  std::vector<double>& left = result.left;
  for (;;) {
    std::vector<LeastSquares> problems;
    for (size_t i = 0; i < rows; ++i) problems.emplace_back(left[i], goals[i], rounding);
    const auto done = [&] {
      return std::all_of(problems.begin(), problems.end(), [](const auto& p) { return p.done(); });
    };
    if (done()) break;

    Tensors vectors = {divided(r, row_norms(r))};
    Tensor basis;
    while (!done() && static_cast<int64_t>(vectors.size()) <= most_vectors &&
           result.iterations < options.max_iterations) {
      basis = stack(vectors, 1);
      const auto [w, components] = orthogonal_part(a(vectors.back()), basis);
      const Tensor length = row_norms(w);
      ++result.iterations;
      const std::vector<double> numbers =
          concatenate({squeeze(components, 1), length}, 1).values();  // the one wait
      const size_t width = vectors.size() + 1;
      for (size_t i = 0; i < rows; ++i) {
        if (problems[i].done()) continue;
        const auto column = numbers.begin() + static_cast<std::ptrdiff_t>(i * width);
        const auto below = column + static_cast<std::ptrdiff_t>(width - 1);
        result.stretch[i] = std::max(result.stretch[i], problems[i].add({column, below}, *below));
      }
      vectors.push_back(divided(w, length));
    }

    const int64_t width = basis.dim(1);
    std::vector<double> coefficients(rows * static_cast<size_t>(width), 0);
    for (size_t i = 0; i < rows; ++i) {
      const std::vector<double> y = problems[i].solution();
      std::copy(y.begin(), y.end(), coefficients.begin() + static_cast<std::ptrdiff_t>(i) * width);
    }
    const Tensor c = tensor(coefficients, {b.dim(0), 1, width}, b.dtype(), b.device());
    result.x = result.x + combined(c, basis);
    if (done() || result.iterations >= options.max_iterations) {
      left.clear();
      for (const LeastSquares& p : problems) left.push_back(p.residual());
      break;
    }
    r = b - a(result.x);
    left = row_norms(r).values();
  }
  result.converged = true;
  for (size_t i = 0; i < rows; ++i) result.converged &= left[i] <= goals[i];
  return result;
}

}  // namespace slope::ode
