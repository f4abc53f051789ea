// Views, copies, rows by index and sources: values, sharing of storage, and the full text of every
// message. Gradients are checked for all ops by the conformance suite.
#include <doctest/doctest.h>

#include "core/ops.h"
#include "core/storage.h"

using namespace slope;
using Values = std::vector<double>;

namespace {

// 0, 1, 2, .. in a tensor of this shape.
Tensor counted(const Shape& shape, Dtype dtype = Dtype::f32) {
  return arange(shape.size(), dtype).reshape(shape);
}

// Runs the checks on every device of this build.
template <typename F>
void on_every_device(F&& checks) {
  for (const Device device : devices()) {
    CAPTURE(device.name());
    const DeviceScope scope(device);
    checks();
  }
}

bool shares(const Tensor& a, const Tensor& b) { return a.storage() == b.storage(); }

}  // namespace

TEST_CASE("views share storage and show the right values") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::i32}) {
      const Tensor x = counted({2, 3}, dtype);
      CHECK(x.dtype() == dtype);

      const Tensor t = transpose(x);
      CHECK(shares(t, x));
      CHECK(t.id() != x.id());
      CHECK_FALSE(t.contiguous());
      CHECK(t.shape() == Shape{3, 2});
      CHECK(t.values() == Values{0, 3, 1, 4, 2, 5});

      const Tensor e = expand(slice(x, 0, 1, 2), {2, 2, 3});
      CHECK(shares(e, x));
      CHECK(e.values() == Values{3, 4, 5, 3, 4, 5, 3, 4, 5, 3, 4, 5});

      const Tensor s = slice(x, 1, 0, 3, 2);
      CHECK(shares(s, x));
      CHECK(s.values() == Values{0, 2, 3, 5});
      CHECK(slice(x, -1, 1, 1).shape() == Shape{2, 0});
    }
    const Tensor x = counted({2, 3, 4});
    CHECK(permute(x, {2, 0, 1}).shape() == Shape{4, 2, 3});
    CHECK(permute(x, {-1, 0, 1}).values()[1] == 4);
    CHECK(squeeze(counted({2, 1, 3}), 1).shape() == Shape{2, 3});
    CHECK(unsqueeze(x, -1).shape() == Shape{2, 3, 4, 1});
    CHECK(unsqueeze(x, 0).shape() == Shape{1, 2, 3, 4});
    CHECK(shares(unsqueeze(transpose(x), 1), x));
  });
}

TEST_CASE("a write through a view is seen by the whole tensor") {
  on_every_device([] {
    const Tensor x = counted({3, 4});
    const uint64_t version = x.storage()->version();
    copy_into(slice(x, 1, 1, 4, 2), tensor({-1, -2}));
    CHECK(x.values() == Values{0, -1, 2, -2, 4, -1, 6, -2, 8, -1, 10, -2});
    CHECK(x.storage()->version() == version + 1);
    copy_into(transpose(x), zeros({4, 1}));
    CHECK(x.values() == Values(12, 0.0));
    CHECK(x.storage()->version() == version + 2);
  });
}

TEST_CASE("copy_into reads before it writes where both are views of one storage") {
  on_every_device([] {
    const Tensor x = counted({5});
    copy_into(slice(x, 0, 1, 5), slice(x, 0, 0, 4));
    CHECK(x.values() == Values{0, 0, 1, 2, 3});
    const Tensor square = counted({2, 2});
    copy_into(square, transpose(square));
    CHECK(square.values() == Values{0, 2, 1, 3});
  });
}

