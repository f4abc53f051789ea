#include "core/ops/contract.h"

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "core/ops/registry.h"

namespace slope {
namespace {

Shape leading_axes(const Shape& shape) {
  return Shape(std::span(shape.begin(), static_cast<size_t>(shape.rank() - 2)));
}

// The repair that would make the inner sizes fit, if a transpose does.
std::string matmul_repair(const Shape& a, const Shape& b, const MatmulOptions& options) {
  for (const bool flip_a : {false, true}) {
    const bool flip_b = !flip_a;
    const MatmulOptions other{options.transpose_a != flip_a, options.transpose_b != flip_b};
    const int64_t inner_a = a[a.rank() - (other.transpose_a ? 2 : 1)];
    const int64_t inner_b = b[b.rank() - (other.transpose_b ? 1 : 2)];
    if (inner_a != inner_b) continue;
    const bool both = other.transpose_a && other.transpose_b;
    const bool none = !other.transpose_a && !other.transpose_b;
    return concat("Did you mean matmul(a, b",
                  none                ? ""
                  : both              ? ", {.transpose_a = true, .transpose_b = true}"
                  : other.transpose_a ? ", {.transpose_a = true}"
                                      : ", {.transpose_b = true}",
                  ")?");
  }
  return "The columns of a must be as many as the rows of b.";
}

OutSpecs matmul_shape(const Call& c) {
  check_float(c, {"a", "b"});
  check_same_dtype(c, {"a", "b"});
  const auto& options = c.as<MatmulOptions>();
  const Shape& a = c.in(0).shape();
  const Shape& b = c.in(1).shape();
  for (int i = 0; i < 2; ++i) {
    const Shape& x = c.in(i).shape();
    if (x.rank() >= 2) continue;
    const char* name = i == 0 ? "a" : "b";
    const int64_t n = x.size();
    throw ShapeError(concat("matmul: ", describe_arguments(c, {"a", "b"}), "; ", name, " has ",
                            x.rank(), " axes, a matrix has 2. Use ", name, ".reshape({",
                            i == 0 ? 1 : n, ", ", i == 0 ? n : 1, "})."));
  }
  const int axis_a = a.rank() - (options.transpose_a ? 2 : 1);
  const int axis_b = b.rank() - (options.transpose_b ? 1 : 2);
  if (a[axis_a] != b[axis_b]) {
    throw ShapeError(concat("matmul: inner sizes differ: ", describe_arguments(c, {"a", "b"}),
                            "; a axis ", axis_a, " is ", a[axis_a], ", b axis ", axis_b, " is ",
                            b[axis_b], ". ", matmul_repair(a, b, options)));
  }
  Shape result;
  int bad_a = 0, bad_b = 0;
  if (!broadcast(leading_axes(a), leading_axes(b), &result, &bad_a, &bad_b)) {
    throw ShapeError(
        concat("matmul: leading axes do not broadcast: ", describe_arguments(c, {"a", "b"}),
               "; a axis ", bad_a, " is ", a[bad_a], ", b axis ", bad_b, " is ", b[bad_b],
               ". They must be equal, or one of them 1."));
  }
  result.push_back(a[a.rank() - (options.transpose_a ? 1 : 2)]);
  result.push_back(b[b.rank() - (options.transpose_b ? 2 : 1)]);
  return {{result, c.in(0).dtype()}};
}

// All but the last axis as one.
Tensor as_rows(const Tensor& x) {
  if (x.rank() == 2) return x;
  int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) rows *= x.shape()[i];
  return x.reshape({rows, x.shape().back()});
}

// With A = a or its transpose, likewise B, and C = A B: dA = g B^T and dB = A^T g, each written so
// that it comes out the way the argument is stored. Axes that broadcasting stretched are summed by
// the tape.
Tensors matmul_vjp(const Vjp& v) {
  const auto [ta, tb] = v.as<MatmulOptions>();
  const Tensor& a = v.in(0);
  const Tensor& b = v.in(1);
  const Tensor& g = v.g();
  Tensor da, db;
  if (v.wanted(0)) {
    da = ta ? matmul(b, g, {.transpose_a = tb, .transpose_b = true})
            : matmul(g, b, {.transpose_b = !tb});
  }
  if (v.wanted(1)) {
    if (b.rank() == 2 && a.rank() > 2 && !ta) {
      // One matrix for all: as one long product there is no sum over the leading axes left to do.
      db = tb ? matmul(as_rows(g), as_rows(a), {.transpose_a = true})
              : matmul(as_rows(a), as_rows(g), {.transpose_a = true});
    } else {
      db = tb ? matmul(g, a, {.transpose_a = true, .transpose_b = ta})
              : matmul(a, g, {.transpose_a = !ta});
    }
  }
  return {da, db};
}

Samples matmul_samples() {
  const MatmulOptions plain, left{true, false}, right{false, true}, both{true, true};
  return {
      {{{{3, 4}}, {{4, 5}}}, plain},
      {{{{4, 3}}, {{4, 5}}}, left},
      {{{{3, 4}}, {{5, 4}}}, right},
      {{{{4, 3}}, {{5, 4}}}, both},
      {{{{1, 7}}, {{7, 1}}}, plain},
      {{{{5, 1}}, {{1, 3}}}, plain},
      {{{{7, 33}}, {{33, 17}}}, plain},
      {{{{2, 3, 4}}, {{2, 4, 2}}}, plain},
      {{{{2, 4, 3}}, {{2, 2, 4}}}, both},
      {{{{2, 1, 2, 3}}, {{4, 3, 2}}}, plain},  // leading axes broadcast both ways
      {{{{3, 2, 4}}, {{4, 3}}}, plain},        // one matrix b for all
      {{{{3, 2, 4}}, {{3, 4}}}, right},
      {{{{3, 4, 2}}, {{4, 3}}}, left},
      {{{{4, 3}}, {{2, 4, 2}}}, left},  // one matrix a for all
      {{{{0, 4}}, {{4, 3}}}, plain},
      {{{{3, 0}}, {{0, 2}}}, plain},  // an empty sum is 0
      {{{{0, 2, 3}}, {{3, 2}}}, plain},
  };
}

const Op kMatmul{
    .name = "matmul", .shape = matmul_shape, .vjp = matmul_vjp, .samples = matmul_samples};

std::string linear_repair(const Shape& x, const Shape& w) {
  const int64_t in = w[1];
  if (x.back() == w[0]) return "w is (out, in). Did you mean linear(x, transpose(w))?";
  if (x.rank() > 2 && x[0] > 0 && x.size() / x[0] == in) {
    return concat("Did you mean linear(x.reshape({", x[0], ", ", in, "}), w)?");
  }
  return concat("w is (out, in). Build the layer with .in = ", x.back(), ".");
}

OutSpecs linear_shape(const Call& c) {
  check_float(c, {"x", "w", "b"});
  check_same_dtype(c, {"x", "w", "b"});
  const Shape& x = c.in(0).shape();
  const Shape& w = c.in(1).shape();
  const auto arguments = [&] { return describe_arguments(c, {"x", "w", "b"}); };
  if (x.rank() < 1) {
    throw ShapeError(concat("linear: ", arguments(), "; x has no axis. Use x.reshape({1, 1})."));
  }
  if (w.rank() != 2) {
    throw ShapeError(
        concat("linear: ", arguments(), "; w has ", w.rank(), " axes, expected 2: (out, in)."));
  }
  if (x.back() != w[1]) {
    throw ShapeError(concat("linear: inner sizes differ: ", arguments(), "; x axis ", x.rank() - 1,
                            " is ", x.back(), ", w axis 1 is ", w[1], ". ", linear_repair(x, w)));
  }
  if (c.has(2) && c.in(2).shape() != Shape{w[0]}) {
    throw ShapeError(concat("linear: bias differs: ", arguments(), "; expected b (", w[0],
                            "): one value for each row of w."));
  }
  Shape result = x;
  result[x.rank() - 1] = w[0];
  return {{result, c.in(0).dtype()}};
}

Tensors linear_decompose(const Call& c) {
  const Tensor& x = c.in(0);
  const Tensor rows = x.rank() == 1 ? x.reshape({1, x.shape().back()}) : x;
  Tensor y = matmul(rows, c.in(1), {.transpose_b = true});
  if (c.has(2)) y = y + c.in(2);
  return {x.rank() == 1 ? y.reshape({c.in(1).shape()[0]}) : y};
}

Tensors linear_vjp(const Vjp& v) {
  const Tensor g = as_rows(v.g());
  Tensor dx, dw, db;
  if (v.wanted(0)) dx = matmul(g, v.in(1)).reshape(v.in(0).shape());
  if (v.wanted(1)) dw = matmul(g, as_rows(v.in(0)), {.transpose_a = true});
  if (v.wanted(2)) db = sum(g, {0});
  return {dx, dw, db};
}

Samples linear_samples() {
  return {
      {{{{4, 3}}, {{5, 3}}, {{5}}}, {}},
      {{{{4, 3}}, {{5, 3}}, {.shape = {5}, .undefined = true}}, {}},
      {{{{7}}, {{2, 7}}, {{2}}}, {}},  // one sample without a batch axis
      {{{{2, 3, 4}}, {{3, 4}}, {{3}}}, {}},
      {{{{3, 33}}, {{17, 33}}, {{17}}}, {}},
      {{{{5, 1}}, {{1, 1}}, {{1}}}, {}},
      {{{{0, 3}}, {{5, 3}}, {{5}}}, {}},
      {{{{2, 0}}, {{3, 0}}, {{3}}}, {}},  // no inputs: the bias alone
  };
}

// x: (.., in), w: (out, in), b: (out) or undefined
const Op kLinear{.name = "linear",
                 .shape = linear_shape,
                 .decompose = linear_decompose,
                 .vjp = linear_vjp,
                 .samples = linear_samples,
                 .keeps = input_bit(0) | input_bit(1)};

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, const MatmulOptions& options) {
  return apply(kMatmul, {a, b}, options);
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b) {
  return apply(kLinear, {x, w, b});
}

MatmulSizes matmul_sizes(const Shape& a, const Shape& b, const MatmulOptions& options) {
  MatmulSizes sizes;
  sizes.m = a[a.rank() - (options.transpose_a ? 1 : 2)];
  sizes.k = a[a.rank() - (options.transpose_a ? 2 : 1)];
  sizes.n = b[b.rank() - (options.transpose_b ? 2 : 1)];
  int bad_a = 0, bad_b = 0;
  const bool fits = broadcast(leading_axes(a), leading_axes(b), &sizes.batch, &bad_a, &bad_b);
  SLOPE_ASSERT(fits);
  const auto strides = [&](const Shape& x) {
    const Strides own = contiguous_strides(x);
    Strides result = Shape::filled(sizes.batch.rank(), 0);
    const int missing = sizes.batch.rank() - (x.rank() - 2);
    for (int i = missing; i < sizes.batch.rank(); ++i) {
      if (x[i - missing] != 1) result[i] = own[i - missing];
    }
    return result;
  };
  sizes.a_strides = strides(a);
  sizes.b_strides = strides(b);
  return sizes;
}

OpList contract_ops() { return {&kMatmul, &kLinear}; }

}  // namespace slope
