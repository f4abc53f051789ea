// Views and movement: ops that rearrange values without computing. All work on every dtype.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace slope {

// Views share the values of x. Negative axes count from the end.
//
// x: any -> shape, the same values in the same order. One axis of shape may be -1: it follows from
// the others. Copies when x's layout needs it.
Tensor reshape(const Tensor& x, const Shape& shape);
// Axis i of the result is axis axes[i] of x.
Tensor permute(const Tensor& x, const Axes& axes);
// Swaps the last two axes.
Tensor transpose(const Tensor& x);
// Broadcasts x to shape: axes of length 1 stretch, new axes come in front.
Tensor expand(const Tensor& x, const Shape& shape);
// Values begin, begin + step, .. below end of one axis; 0 <= begin <= end <= x.dim(axis).
Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end, int64_t step = 1);
// Drops an axis of length 1, or inserts one before `axis`.
Tensor squeeze(const Tensor& x, int axis);
Tensor unsqueeze(const Tensor& x, int axis);

// Copies.
Tensor contiguous(const Tensor& x);  // x itself when it is contiguous already
Tensor copy(const Tensor& x);        // always a new, contiguous tensor
// x in another dtype; float to int32 rounds towards zero, and what int32 cannot hold is undefined.
Tensor cast(const Tensor& x, Dtype dtype);
// Overwrites `to` (any layout but an expanded one) with `from`, which broadcasts to its shape.
void copy_into(const Tensor& to, const Tensor& from);
// xs: equal shapes but for `axis` -> one after the other along it.
Tensor concatenate(const Tensors& xs, int axis);
// xs: equal shapes -> a new axis before `axis`, one value for each of xs.
Tensor stack(const Tensors& xs, int axis = 0);
// before[i] and after[i] values `value` around axis i. To remove values, use slice.
Tensor pad(const Tensor& x, const Shape& before, const Shape& after, double value = 0);

// Rows by index. Indices outside of the range are undefined behaviour: kernels do not read them on
// the host. `check_indices` does, for data that comes from a file.
//
// x: (m, ...), indices: int32 (n), each in 0..m-1 -> (n, ...)
Tensor gather_rows(const Tensor& x, const Tensor& indices);
// g: (n, ...), indices: int32 (n), each in 0..rows-1 -> (rows, ...): adds row i of g to row
// indices[i], in the order of i.
Tensor scatter_add_rows(const Tensor& g, const Tensor& indices, int64_t rows);
// indices: int32 (n) -> (n, classes), 1 at the index and 0 elsewhere.
Tensor one_hot(const Tensor& indices, int64_t classes, Dtype dtype = Dtype::f32);
// Throws ValueError if an index lies outside of 0..count-1; `where` begins its message. Waits.
void check_indices(const char* where, const Tensor& indices, int64_t count);

// Sources.
Tensor full(const Shape& shape, double value, Dtype dtype = Dtype::f32,
            Device device = default_device());
Tensor zeros(const Shape& shape, Dtype dtype = Dtype::f32, Device device = default_device());
Tensor ones(const Shape& shape, Dtype dtype = Dtype::f32, Device device = default_device());
Tensor full_like(const Tensor& x, double value);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
// 0, 1, .., n - 1.
Tensor arange(int64_t n, Dtype dtype = Dtype::i32, Device device = default_device());

// For backends: the attributes of the records that have kernels (reshape, permute, expand and slice
// are views).
struct CastAttributes {  // cast
  int64_t dtype;
};
struct ConcatenateAttributes {  // concatenate; axis in 0..rank-1
  int64_t axis;
};
// pad: value i of x along an axis goes to before + i * step. With steps above 1 it is the gradient
// of a slice.
struct PadAttributes {
  Shape before, after, steps;
  double value;
};
Tensor pad(const Tensor& x, const PadAttributes& attributes);
struct ScatterAttributes {  // scatter_add_rows
  int64_t rows;
};
struct OneHotAttributes {  // one_hot
  int64_t classes, dtype;
};
struct FullAttributes {  // full
  Shape shape;
  double value;
  int64_t dtype;
};
struct ArangeAttributes {  // arange
  int64_t n, dtype;
};

}  // namespace slope