TEST_CASE("reshape is a view where the layout allows it and a copy where not") {
  on_every_device([] {
    const Tensor x = counted({4, 6});
    CHECK(shares(x.reshape({2, 2, 3, -1}), x));
    CHECK(x.reshape({-1}).values() == x.values());

    // Rows of a slice are not one run, but each of them may be divided.
    const Tensor left = slice(x, 1, 0, 4);
    const Tensor divided = left.reshape({2, 2, 2, 2});
    CHECK(shares(divided, x));
    CHECK(divided.values() == left.values());
    const Tensor flat = left.reshape({16});
    CHECK_FALSE(shares(flat, x));
    CHECK(flat.values() == left.values());

    const Tensor t = transpose(x);
    const Tensor t_divided = t.reshape({3, 2, 2, 2});
    CHECK(shares(t_divided, x));
    CHECK(t_divided.values() == t.values());
    CHECK_FALSE(shares(t.reshape({24}), x));
    CHECK(t.reshape({24}).values() == t.values());

    const Tensor e = expand(counted({3, 1, 1}), {3, 2, 5});
    CHECK(shares(e.reshape({3, 10}), e));
    CHECK(e.reshape({3, 10}).values() == e.values());
    CHECK(e.reshape({6, 5}).values() == e.values());

    // Axes of length 1 are in nobody's way, whatever their strides.
    const Tensor column = slice(x, 1, 2, 3);
    CHECK(shares(column.reshape({4}), x));
    CHECK(column.reshape({1, 2, 1, 2}).values() == Values{2, 8, 14, 20});
    CHECK(zeros({0, 3}).reshape({2, 0, 5}).size() == 0);
    CHECK(counted({1, 1}).reshape({}).rank() == 0);
    CHECK(full({}, 7).reshape({1, 1}).values() == Values{7});
  });
}

TEST_CASE("copies, casts, joins and padding") {
  on_every_device([] {
    const Tensor x = counted({2, 3});
    CHECK(contiguous(x).id() == x.id());
    const Tensor c = copy(transpose(x));
    CHECK(c.contiguous());
    CHECK(c.values() == Values{0, 3, 1, 4, 2, 5});
    CHECK_FALSE(shares(copy(x), x));

    CHECK(cast(x, Dtype::f32).id() == x.id());
    CHECK(cast(tensor({-2.9, -0.4, 2.5}), Dtype::i32).values() == Values{-2, 0, 2});
    CHECK(cast(scalar(1.0 / 3, Dtype::f64), Dtype::f32).item() == double{1.0f / 3.0f});
    CHECK(cast(transpose(counted({2, 2}, Dtype::i32)), Dtype::f64).values() == Values{0, 2, 1, 3});

    CHECK(concatenate({x, tensor({9, 9, 9}).reshape({1, 3})}, 0).values() ==
          Values{0, 1, 2, 3, 4, 5, 9, 9, 9});
    CHECK(concatenate({x, slice(x, 1, 0, 1)}, -1).values() == Values{0, 1, 2, 0, 3, 4, 5, 3});
    CHECK(stack({tensor({1, 2}), tensor({3, 4})}, 1).values() == Values{1, 3, 2, 4});
    CHECK(stack({tensor({1, 2}), tensor({3, 4})}, -1).shape() == Shape{2, 2});

    CHECK(pad(tensor({1, 2}), {1}, {2}).values() == Values{0, 1, 2, 0, 0});
    CHECK(pad(x, {1, 0}, {0, 1}, -1).values() == Values{-1, -1, -1, -1, 0, 1, 2, -1, 3, 4, 5, -1});
    CHECK(pad(counted({2}, Dtype::i32), {1}, {0}, 7).values() == Values{7, 0, 1});
    CHECK(pad(tensor({1, 2, 3}), PadAttributes{{1}, {1}, {2}, 0}).values() ==
          Values{0, 1, 0, 2, 0, 3, 0});
  });
}

TEST_CASE("any number of tensors may be joined") {
  on_every_device([] {
    Tensors columns;
    Values expected;
    for (int i = 0; i < 300; ++i) {
      columns.push_back(full({1, 2}, i));
      expected.insert(expected.end(), {double(i), double(i)});
    }
    CHECK(concatenate(columns, 0).values() == expected);
  });
}

