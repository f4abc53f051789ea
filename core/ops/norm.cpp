#include "core/ops/norm.h"

#include <array>
#include <optional>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/norm_definition.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "core/ops/registry.h"

namespace slope {
namespace {

// ---- checks -------------------------------------------------------------------------------------

// x: (N, .., C), at least two axes.
void check_channels(const char* where, const Tensor& x) {
  if (x.rank() >= 2) return;
  throw ShapeError(
      concat(where, ": x ", describe(x), " has ", x.rank(),
             " axes; (N, .., C) has at least 2. Add the batch axis: unsqueeze(x, 0)."));
}

// p: (C) or undefined
void check_per_channel(const char* where, const Tensor& x, const char* name, const Tensor& p) {
  if (!p.defined()) return;
  const int64_t channels = x.shape().back();
  if (p.rank() == 1 && p.dim(0) == channels) return;
  const std::string found =
      p.rank() == 1 ? concat(" axis 0 is ", p.dim(0)) : concat(" has ", p.rank(), " axes");
  throw ShapeError(concat(where, ": ", name, " must have one value for each channel: x ",
                          describe(x), ", ", name, ' ', describe(p), "; x axis ", x.rank() - 1,
                          " is ", channels, ", ", name, found, ". Pass ", name, " of shape (",
                          channels, ")."));
}

// The shape of t for one time per sample: (N, 1, .., 1).
Shape per_sample_shape(const Tensor& x) {
  Shape shape = Shape::filled(x.rank(), 1);
  shape[0] = x.dim(0);
  return shape;
}

Shape sample_shape(const Tensor& x) {
  return Shape(std::span(x.shape().begin() + 1, static_cast<size_t>(x.rank() - 1)));
}

void check_time(const char* where, const Tensor& x, const Tensor& t, const Tensor& map) {
  if (t.defined() != map.defined()) {
    throw ValueError(concat(where, ": the time term has ", t.defined() ? "t" : "map", " but no ",
                            t.defined() ? "map" : "t", ". Give both, or none."));
  }
  if (!t.defined()) return;
  if (t.rank() != 0 && t.shape() != per_sample_shape(x)) {
    throw ShapeError(concat(where, ": x ", describe(x), ", t ", describe(t),
                            "; t must be (), or one value for each sample: ", per_sample_shape(x),
                            "."));
  }
  if (map.shape() != sample_shape(x)) {
    throw ShapeError(concat(where, ": x ", describe(x), ", map ", describe(map),
                            "; map must have the shape of one sample: ", sample_shape(x), "."));
  }
}

constexpr std::array kNames = {"x", "weight", "bias", "t", "map"};

// The inputs x, weight, bias, t, map of a call, which begin at `first`.
void check_inputs(const Call& c, std::initializer_list<const char*> names, int first) {
  check_float(c, names);
  check_same_dtype(c, names);
  const auto in = [&](int i) { return c.has(first + i) ? c.in(first + i) : Tensor(); };
  check_channels(c.op.name, in(0));
  for (const int i : {1, 2})
    check_per_channel(c.op.name, in(0), kNames[static_cast<size_t>(i)], in(i));
  check_time(c.op.name, in(0), in(3), in(4));
}

void check_groups(const Call& c, const Tensor& x, int64_t groups) {
  const int64_t channels = x.shape().back();
  if (groups >= 1 && channels % groups == 0) return;
  throw ShapeError(concat(c.op.name, ": groups must divide the channels: x ", describe(x),
                          "; x axis ", x.rank() - 1, " is ", channels, ", groups is ", groups,
                          ". Choose a divisor of ", channels, "."));
}

void check_shape_of(const Call& c, const char* name, const Tensor& given, const Shape& expected) {
  if (given.shape() == expected) return;
  throw ShapeError(
      concat(c.op.name, ": ", name, ' ', describe(given), " must have shape ", expected, "."));
}

OutSpecs group_norm_shape(const Call& c) {
  check_inputs(c, {"x", "weight", "bias", "t", "map"}, 0);
  const Tensor& x = c.in(0);
  const int64_t groups = c.as<GroupNormAttributes>().groups;
  check_groups(c, x, groups);
  const Shape statistics{x.dim(0), groups};
  return {{x.shape(), x.dtype()}, {statistics, x.dtype()}, {statistics, x.dtype()}};
}

OutSpecs batch_norm_shape(const Call& c) {
  check_inputs(c, {"x", "weight", "bias", "t", "map"}, 0);
  const Tensor& x = c.in(0);
  const Shape statistics{x.shape().back()};
  return {{x.shape(), x.dtype()}, {statistics, x.dtype()}, {statistics, x.dtype()}};
}

// dx, dweight, dbias, dmap; what is not wanted has shape (0).
OutSpecs gradient_shape(const Call& c, const Shape& statistics, bool wants_affine, bool wants_map) {
  check_inputs(c, {"g", "x", "weight", "bias", "t", "map", "mean", "spread"}, 1);
  const Tensor& x = c.in(1);
  check_shape_of(c, "g", c.in(0), x.shape());
  check_shape_of(c, "mean", c.in(6), statistics);
  check_shape_of(c, "spread", c.in(7), statistics);
  const Shape affine{wants_affine ? x.shape().back() : 0};
  const Shape map = wants_map && c.has(4) ? sample_shape(x) : Shape{0};
  return {{x.shape(), x.dtype()}, {affine, x.dtype()}, {affine, x.dtype()}, {map, x.dtype()}};
}

OutSpecs group_norm_gradient_shape(const Call& c) {
  const auto& a = c.as<GroupNormGradientAttributes>();
  check_channels(c.op.name, c.in(1));
  check_groups(c, c.in(1), a.groups);
  return gradient_shape(c, {c.in(1).dim(0), a.groups}, a.wants_affine, a.wants_map);
}

OutSpecs batch_norm_gradient_shape(const Call& c) {
  const auto& a = c.as<BatchNormGradientAttributes>();
  check_channels(c.op.name, c.in(1));
  return gradient_shape(c, {c.in(1).shape().back()}, a.wants_affine, a.wants_map);
}

OutSpecs batch_norm_with_shape(const Call& c) {
  const std::initializer_list<const char*> names = {"x",    "mean", "variance", "weight",
                                                    "bias", "t",    "map"};
  check_float(c, names);
  check_same_dtype(c, names);
  const Tensor& x = c.in(0);
  check_channels(c.op.name, x);
  for (int i = 1; i <= 4; ++i) {
    if (c.has(i)) check_per_channel(c.op.name, x, std::data(names)[i], c.in(i));
  }
  check_time(c.op.name, x, c.has(5) ? c.in(5) : Tensor(), c.has(6) ? c.in(6) : Tensor());
  return {{x.shape(), x.dtype()}};
}

// ---- samples ------------------------------------------------------------------------------------

constexpr SampleInput kAbsent{.shape = {}, .undefined = true};

// Inputs x, weight, bias, t, map.
std::vector<SampleInput> norm_inputs(const Shape& x, bool affine, const Shape* t) {
  const Shape channels{x.back()};
  Shape map;
  for (int i = 1; i < x.rank(); ++i) map.push_back(x[i]);
  return {{x},
          affine ? SampleInput{channels, 0.5, 1.5} : kAbsent,
          affine ? SampleInput{channels} : kAbsent,
          t ? SampleInput{*t, 0, 1} : kAbsent,
          t ? SampleInput{map} : kAbsent};
}

struct NormCase {
  Shape x;
  int64_t groups;
  bool affine;
  std::optional<Shape> t;
  Activation activation;
};
std::vector<NormCase> norm_cases() {
  const auto none = std::nullopt;
  return {
      {{2, 3, 2, 4}, 2, true, none, Activation::none},
      {{2, 3, 3, 6}, 3, true, none, Activation::relu},
      {{2, 2, 3, 4}, 1, true, Shape{}, Activation::gelu},
      {{3, 2, 2, 4}, 2, true, Shape{3, 1, 1, 1}, Activation::softplus},
      {{2, 5, 3}, 3, false, none, Activation::tanh},
      {{1, 3, 3, 1}, 1, true, none, Activation::silu},
      {{5, 7}, 1, false, none, Activation::none},
      {{2, 1, 5, 34}, 17, true, Shape{}, Activation::leaky_relu},
      {{3, 3, 2}, 1, true, Shape{3, 1, 1}, Activation::none},
  };
}
const Shape* pointer(const std::optional<Shape>& t) { return t ? &*t : nullptr; }

Samples group_norm_samples() {
  Samples all;
  for (const NormCase& c : norm_cases()) {
    all.push_back({norm_inputs(c.x, c.affine, pointer(c.t)),
                   GroupNormAttributes{.groups = c.groups, .activation = c.activation}});
  }
  all.push_back({norm_inputs({0, 3, 3, 4}, true, nullptr), GroupNormAttributes{.groups = 2}});
  return all;
}

Samples batch_norm_samples() {
  Samples all;
  for (const NormCase& c : norm_cases()) {
    all.push_back({norm_inputs(c.x, c.affine, pointer(c.t)),
                   BatchNormAttributes{.activation = c.activation}});
  }
  return all;
}

// g, the inputs of the norm, and statistics of their own: the ops must be right for any.
template <typename Attributes>
Samples gradient_samples(bool per_sample, Attributes (*attributes)(const NormCase&)) {
  Samples all;
  for (const NormCase& c : norm_cases()) {
    std::vector<SampleInput> inputs = norm_inputs(c.x, c.affine, pointer(c.t));
    inputs.insert(inputs.begin(), {c.x});
    const Shape statistics = per_sample ? Shape{c.x[0], c.groups} : Shape{c.x.back()};
    inputs.push_back({statistics, -0.5, 0.5});
    inputs.push_back({statistics, 0.5, 1.5});
    Attributes wants = attributes(c);
    wants.wants_map = c.t.has_value();
    all.push_back({inputs, wants});
    wants.wants_affine = wants.wants_map = 0;
    all.push_back({inputs, wants});
  }
  return all;
}

// ---- gradient rules -----------------------------------------------------------------------------

// The inputs x, weight, bias, t, map of a call, which begin at `first`.
NormInputs inputs_of(const Call& c, int first) {
  return {c.in(first), c.in(first + 1), c.in(first + 2), c.in(first + 3), c.in(first + 4)};
}

// The results of a gradient op: what is not wanted has shape (0).
Tensors listed(const NormGradient& d, bool wants_affine, bool wants_map) {
  const Tensor nothing = zeros({0}, d.dx.dtype(), d.dx.device());
  return {d.dx, wants_affine ? d.dweight : nothing, wants_affine ? d.dbias : nothing,
          wants_map && d.dmap.defined() ? d.dmap : nothing};
}

// The rule of group_norm and batch_norm. `fused` with `attributes` is the gradient op. slope_of(g):
// the cotangent g of the second statistic times that statistic's derivative by a value, divided by
// (value - mean); shaped like the grouping's statistics.
//
// Only gradients of gradients, and callers who differentiate a batch's mean or variance, send
// anything through the statistics.
template <typename SlopeOf>
Tensors norm_vjp(const Vjp& v, const Grouping& by, const Op& fused, const Attributes& attributes,
                 SlopeOf&& slope_of) {
  Tensors d(5);
  if (v.g(0).defined()) {
    const Tensors parts =
        apply_all(fused, {v.g(0), v.in(0), v.in(1), v.in(2), v.in(3), v.in(4), v.out(1), v.out(2)},
                  attributes);
    d[0] = parts[0];
    if (v.wanted(1)) d[1] = parts[1];
    if (v.wanted(2)) d[2] = parts[2];
    if (v.wanted(3)) d[3] = parts[0] * v.in(4);  // the tape sums it to the shape of t
    if (v.wanted(4)) d[4] = parts[3];
  }
  const auto add_to = [](Tensor& sum, const Tensor& part) {
    sum = sum.defined() ? sum + part : part;
  };
  Tensor through;  // in the grouping's view
  if (v.g(1).defined()) {
    through = reshape(v.g(1), by.statistics()) * (1.0 / static_cast<double>(by.count()));
  }
  if (v.g(2).defined()) {
    const Tensor mean = reshape(v.out(1), by.statistics());
    add_to(through, centred_values(by, inputs_of(v.call, 0), mean) *
                        slope_of(reshape(v.g(2), by.statistics())));
  }
  if (!through.defined()) return d;
  const Tensor dx = reshape(expand(through, by.view), v.in(0).shape());
  if (v.wanted(0)) add_to(d[0], dx);
  if (v.wanted(3)) add_to(d[3], dx * v.in(4));
  if (v.wanted(4)) add_to(d[4], sum(v.in(3) * dx, {0}));
  return d;
}

Tensors group_norm_vjp(const Vjp& v);
Tensors batch_norm_vjp(const Vjp& v);

// ---- records ------------------------------------------------------------------------------------

const Op kGroupNorm{
    .name = "group_norm",
    .shape = group_norm_shape,
    .visible = 3,
    .decompose =
        [](const Call& c) {
          const auto& a = c.as<GroupNormAttributes>();
          const auto by = Grouping::per_sample(c.in(0), a.groups);
          const Normalised n = normalise(by, inputs_of(c, 0), a.epsilon, a.activation);
          const Shape statistics{by.view[0], a.groups};
          return Tensors{n.y, reshape(n.mean, statistics), reshape(n.rstd, statistics)};
        },
    .vjp = group_norm_vjp,
    .samples = group_norm_samples,
    .keeps = kInputs | kOutput << 1 | kOutput << 2};

// Where a tape needs the gradient of this, it differentiates the decomposition.
const Op kGroupNormGradient{
    .name = "group_norm_gradient",
    .shape = group_norm_gradient_shape,
    .visible = 4,
    .decompose =
        [](const Call& c) {
          const auto& a = c.as<GroupNormGradientAttributes>();
          const auto by = Grouping::per_sample(c.in(1), a.groups);
          const Tensor mean = reshape(c.in(6), by.statistics());
          const Tensor rstd = reshape(c.in(7), by.statistics());
          return listed(normalise_gradient(by, c.in(0), inputs_of(c, 1), mean, rstd, a.activation),
                        a.wants_affine, a.wants_map);
        },
    .samples =
        [] {
          return gradient_samples<GroupNormGradientAttributes>(true, [](const NormCase& c) {
            return GroupNormGradientAttributes{.groups = c.groups, .activation = c.activation};
          });
        }};

const Op kBatchNorm{
    .name = "batch_norm",
    .shape = batch_norm_shape,
    .visible = 3,
    .decompose =
        [](const Call& c) {
          const auto& a = c.as<BatchNormAttributes>();
          const auto by = Grouping::per_channel(c.in(0));
          const Normalised n = normalise(by, inputs_of(c, 0), a.epsilon, a.activation);
          const Shape statistics{by.view[2]};
          return Tensors{n.y, reshape(n.mean, statistics), reshape(n.variance, statistics)};
        },
    .vjp = batch_norm_vjp,
    .samples = batch_norm_samples,
    .keeps = kInputs | kOutput << 1 | kOutput << 2};

const Op kBatchNormGradient{
    .name = "batch_norm_gradient",
    .shape = batch_norm_gradient_shape,
    .visible = 4,
    .decompose =
        [](const Call& c) {
          const auto& a = c.as<BatchNormGradientAttributes>();
          const auto by = Grouping::per_channel(c.in(1));
          const Tensor mean = reshape(c.in(6), by.statistics());
          const Tensor rstd = rsqrt(reshape(c.in(7), by.statistics()) + a.epsilon);
          return listed(normalise_gradient(by, c.in(0), inputs_of(c, 1), mean, rstd, a.activation),
                        a.wants_affine, a.wants_map);
        },
    .samples =
        [] {
          return gradient_samples<BatchNormGradientAttributes>(false, [](const NormCase& c) {
            return BatchNormGradientAttributes{.activation = c.activation};
          });
        }};

// Its gradient is that of the decomposition.
const Op kBatchNormWith{
    .name = "batch_norm_with",
    .shape = batch_norm_with_shape,
    .decompose =
        [](const Call& c) {
          const auto& a = c.as<BatchNormAttributes>();
          const Tensor x = c.has(5) ? c.in(0) + c.in(5) * c.in(6) : c.in(0);
          const Tensor rstd = rsqrt(c.in(2) + a.epsilon);
          Tensor z = (x - c.in(1)) * (c.has(3) ? rstd * c.in(3) : rstd);
          if (c.has(4)) z = z + c.in(4);
          return Tensors{activate(z, a.activation)};
        },
    .samples =
        [] {
          Samples all;
          for (const NormCase& c : norm_cases()) {
            std::vector<SampleInput> inputs = norm_inputs(c.x, c.affine, pointer(c.t));
            const Shape channels{c.x.back()};
            inputs.insert(inputs.begin() + 1, {{channels}, {channels, 0.5, 1.5}});
            all.push_back({inputs, BatchNormAttributes{.activation = c.activation}});
          }
          return all;
        }};

Tensors group_norm_vjp(const Vjp& v) {
  const auto& a = v.as<GroupNormAttributes>();
  const auto by = Grouping::per_sample(v.in(0), a.groups);
  const GroupNormGradientAttributes wants{.groups = a.groups,
                                          .activation = a.activation,
                                          .wants_affine = v.wanted(1) || v.wanted(2),
                                          .wants_map = v.wanted(4)};
  // rstd = (mean((value - mean)^2) + epsilon)^(-1/2)
  return norm_vjp(v, by, kGroupNormGradient, wants, [&](const Tensor& g) {
    const Tensor rstd = reshape(v.out(2), by.statistics());
    return g * rstd * rstd * rstd * (-1.0 / static_cast<double>(by.count()));
  });
}

Tensors batch_norm_vjp(const Vjp& v) {
  const auto& a = v.as<BatchNormAttributes>();
  const auto by = Grouping::per_channel(v.in(0));
  const BatchNormGradientAttributes wants{.epsilon = a.epsilon,
                                          .activation = a.activation,
                                          .wants_affine = v.wanted(1) || v.wanted(2),
                                          .wants_map = v.wanted(4)};
  // variance = mean((value - mean)^2)
  return norm_vjp(v, by, kBatchNormGradient, wants,
                  [&](const Tensor& g) { return g * (2.0 / static_cast<double>(by.count())); });
}

}  // namespace

// ---- the surface --------------------------------------------------------------------------------

NormSizes norm_sizes(const Tensor& x, const Tensor& t) {
  NormSizes sizes{.samples = x.dim(0), .positions = 1, .channels = x.shape().back()};
  for (int i = 1; i + 1 < x.rank(); ++i) sizes.positions *= x.shape()[i];
  sizes.t_stride = t.defined() && t.rank() > 0 ? 1 : 0;
  return sizes;
}

Tensor group_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t groups,
                  const NormOptions& options, const TimeTerm& time) {
  const GroupNormAttributes attributes{groups, options.epsilon, options.activation};
  return apply(kGroupNorm, {x, weight, bias, time.t, time.map}, attributes);
}

