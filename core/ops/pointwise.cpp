#include "core/ops/pointwise.h"

#include <array>
#include <limits>
#include <string_view>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise_formulas.h"
#include "core/ops/registry.h"

namespace slope {
namespace {

// By the number of inputs; four are a derivative's that keeps everything.
constexpr const char* kNames[][4] = {
    {"x"}, {"a", "b"}, {"condition", "a", "b"}, {"g", "a", "b", "y"}};

// All inputs broadcast to one shape and have one float dtype.
OutSpecs broadcast_shape(const Call& c) {
  const auto names = kNames[c.count() - 1];
  const std::initializer_list<const char*> list = {names[0], c.count() > 1 ? names[1] : "",
                                                   c.count() > 2 ? names[2] : "",
                                                   c.count() > 3 ? names[3] : ""};
  check_float(c, list);
  check_same_dtype(c, list);
  Shape shape = c.in(0).shape();
  for (int i = 1; i < c.count(); ++i) {
    Shape common;
    int axis_a = 0, axis_b = 0;
    const Tensor& a = c.in(i - 1);
    const Tensor& b = c.in(i);
    if (!broadcast(shape, b.shape(), &common, &axis_a, &axis_b)) {
      std::string fix;
      if (i == 1 && b.rank() == 1 && a.rank() == 2 && b.dim(0) == a.dim(0)) {
        fix = concat(" Use ", names[i], ".reshape({", b.dim(0), ", 1}) to add along rows.");
      }
      throw ShapeError(concat(c.op.name, ": shapes do not broadcast: ", describe_arguments(c, list),
                              "; ", names[i - 1], " axis ", axis_a, " is ", shape[axis_a], ", ",
                              names[i], " axis ", axis_b, " is ", b.shape()[axis_b], ".", fix));
    }
    shape = common;
  }
  return {{shape, c.in(0).dtype()}};
}

// A derivative's inputs: g, then what the line keeps of the arguments and the result.
std::vector<Tensor> derivative_inputs(const Vjp& v, int keeps) {
  std::vector<Tensor> in{v.g()};
  for (int i = 0; i < v.call.count(); ++i) {
    if (keeps >> i & 1) in.push_back(v.in(i));
  }
  if (keeps & formula::Y) in.push_back(v.out());
  return in;
}

// A derivative that is no work at all needs no kernel of its own.
constexpr bool trivial(std::string_view text) { return text == "g" || text == "-g"; }

template <typename Formula>
Tensor derivative(const Vjp& v, const Op& fused, int keeps, bool plain) {
  const std::vector<Tensor> in = derivative_inputs(v, keeps);
  const auto& numbers = v.as<PointwiseParameters>();
  if (plain || v.differentiable) return Formula::eval(in.data(), numbers.p, numbers.q);
  return apply(fused, in, numbers);
}

// The definition of a fused derivative: the same text on tensors.
template <typename Formula>
Tensors derivative_of_tensors(const Call& c) {
  const auto& numbers = c.as<PointwiseParameters>();
  return {Formula::eval(c.inputs.data(), numbers.p, numbers.q)};
}

constexpr uint32_t record_keeps(int keeps) {
  return static_cast<uint32_t>(keeps & 7) | (keeps & formula::Y ? kOutput : 0);
}

Samples unary_samples(double low, double high, PointwiseParameters numbers) {
  Samples all;
  for (const Shape& shape : {Shape{2, 3}, Shape{37}, Shape{}, Shape{3, 1, 4}, Shape{0, 3}}) {
    all.push_back({{{shape, low, high}}, numbers});
  }
  return all;
}

Samples binary_samples(double low, double high) {
  Samples all;
  const std::pair<Shape, Shape> shapes[] = {{{2, 3}, {2, 3}},    {{37}, {37}},  {{2, 3}, {3}},
                                            {{4, 1}, {1, 5}},    {{}, {3}},     {{2, 3, 4}, {}},
                                            {{2, 3, 4}, {3, 1}}, {{0, 2}, {2}}, {{1, 1}, {1}}};
  for (const auto& [a, b] : shapes)
    all.push_back({{{a, low, high}, {b, low, high}}, PointwiseParameters{}});
  return all;
}

// g is anything; the kept arguments and the result come from where the op itself is tested.
Samples derivative_samples(int keeps, double low, double high, double y_low, double y_high,
                           PointwiseParameters numbers) {
  Samples all;
  for (const Shape& shape : {Shape{2, 3}, Shape{37}, Shape{}, Shape{0, 3}}) {
    Sample sample{{{shape, -1, 1}}, numbers};
    for (int i = 0; i < formula::count(keeps & 7); ++i) sample.inputs.push_back({shape, low, high});
    if (keeps & formula::Y) sample.inputs.push_back({shape, y_low, y_high});
    all.push_back(sample);
  }
  return all;
}

// Where a derivative's y lies, for its tests: the op is monotone where it keeps y.
template <typename Formula>
Samples unary_derivative_samples(int keeps, double low, double high, PointwiseParameters numbers) {
  const double y_low = Formula::eval(&low, numbers.p, numbers.q),
               y_high = Formula::eval(&high, numbers.p, numbers.q);
  return derivative_samples(keeps, low, high, std::min(y_low, y_high), std::max(y_low, y_high),
                            numbers);
}

double number(double x) { return x; }

#define DERIVATIVE(record, text_name, Formula, keep, sample_call) \
  const Op record{.name = text_name,                              \
                  .shape = broadcast_shape,                       \
                  .decompose = derivative_of_tensors<Formula>,    \
                  .samples = [] { return sample_call; },          \
                  .strided = true};

#define UNARY(name, text, dx, keep, low, high) PARAMETRIC(name, text, dx, keep, low, high, 0, 0)
#define PARAMETRIC(op, text, dx, keep, low, high, p_tested, q_tested)                              \
  DERIVATIVE(k_##op##_dx, #op "_dx", formula::op##_dx, formula::keep,                              \
             unary_derivative_samples<formula::op##_value>(                                        \
                 formula::keep, number(low), number(high), {number(p_tested), number(q_tested)}))  \
  const Op k_##op{                                                                                 \
      .name = #op,                                                                                 \
      .shape = broadcast_shape,                                                                    \
      .vjp =                                                                                       \
          [](const Vjp& v) {                                                                       \
            return Tensors{                                                                        \
                derivative<formula::op##_dx>(v, k_##op##_dx, formula::keep, trivial(#dx))};        \
          },                                                                                       \
      .samples =                                                                                   \
          [] {                                                                                     \
            return unary_samples(number(low), number(high), {number(p_tested), number(q_tested)}); \
          },                                                                                       \
      .keeps = record_keeps(formula::keep),                                                        \
      .strided = true};
#define BINARY(op, text, da, db, keep, low, high)                                                  \
  DERIVATIVE(                                                                                      \
      k_##op##_da, #op "_da", formula::op##_da, formula::keep,                                     \
      derivative_samples(formula::keep, number(low), number(high), number(low), number(high), {})) \
  DERIVATIVE(                                                                                      \
      k_##op##_db, #op "_db", formula::op##_db, formula::keep,                                     \
      derivative_samples(formula::keep, number(low), number(high), number(low), number(high), {})) \
  const Op k_##op{                                                                                 \
      .name = #op,                                                                                 \
      .shape = broadcast_shape,                                                                    \
      .vjp =                                                                                       \
          [](const Vjp& v) {                                                                       \
            Tensors d(2);                                                                          \
            if (v.wanted(0))                                                                       \
              d[0] = derivative<formula::op##_da>(v, k_##op##_da, formula::keep, trivial(#da));    \
            if (v.wanted(1))                                                                       \
              d[1] = derivative<formula::op##_db>(v, k_##op##_db, formula::keep, trivial(#db));    \
            return d;                                                                              \
          },                                                                                       \
      .samples = [] { return binary_samples(number(low), number(high)); },                         \
      .keeps = record_keeps(formula::keep),                                                        \
      .strided = true};