// Sizes on both sides of where kernels change their ways: small and large, runs and transposes.
TEST_CASE("every layout is copied right at every size") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const int64_t n : {1, 7, 64, 515}) {
        const int64_t m = n / 2 + 3;
        const Tensor x = counted({n, m}, dtype);
        Values transposed;
        for (int64_t j = 0; j < m; ++j) {
          for (int64_t i = 0; i < n; ++i) transposed.push_back(double(i * m + j));
        }
        CHECK(copy(transpose(x)).values() == transposed);
        const Tensor back = zeros({m, n}, dtype);
        copy_into(transpose(back), x);
        CHECK(back.values() == transposed);
        const Tensor rows = copy(slice(x, 1, 1, m));
        CHECK(rows.values()[0] == 1);
        CHECK(rows.values().back() == double(n * m - 1));
        const Tensor reversed = copy(permute(counted({3, n, 2, m}, dtype), {3, 2, 1, 0}));
        CHECK(reversed.values()[1] == double(n * 2 * m));
        CHECK(reversed.values()[static_cast<size_t>(3 * n)] == double(m));
        const Tensor spread = copy(expand(slice(x, 1, 0, 1), {n, m}));
        CHECK(spread.values()[static_cast<size_t>(m - 1)] == 0);
        CHECK(spread.values().back() == double((n - 1) * m));
      }
    }
  });
}

TEST_CASE("rows by index") {
  on_every_device([] {
    const Tensor x = counted({4, 2});
    const Tensor indices = from_host(std::vector<int32_t>{2, 0, 2}, {3});
    CHECK(gather_rows(x, indices).values() == Values{4, 5, 0, 1, 4, 5});
    CHECK(gather_rows(transpose(x), from_host(std::vector<int32_t>{1}, {1})).values() ==
          Values{1, 3, 5, 7});
    CHECK(gather_rows(arange(5), indices).values() == Values{2, 0, 2});
    CHECK(scatter_add_rows(tensor({1, 2, 3}), indices, 4).values() == Values{2, 0, 4, 0});
    CHECK(scatter_add_rows(zeros({0, 2}), from_host(std::vector<int32_t>{}, {0}), 2).values() ==
          Values(4, 0.0));
    CHECK(one_hot(indices, 3).values() == Values{0, 0, 1, 1, 0, 0, 0, 0, 1});
    CHECK(one_hot(indices, 3, Dtype::i32).dtype() == Dtype::i32);
    check_indices("labels", indices, 3);
  });
}

TEST_CASE("sources") {
  on_every_device([] {
    CHECK(full({2}, -1.5, Dtype::f64).values() == Values{-1.5, -1.5});
    CHECK(zeros({2, 0}).size() == 0);
    CHECK(ones({}, Dtype::i32).values() == Values{1});
    const Tensor x = counted({2, 2}, Dtype::f64);
    CHECK(zeros_like(x).dtype() == Dtype::f64);
    CHECK(ones_like(transpose(x)).values() == Values(4, 1.0));
    CHECK(full_like(x, 3).device() == x.device());
    CHECK(arange(4).dtype() == Dtype::i32);
    CHECK(arange(3, Dtype::f64).values() == Values{0, 1, 2});
    CHECK(arange(0).size() == 0);
  });
  for (const Device device : devices()) CHECK(zeros({1}, Dtype::f32, device).device() == device);
}

