// Rows by index, and tensors made from nothing.
#include <cmath>
#include <limits>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/registry.h"

namespace slope {
namespace {

// `name`: (m, ...) and indices: int32 (n), as gather_rows and scatter_add_rows take them.
void check_rows(const Call& c, const char* name) {
  const Tensor& x = c.in(0);
  const Tensor& indices = c.in(1);
  if (indices.dtype() != Dtype::i32) {
    throw DtypeError(concat(c.op.name, ": ", describe_arguments(c, {name, "indices"}),
                            "; indices must be int32. Write cast(indices, Dtype::i32)."));
  }
  if (indices.rank() != 1) {
    throw ShapeError(concat(c.op.name, ": ", describe_arguments(c, {name, "indices"}),
                            "; indices has ", indices.rank(),
                            " axes, needs 1. Write indices.reshape({-1})."));
  }
  if (x.rank() == 0) {
    throw ShapeError(concat(c.op.name, ": ", describe_arguments(c, {name, "indices"}), "; ", name,
                            " has no rows. Write ", name, ".reshape({1})."));
  }
}

// x: (m, ...), indices: int32 (n) -> (n, ...)
const Op kGatherRows{.name = "gather_rows",
                     .shape =
                         [](const Call& c) {
                           check_rows(c, "x");
                           Shape shape = c.in(0).shape();
                           shape[0] = c.in(1).size();
                           return OutSpecs{{shape, c.in(0).dtype()}};
                         },
                     .vjp =
                         [](const Vjp& v) {
                           return Tensors{scatter_add_rows(v.g(), v.in(1), v.in(0).shape()[0]), {}};
                         },
                     .samples =
                         [] {
                           return Samples{{{{{4, 3}}, {{5}, 0, 3, true}}},
                                          {{{{6}}, {{9}, 0, 5, true}}},
                                          {{{{3, 2, 2}}, {{2}, 0, 2, true}}},
                                          {{{{1, 2}}, {{3}, 0, 0, true}}},
                                          {{{{4, 3}}, {{0}, 0, 3, true}}}};
                         },
                     .keeps = input_bit(1)};

// g: (n, ...), indices: int32 (n) -> (rows, ...): each row of g is added to the row that its index
// names
const Op kScatterAddRows{
    .name = "scatter_add_rows",
    .shape =
        [](const Call& c) {
          check_rows(c, "g");
          check_float(c, {"g"}, 0, 0);
          const int64_t rows = c.as<ScatterAttributes>().rows;
          Shape shape = c.in(0).shape();
          if (shape[0] != c.in(1).size()) {
            throw ShapeError(concat("scatter_add_rows: ", describe_arguments(c, {"g", "indices"}),
                                    "; g has ", shape[0], " rows, indices has ", c.in(1).size(),
                                    ". Give one index for each row."));
          }
          if (rows < 0)
            throw ShapeError(concat("scatter_add_rows: rows is ", rows, ". It must be 0 or more."));
          shape[0] = rows;
          return OutSpecs{{shape, c.in(0).dtype()}};
        },
    .vjp =
        [](const Vjp& v) {
          return Tensors{gather_rows(v.g(), v.in(1)), {}};
        },
    .samples =
        [] {
          return Samples{{{{{5, 3}}, {{5}, 0, 3, true}}, ScatterAttributes{4}},
                         {{{{9}}, {{9}, 0, 5, true}}, ScatterAttributes{6}},
                         {{{{2, 2, 2}}, {{2}, 0, 2, true}}, ScatterAttributes{3}},
                         {{{{0, 3}}, {{0}, 0, 3, true}}, ScatterAttributes{4}}};
        },
    .keeps = input_bit(1)};

// indices: int32 (n) -> (n, classes)
const Op kOneHot{
    .name = "one_hot",
    .shape =
        [](const Call& c) {
          const Tensor& indices = c.in(0);
          const auto& a = c.as<OneHotAttributes>();
          if (indices.dtype() != Dtype::i32) {
            throw DtypeError(concat("one_hot: indices ", describe(indices),
                                    " must be int32. Write cast(indices, Dtype::i32)."));
          }
          if (indices.rank() != 1) {
            throw ShapeError(concat("one_hot: indices ", describe(indices), " has ", indices.rank(),
                                    " axes, needs 1. Write indices.reshape({-1})."));
          }
          if (a.classes < 1)
            throw ValueError(concat("one_hot: classes is ", a.classes, ". It must be 1 or more."));
          return OutSpecs{{{indices.size(), a.classes}, static_cast<Dtype>(a.dtype)}};
        },
    .samples =
        [] {
          return Samples{
              {{{{4}, 0, 2, true}}, OneHotAttributes{3, static_cast<int64_t>(Dtype::f32)}},
              {{{{6}, 0, 9, true}}, OneHotAttributes{10, static_cast<int64_t>(Dtype::f64)}},
              {{{{3}, 0, 0, true}}, OneHotAttributes{1, static_cast<int64_t>(Dtype::i32)}},
              {{{{0}, 0, 2, true}}, OneHotAttributes{3, static_cast<int64_t>(Dtype::f32)}}};
        },
    .keeps = kNothing,
    .differentiable = false};

// -> shape, all `value`
const Op kFull{
    .name = "full",
    .shape =
        [](const Call& c) {
          const auto& a = c.as<FullAttributes>();
          for (int64_t n : a.shape) {
            if (n < 0) throw ShapeError(concat("full: negative length in shape ", a.shape, "."));
          }
          const Dtype dtype = static_cast<Dtype>(a.dtype);
          if (dtype == Dtype::i32 &&
              !(a.value == std::trunc(a.value) && std::abs(a.value) <= 0x7fffffff)) {
            throw ValueError(
                concat("full: ", a.value, " is not an int32 value. Use Dtype::f32 or Dtype::f64."));
          }
          return OutSpecs{{a.shape, dtype}};
        },
    .samples =
        [] {
          return Samples{{{}, FullAttributes{{2, 3}, -1.5, static_cast<int64_t>(Dtype::f32)}},
                         {{}, FullAttributes{{}, 0.1, static_cast<int64_t>(Dtype::f64)}},
                         {{}, FullAttributes{{0, 2}, 1, static_cast<int64_t>(Dtype::f32)}},
                         {{}, FullAttributes{{5}, 7, static_cast<int64_t>(Dtype::i32)}}};
        },
    .keeps = kNothing,
    .differentiable = false};

// -> (n): 0, 1, .., n - 1
const Op kArange{
    .name = "arange",
    .shape =
        [](const Call& c) {
          const auto& a = c.as<ArangeAttributes>();
          if (a.n < 0 || a.n > std::numeric_limits<int32_t>::max()) {
            throw ValueError(concat("arange: n is ", a.n, ". It must lie in 0..2147483647."));
          }
          return OutSpecs{{{a.n}, static_cast<Dtype>(a.dtype)}};
        },
    .samples =
        [] {
          return Samples{{{}, ArangeAttributes{5, static_cast<int64_t>(Dtype::i32)}},
                         {{}, ArangeAttributes{17, static_cast<int64_t>(Dtype::f32)}},
                         {{}, ArangeAttributes{1, static_cast<int64_t>(Dtype::f64)}},
                         {{}, ArangeAttributes{0, static_cast<int64_t>(Dtype::f32)}}};
        },
    .keeps = kNothing,
    .differentiable = false};

}  // namespace

OpList index_ops() { return {&kGatherRows, &kScatterAddRows, &kOneHot, &kFull, &kArange}; }

Tensor gather_rows(const Tensor& x, const Tensor& indices) {
  return apply(kGatherRows, {x, indices});
}

Tensor scatter_add_rows(const Tensor& g, const Tensor& indices, int64_t rows) {
  return apply(kScatterAddRows, {g, indices}, ScatterAttributes{rows});
}

void check_indices(const char* where, const Tensor& indices, int64_t count) {
  const std::vector<int32_t> host = indices.to_vector<int32_t>();
  for (size_t i = 0; i < host.size(); ++i) {
    if (host[i] < 0 || host[i] >= count) {
      throw ValueError(concat(where, ": index ", host[i], " at position ", i, " of ", host.size(),
                              " is outside of 0..", count - 1, "."));
    }
  }
}

Tensor one_hot(const Tensor& indices, int64_t classes, Dtype dtype) {
  return apply(kOneHot, {indices}, OneHotAttributes{classes, static_cast<int64_t>(dtype)});
}

Tensor full(const Shape& shape, double value, Dtype dtype, Device device) {
  const DeviceScope scope(device);  // where an op without inputs runs
  return apply(kFull, {}, FullAttributes{shape, value, static_cast<int64_t>(dtype)});
}
Tensor zeros(const Shape& shape, Dtype dtype, Device device) {
  return full(shape, 0, dtype, device);
}
Tensor ones(const Shape& shape, Dtype dtype, Device device) {
  return full(shape, 1, dtype, device);
}
Tensor full_like(const Tensor& x, double value) {
  return full(x.shape(), value, x.dtype(), x.device());
}
Tensor zeros_like(const Tensor& x) { return full_like(x, 0); }
Tensor ones_like(const Tensor& x) { return full_like(x, 1); }

Tensor arange(int64_t n, Dtype dtype, Device device) {
  const DeviceScope scope(device);
  return apply(kArange, {}, ArangeAttributes{n, static_cast<int64_t>(dtype)});
}

}  // namespace slope
