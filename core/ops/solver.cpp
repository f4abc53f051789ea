#include "core/ops/solver.h"

#include <algorithm>
#include <cmath>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "core/ops/registry.h"

namespace slope {
namespace {

// ---- rk_combine ---------------------------------------------------------------------------------
// Inputs y, h, slopes..; the trainable form has its coefficients before the slopes.

void check_combine(const Call& c, int first_slope) {
  if (c.count() <= first_slope) {
    throw ValueError(concat(c.op.name, ": no slopes. Pass one at least."));
  }
  const Tensor& like = c.in(first_slope);
  if (!is_float(like.dtype())) {
    throw DtypeError(concat(c.op.name, ": slopes[0] ", describe(like),
                            " must be float32 or float64. Write cast(k, Dtype::f32)."));
  }
  for (int i = 0; i < c.count(); i = i == 0 ? first_slope : i + 1) {
    if (i == 0 && !c.has(0)) continue;
    const Tensor& x = c.in(i);
    const bool same_shape = x.shape() == like.shape();
    if (same_shape && x.dtype() == like.dtype()) continue;
    const std::string which = i == 0 ? "y" : concat("slopes[", i - first_slope, "]");
    const std::string text =
        concat(c.op.name, ": ", which, ' ', describe(x), ", slopes[0] ", describe(like),
               "; y and all slopes must have the same ", same_shape ? "dtype." : "shape.");
    if (same_shape) throw DtypeError(text);
    throw ShapeError(text);
  }
  if (!c.has(1)) return;
  const Tensor& h = c.in(1);
  Shape per_sample = Shape::filled(like.rank(), 1);
  if (like.rank() > 0) per_sample[0] = like.dim(0);
  if (h.rank() != 0 && h.shape() != per_sample) {
    throw ShapeError(concat(c.op.name, ": h ", describe(h), ", slopes[0] ", describe(like),
                            "; h must be (), or one step for each sample: ", per_sample, "."));
  }
  if (h.dtype() != like.dtype()) {
    throw DtypeError(concat(c.op.name, ": h ", describe(h), ", slopes[0] ", describe(like),
                            "; h must have the dtype of the slopes. Write cast(h, Dtype::",
                            like.dtype() == Dtype::f64 ? "f64" : "f32", ")."));
  }
}

OutSpecs combine_shape(const Call& c) {
  check_combine(c, 2);
  return {{c.in(2).shape(), c.in(2).dtype()}};
}

OutSpecs combine_trainable_shape(const Call& c) {
  check_combine(c, 3);
  const Tensor& coefficients = c.in(2);
  if (coefficients.rank() != 1 || coefficients.dtype() != c.in(3).dtype()) {
    throw ShapeError(concat(c.op.name, ": coefficients ", describe(coefficients), " must be (s) ",
                            name(c.in(3).dtype()), ", one for each slope."));
  }
  return {{c.in(3).shape(), c.in(3).dtype()}};
}

// y + h * total, where an undefined y is zero and an undefined h one
Tensor advance(const Tensor& y, const Tensor& h, const Tensor& total) {
  const Tensor step = h.defined() ? h * total : total;
  return y.defined() ? y + step : step;
}

Tensors combine_vjp(const Vjp& v);
Tensors combine_trainable_vjp(const Vjp& v);

struct CombineCase {
  Shape y;
  bool has_y;
  std::vector<Shape> h;  // none: undefined
  std::vector<double> coefficients;
};
std::vector<CombineCase> combine_cases() {
  return {{{2, 3}, true, {Shape{}}, {0.5}},
          {{37}, true, {Shape{}}, {0.25, -1.5, 2}},
          {{3, 2, 2}, true, {Shape{3, 1, 1}}, {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6}},
          {{2, 5}, false, {Shape{2, 1}}, {0.3, -0.3}},
          {{}, true, {Shape{}}, {1, 1}},
          {{0, 3}, true, {Shape{}}, {1, 2}},
          {{4}, false, {}, {2, 3, 4}},
          {{5}, true, {Shape{}}, {1, -2, 3, -4, 5, -6, 7, -8, 9, -10}},
          {{3, 1}, true, {Shape{3, 1}}, {0.5, 0.75, -1, 2, 0.1}}};
}

Samples combine_samples(bool trainable) {
  Samples all;
  for (const CombineCase& c : combine_cases()) {
    const auto s = static_cast<int64_t>(c.coefficients.size());
    std::vector<SampleInput> inputs;
    inputs.push_back({.shape = c.y, .undefined = !c.has_y});
    inputs.push_back(c.h.empty() ? SampleInput{.shape = {}, .undefined = true}
                                 : SampleInput{c.h.front(), 0.1, 1});
    if (trainable) inputs.push_back({{s}});
    for (int64_t i = 0; i < s; ++i) inputs.push_back({c.y});
    RkCombineAttributes fixed;
    std::copy(c.coefficients.begin(), c.coefficients.end(), fixed.coefficients.begin());
    RkCombineTrainableAttributes places;
    for (int64_t i = 0; i < s; ++i) places.places[static_cast<size_t>(i)] = s - 1 - i;
    all.push_back({inputs, trainable ? Attributes(places) : Attributes(fixed)});
  }
  return all;
}

// The slopes are kept for the gradient of h and of the coefficients; y is not read.
const Op kCombine{.name = "rk_combine",
                  .shape = combine_shape,
                  .decompose =
                      [](const Call& c) {
                        const auto& a = c.as<RkCombineAttributes>();
                        Tensor total = c.in(2) * a.coefficients[0];
                        for (int i = 3; i < c.count(); ++i) {
                          total = total + c.in(i)*a.coefficients[static_cast<size_t>(i - 2)];
                        }
                        return Tensors{advance(c.in(0), c.in(1), total)};
                      },
                  .vjp = combine_vjp,
                  .samples = [] { return combine_samples(false); },
                  .keeps = kInputs & ~input_bit(0)};

const Op kCombineTrainable{.name = "rk_combine_trainable",
                           .shape = combine_trainable_shape,
                           .decompose =
                               [](const Call& c) {
                                 const auto& a = c.as<RkCombineTrainableAttributes>();
                                 Tensor total;
                                 for (int i = 3; i < c.count(); ++i) {
                                   const int64_t place = a.places[static_cast<size_t>(i - 3)];
                                   const Tensor coefficient =
                                       reshape(slice(c.in(2), 0, place, place + 1), {});
                                   const Tensor term = c.in(i)*coefficient;
                                   total = total.defined() ? total + term : term;
                                 }
                                 return Tensors{advance(c.in(0), c.in(1), total)};
                               },
                           .vjp = combine_trainable_vjp,
                           .samples = [] { return combine_samples(true); },
                           .keeps = kInputs & ~input_bit(0)};

// y1 = y + h sum_i c_i k_i. Each gradient is one pass, written with the op itself; the tape adds
// them up, so that a step's gradient is the same sum, in the same order, however the step was
// recorded.
Tensors combine_vjp(const Vjp& v) {
  const auto& a = v.as<RkCombineAttributes>();
  Tensors d(static_cast<size_t>(v.call.count()));
  d[0] = v.g();
  if (v.wanted(1)) {
    Tensors total_inputs(v.call.inputs.begin(), v.call.inputs.end());
    total_inputs[0] = total_inputs[1] = Tensor();
    d[1] = v.g() * apply(kCombine, total_inputs, a);  // the tape sums it to the shape of h
  }
  for (int i = 2; i < v.call.count(); ++i) {
    if (!v.wanted(i)) continue;
    const RkCombineAttributes own{{a.coefficients[static_cast<size_t>(i - 2)]}};
    d[static_cast<size_t>(i)] = apply(kCombine, {Tensor(), v.in(1), v.g()}, own);
  }
  return d;
}

Tensors combine_trainable_vjp(const Vjp& v) {
  const auto& a = v.as<RkCombineTrainableAttributes>();
  Tensors d(static_cast<size_t>(v.call.count()));
  d[0] = v.g();
  if (v.wanted(1)) {
    Tensors total_inputs(v.call.inputs.begin(), v.call.inputs.end());
    total_inputs[0] = total_inputs[1] = Tensor();
    d[1] = v.g() * apply(kCombineTrainable, total_inputs, a);
  }
  const Tensor& coefficients = v.in(2);
  Tensors parts(static_cast<size_t>(coefficients.dim(0)));
  for (int i = 3; i < v.call.count(); ++i) {
    const int64_t place = a.places[static_cast<size_t>(i - 3)];
    if (v.wanted(i)) {
      const RkCombineTrainableAttributes own{{place}};
      d[static_cast<size_t>(i)] =
          apply(kCombineTrainable, {Tensor(), v.in(1), coefficients, v.g()}, own);
    }
    if (v.wanted(2)) {
      Tensor& part = parts[static_cast<size_t>(place)];
      const Tensor more = sum(v.g() * advance({}, v.in(1), v.in(i)));
      part = part.defined() ? part + more : more;
    }
  }
  if (v.wanted(2)) {
    for (Tensor& part : parts) {
      if (!part.defined()) part = zeros({}, coefficients.dtype(), coefficients.device());
    }
    d[2] = stack(parts);
  }
  return d;
}

void check_counts(size_t slopes, size_t coefficients, const char* what) {
  if (slopes != coefficients) {
    throw ValueError(concat("rk_combine: ", slopes, " slopes, but ", coefficients, ' ', what,
                            ". Pass one for each slope."));
  }
}

// When no slope counts, the state stays as it is.
Tensor unchanged(const Tensor& y, std::span<const Tensor> slopes) {
  if (y.defined()) return y;
  if (slopes.empty()) throw ValueError("rk_combine: neither y nor slopes. Pass one of them.");
  return zeros_like(slopes.front());
}

void check_stages(size_t used) {
  if (used > kMaxStages) {
    throw ValueError(
        concat("rk_combine: ", used, " slopes with a coefficient, at most ", kMaxStages,
               " fit. Combine the first ones, and pass the result as y with the rest."));
  }
}

// ---- error_norm ---------------------------------------------------------------------------------

OutSpecs error_norm_shape(const Call& c) {
  check_float(c, {"e", "y0", "y1"});
  check_same_dtype(c, {"e", "y0", "y1"});
  const Tensor& e = c.in(0);
  for (int i = 1; i < 3; ++i) {
    if (c.in(i).shape() == e.shape()) continue;
    throw ShapeError(concat("error_norm: shapes differ: ", describe_arguments(c, {"e", "y0", "y1"}),
                            ". All three must be equal."));
  }
  const auto& a = c.as<ErrorNormAttributes>();
  if (!(a.atol >= 0 && a.rtol >= 0)) {
    throw ValueError(
        concat("error_norm: atol is ", a.atol, ", rtol is ", a.rtol, "; neither may be negative."));
  }
  if (!a.per_sample) return {{{}, e.dtype()}};
  if (e.rank() == 0) {
    throw ShapeError("error_norm: e () has no sample axis. Leave per_sample false.");
  }
  return {{{e.dim(0)}, e.dtype()}};
}

// The Euclidean norm has gradient 0 at 0, where the square root has none; hence not rms().
const Op kErrorNorm{
    .name = "error_norm",
    .shape = error_norm_shape,
    .decompose =
        [](const Call& c) {
          const auto& a = c.as<ErrorNormAttributes>();
          const Tensor scale = maximum(abs(c.in(1)), abs(c.in(2))) * a.rtol + a.atol;
          const Tensor scaled = c.in(0) / scale;
          Axes axes;
          int64_t count = 1;
          for (int i = a.per_sample ? 1 : 0; i < scaled.rank(); ++i) {
            axes.push_back(i);
            count *= scaled.dim(i);
          }
          // No axes would mean all of them.
          const Tensor length = axes.rank() == 0 ? abs(scaled) : norm(scaled, axes);
          return Tensors{length * (1 / std::sqrt(static_cast<double>(count)))};
        },
    .samples =
        [] {
          Samples all;
          for (const Shape& shape : {Shape{2, 3}, Shape{37}, Shape{2, 3, 2, 2}, Shape{1, 1}}) {
            for (const int64_t per_sample : {0, 1}) {
              all.push_back({{{shape, -0.1, 0.1}, {shape}, {shape}},
                             ErrorNormAttributes{0.01, 0.1, per_sample}});
            }
          }
          return all;
        }};

}  // namespace

// ---- the surface --------------------------------------------------------------------------------

RkCombineSizes rk_combine_sizes(const Tensor& h, std::span<const Tensor> slopes) {
  RkCombineSizes sizes{.slopes = static_cast<int64_t>(slopes.size())};
  if (h.defined()) sizes.steps = h.size();
  sizes.values = sizes.steps == 0 ? 0 : slopes.front().size() / sizes.steps;
  return sizes;
}

Tensor rk_combine(const Tensor& y, const Tensor& h, std::span<const Tensor> slopes,
                  std::span<const double> coefficients) {
  check_counts(slopes.size(), coefficients.size(), "coefficients");
  Tensors inputs{y, h};
  std::vector<double> used;
  for (size_t i = 0; i < slopes.size(); ++i) {
    if (coefficients[i] == 0) continue;
    inputs.push_back(slopes[i]);
    used.push_back(coefficients[i]);
  }
  if (used.empty()) return unchanged(y, slopes);
  check_stages(used.size());
  RkCombineAttributes attributes;
  std::copy(used.begin(), used.end(), attributes.coefficients.begin());
  return apply(kCombine, inputs, attributes);
}

Tensor rk_combine(const Tensor& y, const Tensor& h, std::span<const Tensor> slopes,
                  const Tensor& coefficients, std::span<const bool> used) {
  check_counts(slopes.size(), used.size(), "marks of used coefficients");
  check_counts(slopes.size(), static_cast<size_t>(coefficients.size()), "coefficients");
  Tensors inputs{y, h, coefficients};
  std::vector<int64_t> places;
  for (size_t i = 0; i < slopes.size(); ++i) {
    if (!used[i]) continue;
    inputs.push_back(slopes[i]);
    places.push_back(static_cast<int64_t>(i));
  }
  if (places.empty()) return unchanged(y, slopes);
  check_stages(places.size());
  RkCombineTrainableAttributes attributes;
  std::copy(places.begin(), places.end(), attributes.places.begin());
  return apply(kCombineTrainable, inputs, attributes);
}

Tensor error_norm(const Tensor& e, const Tensor& y0, const Tensor& y1,
                  const ErrorNormOptions& options) {
  return apply(kErrorNorm, {e, y0, y1},
               ErrorNormAttributes{options.atol, options.rtol, options.per_sample});
}

OpList solver_ops() { return {&kCombine, &kCombineTrainable, &kErrorNorm}; }

}  // namespace slope