TEST_CASE("messages of views") {
  on_every_device([] {
    CHECK_THROWS_WITH_AS(
        zeros({8, 6, 6, 64}).reshape({8, 2048}),
        "reshape: sizes differ: x (8, 6, 6, 64) has 18432 values, (8, 2048) has 16384. One axis "
        "may be -1: reshape({8, -1}) gives (8, 2304).",
        ShapeError);
    CHECK_THROWS_WITH_AS(zeros({6}).reshape({4, 2}),
                         "reshape: sizes differ: x (6) has 6 values, (4, 2) has 8. Shapes with 6 "
                         "values fit.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(zeros({6}).reshape({4, -1}),
                         "reshape: the -1 in (4, -1) cannot be found: x (6) has 6 values; 6 is no "
                         "multiple of 4. Write the lengths out.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(zeros({0, 3}).reshape({0, -1}),
                         "reshape: the -1 in (0, -1) cannot be found: x (0, 3) has 0 values; the "
                         "other axes have no values, so it could be anything. Write the lengths "
                         "out.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(zeros({6}).reshape({-1, -1}),
                         "reshape: more than one axis of (-1, -1) is -1; x is (6) float32. Only "
                         "one can be found from the others.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(zeros({6}).reshape({2, -3}),
                         "reshape: axis 1 of (2, -3) is -3. A length is 0 or more, or -1 for one "
                         "that follows from the others.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(permute(zeros({2, 3}), {0, 0}),
                         "permute: axes (0, 0) do not name every axis of x (2, 3) float32 once. To "
                         "reverse them, write permute(x, {1, 0}).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(permute(zeros({2, 3}), {0, 2}),
                         "permute: axis 2 is outside of a tensor with 2 axes (-2 to 1).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(transpose(zeros({3})),
                         "transpose: x (3) float32 has 1 axes, needs two. Use unsqueeze(x, 0) to "
                         "make a row of a vector.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(expand(zeros({3, 2}), {3, 4}),
                         "expand: x (3, 2) float32 does not broadcast to (3, 4); x axis 1 is 2, "
                         "axis 1 of the shape is 4. Only axes of length 1 stretch.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(expand(zeros({3, 2}), {2}),
                         "expand: x (3, 2) float32 has 2 axes, shape (2) has 1. Axes are aligned "
                         "at the right and never dropped.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(expand(zeros({1}), {-1}),
                         "expand: axis 0 of shape (-1) is -1. A length is 0 or more.", ShapeError);
    CHECK_THROWS_WITH_AS(slice(zeros({3, 6}), 1, 2, 9),
                         "slice: begin 2, end 9 do not lie in order within x (3, 6) float32; axis "
                         "1 has 6 values. Use 0 <= begin <= end <= 6.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(slice(zeros({3}), 0, 0, 3, 0), "slice: step is 0. It must be 1 or more.",
                         ValueError);
    CHECK_THROWS_WITH_AS(squeeze(zeros({3, 2}), 0),
                         "squeeze: x (3, 2) float32; axis 0 is 3, not 1. Use slice(x, 0, i, i + 1) "
                         "to take one value of it first.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(unsqueeze(zeros({3}), 3),
                         "unsqueeze: axis 3 is outside of a tensor with 2 axes (-2 to 1).",
                         ShapeError);
  });
}

