#include "nn/parametrization.h"

#include "core/dispatch.h"
#include "core/ops/contract.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"

namespace slope::nn {
namespace {

constexpr double kSmallestLength = 1e-12;  // as PyTorch: a weight of zeros stays one
constexpr int kFirstIterations = 15;

// w: (out, .., in) -> (out, fan_in), the columns in PyTorch's order (in first, then the window), so
// that a vector beside them can be exchanged.
Tensor as_matrix(const Tensor& w) {
  Axes axes{0, w.rank() - 1};
  for (int i = 1; i < w.rank() - 1; ++i) axes.push_back(i);
  return reshape(permute(w, axes), {w.dim(0), fan_in(w.shape())});
}

// (n) -> (n), of length 1
Tensor unit(const Tensor& x) { return x / maximum(norm(x), full({}, kSmallestLength, x.dtype())); }

// matrix: (m, n), x: (n) -> (m); with x: (m) and the matrix transposed (n)
Tensor times(const Tensor& matrix, const Tensor& x, bool transposed = false) {
  return squeeze(matmul(matrix, unsqueeze(x, 1), {.transpose_a = transposed}), 1);
}

class WeightNormed final : public Parametrization {
 public:
  explicit WeightNormed(const Tensor& w)
      : axes_([&] {
          Axes axes;
          for (int i = 1; i < w.rank(); ++i) axes.push_back(i);
          return axes;
        }()),
        g_(add_parameter("original0", norm(w, axes_, true))),
        v_(add_parameter("original1", w)) {}
  Tensor weight(Pass&) const override { return v_ * (g_ / norm(v_, axes_, true)); }
  const Tensor& original() const override { return v_; }
  std::string describe() const override { return "WeightNorm"; }

 private:
  const Axes axes_;  // all but the first
  const Tensor g_, v_;
};

// What the power iteration has of the first two singular vectors.
struct Pair {
  Tensor left, right;  // (out), (fan_in), of length 1
};
Pair iterated(const Tensor& matrix, const Pair& pair) {
  const Tensor left = unit(times(matrix, pair.right));
  return {left, unit(times(matrix, left, true))};
}

class SpectralNormed final : public Parametrization {
 public:
  SpectralNormed(const Tensor& w, const Pair& start)
      : v_(add_parameter("original", w)),
        kept_{add_buffer("0._u", start.left), add_buffer("0._v", start.right)} {}
  Tensor weight(Pass& pass) const override {
    const Tensor matrix = as_matrix(v_);
    Pair pair = kept_;
    if (pass.training) {
      const MuteTapes constants;  // sigma's gradient is left right^T whether they move or not
      pair = iterated(matrix, kept_);
      pass.updates.push_back({kept_.left, pair.left});
      pass.updates.push_back({kept_.right, pair.right});
    }
    return v_ / sum(pair.left * times(matrix, pair.right));
  }
  const Tensor& original() const override { return v_; }
  std::string describe() const override { return "SpectralNorm"; }

 private:
  const Tensor v_;
  const Pair kept_;
};

// Null for none.
std::unique_ptr<Parametrization> make_form(WeightNorm kind, const Tensor& w, Rng& rng,
                                           const ParameterOptions& options) {
  if (kind == WeightNorm::none) return nullptr;
  if (kind == WeightNorm::weight) return std::make_unique<WeightNormed>(w);
  Pair pair{normal_values({w.dim(0)}, 1, rng, options),
            normal_values({fan_in(w.shape())}, 1, rng, options)};
  if (!options.shapes_only) {
    for (int i = 0; i < kFirstIterations; ++i) pair = iterated(as_matrix(w), pair);
  }
  return std::make_unique<SpectralNormed>(w, pair);
}

}  // namespace

WeightedLayer::WeightedLayer(WeightNorm norm, const Tensor& initial, Rng& rng,
                             const ParameterOptions& options)
    : form_(make_form(norm, initial, rng, options)),
      weight(form_ ? form_->original() : add_parameter("weight", initial)) {
  if (form_) add_child("parametrizations.weight", *form_);
}

}  // namespace slope::nn