#define FLAT(op, sample_call)                            \
  const Op k_##op{.name = #op,                           \
                  .shape = broadcast_shape,              \
                  .samples = [] { return sample_call; }, \
                  .keeps = kNothing,                     \
                  .strided = true,                       \
                  .differentiable = false};
#define STEP(op, text, low, high) FLAT(op, unary_samples(number(low), number(high), {}))
#define COMPARE(op, text) FLAT(op, binary_samples(-2, 2))
#define COMPARE_SCALAR(op, text) FLAT(op, unary_samples(-2, 2, {0.25, 0}))

using formula::c;
#include "core/ops/pointwise.def"
#undef UNARY
#undef PARAMETRIC
#undef BINARY
#undef STEP
#undef COMPARE
#undef COMPARE_SCALAR
#undef FLAT
#undef DERIVATIVE

const Op k_select{.name = "select",
                  .shape = broadcast_shape,
                  .vjp =
                      [](const Vjp& v) {
                        Tensors d(3);
                        if (v.wanted(1)) d[1] = select(v.in(0), v.g(), 0.0);
                        if (v.wanted(2)) d[2] = select(v.in(0), zeros_like(v.g()), v.g());
                        return d;
                      },
                  .samples =
                      [] {
                        return Samples{
                            {{{{2, 3}, -1, 1}, {{2, 3}}, {{2, 3}}}, PointwiseParameters{}},
                            {{{{2, 1}, -1, 1}, {{3}}, {{}}}, PointwiseParameters{}},
                            {{{{0}, -1, 1}, {{1}}, {{0}}}, PointwiseParameters{}}};
                      },
                  .keeps = input_bit(0),
                  .strided = true};

