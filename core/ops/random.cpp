// Random tensors: records of uniform and normal.
#include "core/random.h"
#include "core/dispatch.h"
#include "core/ops/registry.h"

namespace slope {
namespace {

OutSpecs random_shape(const Call& c) {
  const Tensor& key = c.in(0);
  const auto& a = c.as<RandomAttributes>();
  if (key.shape() != Shape{4} || key.dtype() != Dtype::i32) {
    throw ShapeError(concat(c.op.name, ": key ", describe(key),
                            " must be (4) int32. Use rng.next_key() or make_key()."));
  }
  const Dtype dtype = static_cast<Dtype>(a.dtype);
  if (!is_float(dtype)) {
    throw DtypeError(
        concat(c.op.name, ": dtype ", dtype, " must be float32 or float64. Write Dtype::f32."));
  }
  for (int64_t n : a.shape) {
    if (n < 0) throw ShapeError(concat(c.op.name, ": negative length in shape ", a.shape, "."));
  }
  return {{a.shape, dtype}};
}

Samples random_samples() {
  const SampleInput key{{4}, -1000, 1000, true};
  Samples all;
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const Shape& shape : {Shape{3, 5}, Shape{8}, Shape{}, Shape{1}, Shape{0, 2}}) {
      all.push_back({{key}, RandomAttributes{shape, static_cast<int64_t>(dtype)}});
    }
  }
  return all;
}

// key: int32 (4) -> shape
const Op kUniform{.name = "uniform",
                  .shape = random_shape,
                  .samples = random_samples,
                  .keeps = kNothing,
                  .differentiable = false,
                  .random_key = true};
const Op kNormal{.name = "normal",
                 .shape = random_shape,
                 .samples = random_samples,
                 .keeps = kNothing,
                 .differentiable = false,
                 .random_key = true};

}  // namespace

OpList random_ops() { return {&kUniform, &kNormal}; }

Tensor uniform(const Tensor& key, const Shape& shape, Dtype dtype) {
  return apply(kUniform, {key}, RandomAttributes{shape, static_cast<int64_t>(dtype)});
}

Tensor normal(const Tensor& key, const Shape& shape, Dtype dtype) {
  return apply(kNormal, {key}, RandomAttributes{shape, static_cast<int64_t>(dtype)});
}

}  // namespace slope
