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

// w: (out, ..) -> (out, fan_in)
Tensor as_matrix(const Tensor& w) { return reshape(w, {w.dim(0), fan_in(w.shape())}); }

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

class SpectralNormed final : public Parametrization {
 public:
  SpectralNormed(const Tensor& w, const Tensor& start)
      : v_(add_parameter("original", w)), u_(add_buffer("0._u", start)) {}
  Tensor weight(Pass& pass) const override {
    const Tensor matrix = as_matrix(v_);
    Tensor u = u_, partner;
    {
      // Both vectors count as constants: sigma's gradient is u v^T whether they move or not.
      const MuteTapes iteration;
      if (pass.training) u = unit(times(matrix, unit(times(matrix, u, true))));
      partner = unit(times(matrix, u, true));
    }
    if (pass.training) pass.updates.push_back({u_, u});
    return v_ / sum(u * times(matrix, partner));
  }
  const Tensor& original() const override { return v_; }
  std::string describe() const override { return "SpectralNorm"; }

 private:
  const Tensor v_, u_;
};

// Null for none.
std::unique_ptr<Parametrization> make_form(WeightNorm kind, const Tensor& w, Rng& rng,
                                           const ParameterOptions& options) {
  if (kind == WeightNorm::none) return nullptr;
  if (kind == WeightNorm::weight) return std::make_unique<WeightNormed>(w);
  Tensor u = normal_values({w.dim(0)}, 1, rng, options);
  if (!options.shapes_only) {
    const Tensor matrix = as_matrix(w);
    for (int i = 0; i < kFirstIterations; ++i)
      u = unit(times(matrix, unit(times(matrix, u, true))));
  }
  return std::make_unique<SpectralNormed>(w, u);
}

}  // namespace

WeightedLayer::WeightedLayer(WeightNorm norm, const Tensor& initial, Rng& rng,
                             const ParameterOptions& options)
    : form_(make_form(norm, initial, rng, options)),
      weight(form_ ? form_->original() : add_parameter("weight", initial)) {
  if (form_) add_child("parametrizations.weight", *form_);
}

}  // namespace slope::nn
