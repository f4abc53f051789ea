// Views and movement: ops that rearrange values without computing. All work on every dtype.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace slope {

// Views: they share the values of x. Negative axes count from the end.
Tensor reshape(const Tensor& x,
               const Shape& shape);  // one axis may be -1; copies when x's layout needs it
Tensor permute(const Tensor& x, const Axes& axes);   // axis i of the result is axis axes[i] of x
Tensor transpose(const Tensor& x);                   // swaps the last two axes
Tensor expand(const Tensor& x, const Shape& shape);  // broadcasts x to shape, without copying
Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end,
             int64_t step = 1);               // begin <= i < end
Tensor squeeze(const Tensor& x, int axis);    // drops an axis of length 1
Tensor unsqueeze(const Tensor& x, int axis);  // inserts an axis of length 1 before `axis`

// Copies.
Tensor contiguous(const Tensor& x);         // x itself when it is contiguous already
Tensor copy(const Tensor& x);               // always a new, contiguous tensor
Tensor cast(const Tensor& x, Dtype dtype);  // float to int32 rounds towards zero
void copy_into(const Tensor& to,
               const Tensor& from);               // overwrites `to`; from broadcasts to its shape
Tensor concatenate(const Tensors& xs, int axis);  // equal shapes but for `axis`
Tensor stack(const Tensors& xs, int axis = 0);    // equal shapes; a new axis
// `before[i]`, `after[i]` values `value` around each axis. Negative amounts are an error: use
// slice.
Tensor pad(const Tensor& x, const Shape& before, const Shape& after, double value = 0);

// Index. indices: int32 (n), each in 0..x.dim(0)-1 (undefined outside: kernels do not read indices
// on the host; `check_indices` does, for data that comes from a file).
Tensor gather_rows(const Tensor& x, const Tensor& indices);  // x: (m, ...) -> (n, ...)
Tensor scatter_add_rows(const Tensor& g, const Tensor& indices,
                        int64_t rows);  // g: (n, ...) -> (rows, ...)
void check_indices(const char* where, const Tensor& indices,
                   int64_t count);  // waits; throws ValueError
Tensor one_hot(const Tensor& indices, int64_t classes,
               Dtype dtype = Dtype::f32);  // int32 (n) -> (n, classes)

// Sources.
Tensor full(const Shape& shape, double value, Dtype dtype = Dtype::f32,
            Device device = default_device());
Tensor zeros(const Shape& shape, Dtype dtype = Dtype::f32, Device device = default_device());
Tensor ones(const Shape& shape, Dtype dtype = Dtype::f32, Device device = default_device());
Tensor full_like(const Tensor& x, double value);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
Tensor arange(int64_t n, Dtype dtype = Dtype::i32,
              Device device = default_device());  // 0, 1, .., n - 1

// For backends: the attributes of the records that have kernels. (reshape, permute, expand and
// slice are views.)
struct CastAttributes {  // cast
  int64_t dtype;
};
struct ConcatenateAttributes {  // concatenate; axis in 0..rank-1
  int64_t axis;
};
// pad: value i of x along an axis goes to before + i * step; with steps above 1 this is the
// gradient of a slice.
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