TEST_CASE("messages of copies, rows and sources") {
  on_every_device([] {
    CHECK_THROWS_WITH_AS(copy_into(zeros({2}), zeros({3})),
                         "copy_into: from (3) float32 does not broadcast to the shape of to (2) "
                         "float32. Only axes of `from` with length 1 stretch.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(copy_into(zeros({2}), zeros({2}, Dtype::f64)),
                         "copy_into: dtypes differ: to (2) float32, from (2) float64. Nothing is "
                         "converted silently; write cast(from, Dtype::f32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(copy_into(expand(zeros({1}), {3}), zeros({3})),
                         "copy_into: to (3) float32 is an expanded view; axis 0 has 3 values in "
                         "one place. Write into copy(to).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(concatenate({}, 0), "concatenate: no tensors given. Pass at least one.",
                         ValueError);
    CHECK_THROWS_WITH_AS(concatenate({zeros({2, 3}), zeros({2, 3}, Dtype::f64)}, 0),
                         "concatenate: dtypes differ: xs[0] (2, 3) float32, xs[1] (2, 3) float64. "
                         "Nothing is converted silently; write cast(xs[1], Dtype::f32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(concatenate({zeros({2, 3}), zeros({3})}, 0),
                         "concatenate: ranks differ: xs[0] (2, 3) float32, xs[1] (3) float32. To "
                         "join along a new axis, use stack.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(concatenate({zeros({2, 3}), zeros({2, 4})}, 0),
                         "concatenate: shapes differ beside axis 0: xs[0] (2, 3) float32, xs[1] "
                         "(2, 4) float32; axis 1 is 3 and 4.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(stack({}, 0), "stack: no tensors given. Pass at least one.", ValueError);
    CHECK_THROWS_WITH_AS(stack({zeros({2}), zeros({3})}, 0),
                         "stack: shapes differ: xs[0] (2) float32, xs[1] (3) float32. To join "
                         "along an axis that they have, use concatenate.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(pad(zeros({2, 3}), {1}, {1, 1}),
                         "pad: x (2, 3) float32 has 2 axes, before (1) has 1, after (1, 1) has 2. "
                         "Give one amount for each axis.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(pad(zeros({2}), {-1}, {0}),
                         "pad: negative amount at axis 0: x (2) float32, before (-1), after (0). "
                         "To remove values, use slice.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(gather_rows(zeros({2, 3}), zeros({2})),
                         "gather_rows: x (2, 3) float32, indices (2) float32; indices must be "
                         "int32. Write cast(indices, Dtype::i32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(gather_rows(zeros({2, 3}), arange(4).reshape({2, 2})),
                         "gather_rows: x (2, 3) float32, indices (2, 2) int32; indices has 2 axes, "
                         "needs 1. Write indices.reshape({-1}).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(gather_rows(zeros({}), arange(1)),
                         "gather_rows: x () float32, indices (1) int32; x has no rows. Write "
                         "x.reshape({1}).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(scatter_add_rows(zeros({2, 3}), arange(1), 4),
                         "scatter_add_rows: g (2, 3) float32, indices (1) int32; g has 2 rows, "
                         "indices has 1. Give one index for each row.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(scatter_add_rows(zeros({1}), arange(1), -1),
                         "scatter_add_rows: rows is -1. It must be 0 or more.", ShapeError);
    CHECK_THROWS_WITH_AS(one_hot(zeros({2}), 3),
                         "one_hot: indices (2) float32 must be int32. Write cast(indices, "
                         "Dtype::i32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(one_hot(arange(2).reshape({2, 1}), 3),
                         "one_hot: indices (2, 1) int32 has 2 axes, needs 1. Write "
                         "indices.reshape({-1}).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(one_hot(arange(2), 0), "one_hot: classes is 0. It must be 1 or more.",
                         ValueError);
    CHECK_THROWS_WITH_AS(check_indices("labels of train.gz", arange(12), 10),
                         "labels of train.gz: index 10 at position 10 of 12 is outside of 0..9.",
                         ValueError);
    CHECK_THROWS_WITH_AS(full({2}, 0.5, Dtype::i32),
                         "full: 0.5 is not an int32 value. Use Dtype::f32 or Dtype::f64.",
                         ValueError);
    CHECK_THROWS_WITH_AS(full({-1}, 0), "full: negative length in shape (-1).", ShapeError);
    CHECK_THROWS_WITH_AS(arange(-1), "arange: n is -1. It must lie in 0..2147483647.", ValueError);
  });
}

TEST_CASE("sizes beyond any memory are errors, not overflows") {
  const int64_t huge = int64_t{1} << 40;
  CHECK_THROWS_AS(zeros({int64_t{1} << 61}), ShapeError);
  CHECK_THROWS_AS(empty({huge, huge}), ShapeError);
  CHECK_THROWS_AS(empty({int64_t{1} << 31, int64_t{1} << 33}), ShapeError);
  CHECK_THROWS_AS(expand(tensor({1}), {huge, huge}), ShapeError);
  CHECK_THROWS_AS(one_hot(from_host(std::vector<int32_t>{1}, {1}), int64_t{1} << 62), ShapeError);
  const Tensor wide = expand(tensor({1}), {int64_t{1} << 56});
  CHECK_THROWS_AS(concatenate({wide, wide}, 0), ShapeError);
  CHECK(slice(tensor({1, 2, 3, 4}), 0, 0, 4, std::numeric_limits<int64_t>::max()).shape() ==
        Shape{1});
}