Tensor instance_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                     const NormOptions& options) {
  check_channels("instance_norm", x);
  return group_norm(x, weight, bias, x.shape().back(), options);
}

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const NormOptions& options) {
  if (x.rank() == 0) {
    throw ShapeError("layer_norm: x () has no axis to normalise over. Write x.reshape({1}).");
  }
  check_per_channel("layer_norm", x, "weight", weight);
  check_per_channel("layer_norm", x, "bias", bias);
  // A row is a sample with one position and one group.
  Shape leading = x.shape();
  leading[x.rank() - 1] = 1;
  const Tensor rows = reshape(x, {leading.size(), x.shape().back()});
  return reshape(group_norm(rows, weight, bias, 1, options), x.shape());
}

BatchNormResult batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                           const NormOptions& options, const TimeTerm& time) {
  const BatchNormAttributes attributes{options.epsilon, options.activation};
  const Tensors results = apply_all(kBatchNorm, {x, weight, bias, time.t, time.map}, attributes);
  return {results[0], results[1], results[2]};
}

Tensor batch_norm_with(const Tensor& x, const Tensor& mean, const Tensor& variance,
                       const Tensor& weight, const Tensor& bias, const NormOptions& options,
                       const TimeTerm& time) {
  const BatchNormAttributes attributes{options.epsilon, options.activation};
  return apply(kBatchNormWith, {x, mean, variance, weight, bias, time.t, time.map}, attributes);
}

OpList norm_ops() {
  return {&kGroupNorm, &kGroupNormGradient, &kBatchNorm, &kBatchNormGradient, &kBatchNormWith};
}

}  // namespace slope