Tensor unary(const Op& op, const Tensor& x, double p = 0, double q = 0) {
  return apply(op, {x}, PointwiseParameters{p, q});
}
Tensor binary(const Op& op, const Tensor& a, const Tensor& b) {
  return apply(op, {a, b}, PointwiseParameters{});
}

}  // namespace

OpList pointwise_ops() {
  OpList list;
#define UNARY(op, ...) list.insert(list.end(), {&k_##op, &k_##op##_dx});
#define PARAMETRIC(op, ...) UNARY(op)
#define BINARY(op, ...) list.insert(list.end(), {&k_##op, &k_##op##_da, &k_##op##_db});
#define STEP(op, ...) list.push_back(&k_##op);
#define COMPARE(op, ...) list.push_back(&k_##op);
#define COMPARE_SCALAR(op, ...) list.push_back(&k_##op);
#include "core/ops/pointwise.def"
#undef PARAMETRIC
#undef COMPARE_SCALAR
  list.push_back(&k_select);
  return list;
}

// The functions of the plain lines have the name of their line.
#undef UNARY
#undef BINARY
#undef STEP
#undef COMPARE
#define UNARY(op, ...) \
  Tensor op(const Tensor& x) { return unary(k_##op, x); }
#define BINARY(op, ...) \
  Tensor op(const Tensor& a, const Tensor& b) { return binary(k_##op, a, b); }
#define STEP(op, ...) UNARY(op)
#define COMPARE(op, ...) BINARY(op)
#define PARAMETRIC(op, ...)
#define COMPARE_SCALAR(op, ...)
#include "core/ops/pointwise.def"
#undef UNARY
#undef BINARY
#undef STEP
#undef COMPARE
#undef PARAMETRIC
#undef COMPARE_SCALAR

Tensor leaky_relu(const Tensor& x, double slope) { return unary(k_leaky_relu, x, slope); }
Tensor elu(const Tensor& x, double alpha) { return unary(k_elu, x, alpha); }
Tensor pow(const Tensor& x, double exponent) { return unary(k_pow_scalar, x, exponent); }
Tensor clamp(const Tensor& x, double low, double high) {
  if (!(low <= high))
    throw ValueError(concat("clamp: low ", low, " is above high ", high, ". Swap them."));
  return unary(k_clamp, x, low, high);
}
Tensor maximum(const Tensor& x, double low) {
  return clamp(x, low, std::numeric_limits<double>::infinity());
}
Tensor minimum(const Tensor& x, double high) {
  return clamp(x, -std::numeric_limits<double>::infinity(), high);
}

Tensor select(const Tensor& condition, const Tensor& a, const Tensor& b) {
  return apply(k_select, {condition, a, b}, PointwiseParameters{});
}
Tensor select(const Tensor& condition, const Tensor& a, double b) {
  return select(condition, a, scalar(b, a.dtype(), a.device()));
}
Tensor select(const Tensor& condition, double a, const Tensor& b) {
  return select(condition, scalar(a, b.dtype(), b.device()), b);
}

Tensor operator-(const Tensor& x) { return neg(x); }
Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
Tensor operator+(const Tensor& a, double b) { return unary(k_add_scalar, a, b); }
Tensor operator-(const Tensor& a, double b) { return unary(k_add_scalar, a, -b); }
Tensor operator*(const Tensor& a, double b) { return unary(k_mul_scalar, a, b); }
Tensor operator/(const Tensor& a, double b) { return unary(k_div_scalar, a, b); }
Tensor operator+(double a, const Tensor& b) { return unary(k_add_scalar, b, a); }
Tensor operator-(double a, const Tensor& b) { return unary(k_rsub_scalar, b, a); }
Tensor operator*(double a, const Tensor& b) { return unary(k_mul_scalar, b, a); }
Tensor operator/(double a, const Tensor& b) { return unary(k_rdiv_scalar, b, a); }
Tensor operator<(const Tensor& a, const Tensor& b) { return less(a, b); }
Tensor operator<=(const Tensor& a, const Tensor& b) { return less_equal(a, b); }
Tensor operator>(const Tensor& a, const Tensor& b) { return greater(a, b); }
Tensor operator>=(const Tensor& a, const Tensor& b) { return greater_equal(a, b); }
Tensor operator<(const Tensor& a, double b) { return unary(k_less_scalar, a, b); }
Tensor operator<=(const Tensor& a, double b) { return unary(k_less_equal_scalar, a, b); }
Tensor operator>(const Tensor& a, double b) { return unary(k_greater_scalar, a, b); }
Tensor operator>=(const Tensor& a, double b) { return unary(k_greater_equal_scalar, a, b); }

}  // namespace slope
