// Copies, padding and rows by index on the cpu: whole runs of memory where the layout has them, on
// several threads. one_hot and arange are small and run the reference's loops.
#include <algorithm>
#include <vector>

#include "backends/cpu/cpu.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/strided.h"
#include "backends/cpu/threads.h"
#include "backends/cpu/transpose_kernel.h"
#include "core/ops/movement.h"

namespace slope::cpu {
namespace {

constexpr int64_t kTaskValues = 16384;  // values that one task moves, about

// ---- copy, copy_into, cast, concatenate -------------------------------------------------------

const TransposeKernels& transpose_kernels() {
  switch (isa()) {
#ifdef SLOPE_X86
    case Isa::avx512:
      return avx512::kTranspose;
    case Isa::avx2:
      return avx2::kTranspose;
#endif
    default:
      return generic::kTranspose;
  }
}

// A copy does not look at the values, so that of int32 is the one of float32.
template <typename T>
void transpose_plane(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t columns,
                     int64_t rows) {
  if constexpr (sizeof(T) == 4) {
    transpose_kernels().f32(reinterpret_cast<const float*>(from), from_stride,
                            reinterpret_cast<float*>(to), to_stride, columns, rows);
  } else {
    transpose_kernels().f64(from, from_stride, to, to_stride, columns, rows);
  }
}

// One piece of a walk between tensors of the same or of different types.
template <typename To, typename From>
void copy_piece(const StridedWalk& walk, const From* from, To* to, int64_t columns, int64_t rows) {
  const PlaneAxis column = walk.column(), row = walk.row();
  if constexpr (std::is_same_v<To, From>) {
    if (walk.transposes()) return transpose_plane(from, row.from, to, column.to, columns, rows);
  }
  for (int64_t c = 0; c < columns; ++c, from += column.from, to += column.to) {
    if (walk.copies_runs() && std::is_same_v<To, From> && rows >= 32) {
      std::copy_n(from, rows, to);
    } else if (walk.copies_runs()) {  // too short for a call, or another type
      for (int64_t i = 0; i < rows; ++i) to[i] = static_cast<To>(from[i]);
    } else if (row.from == 0 && row.to == 1) {
      std::fill_n(to, rows, static_cast<To>(*from));
    } else {
      for (int64_t i = 0; i < rows; ++i) to[i * row.to] = static_cast<To>(from[i * row.from]);
    }
  }
}

template <typename To, typename From>
void copy_strided(const StridedWalk& walk, const From* from, To* to) {
  walk.run(sizeof(To) + sizeof(From),
           [&](int64_t from_place, int64_t to_place, int64_t columns, int64_t rows) {
             copy_piece(walk, from + from_place, to + to_place, columns, rows);
           });
}

std::unique_ptr<Prepared> copy(const Call& call) {
  const Tensor& x = call.in(0);
  const StridedWalk walk(x.shape(), x.strides(), contiguous_strides(x.shape()));
  return dispatch_any(x.dtype(), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      copy_strided(walk, data<const T>(arguments[0]), data<T>(arguments[1]));
    });
  });
}

std::unique_ptr<Prepared> cast(const Call& call) {
  const Tensor& x = call.in(0);
  const StridedWalk walk(x.shape(), x.strides(), contiguous_strides(x.shape()));
  const Dtype dtype = static_cast<Dtype>(call.as<CastAttributes>().dtype);
  return dispatch_any(x.dtype(), [&]<typename From>() {
    return dispatch_any(dtype, [&]<typename To>() {
      return prepared([=](const Argument* arguments, void*) {
        copy_strided(walk, data<const From>(arguments[0]), data<To>(arguments[1]));
      });
    });
  });
}

std::unique_ptr<Prepared> copy_into(const Call& call) {
  const Tensor &to = call.in(0), &from = call.in(1);
  const StridedWalk walk(to.shape(), from.strides(), to.strides());
  return dispatch_any(to.dtype(), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      copy_strided(walk, data<const T>(arguments[1]), data<T>(arguments[0]));
    });
  });
}

// Each input is a block of columns of the result seen as a matrix.
std::unique_ptr<Prepared> concatenate(const Call& call) {
  const int axis = static_cast<int>(call.as<ConcatenateAttributes>().axis);
  const Shape shape = call.op.shape(call)[0].shape;
  int64_t rows = 1, width = 1;
  for (int i = 0; i < shape.rank(); ++i) (i < axis ? rows : width) *= shape[i];
  struct Block {
    StridedWalk walk;
    int64_t begin;
  };
  std::vector<Block> blocks;
  int64_t begin = 0;
  for (const Tensor& x : call.inputs) {
    const int64_t columns = x.shape()[axis] * (shape[axis] == 0 ? 0 : width / shape[axis]);
    blocks.push_back({StridedWalk({rows, columns}, {columns, 1}, {width, 1}), begin});
    begin += columns;
  }
  return dispatch_any(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      T* out = data<T>(arguments[blocks.size()]);
      for (size_t i = 0; i < blocks.size(); ++i) {
        copy_strided(blocks[i].walk, data<const T>(arguments[i]), out + blocks[i].begin);
      }
    });
  });
}

// ---- pad and full -----------------------------------------------------------------------------

// Calls body(begin, end) for parts of 0..rows-1, each about kTaskValues values large.
template <typename Body>
void for_rows(int64_t rows, int64_t row_values, double bytes_per_value, Body&& body) {
  const int64_t per_task = std::max<int64_t>(kTaskValues / std::max<int64_t>(row_values, 1), 1);
  const double bytes = static_cast<double>(rows * row_values) * bytes_per_value;
  parallel_for((rows + per_task - 1) / per_task, nanoseconds_for_bytes(bytes),
               [&](int64_t task) { body(task * per_task, std::min(rows, (task + 1) * per_task)); });
}

// The result in rows along the last axis that is padded, each with all that lies within it.
struct PaddedRows {
  Shape shape, padded;  // the axes before the row
  PadAttributes pad;
  int64_t rows = 1;                         // of the result
  int64_t before, length, after, step = 1;  // of a row, in steps of `inner` values
  int64_t inner = 1;

  int64_t width() const {
    return (before + (length == 0 ? 0 : (length - 1) * step + 1) + after) * inner;
  }
  // The row of x that fills this row of the result; -1: none does.
  int64_t source(int64_t row) const {
    int64_t place = 0, stride = 1;
    for (int i = padded.rank() - 1; i >= 0; --i) {
      const int64_t index = row % padded[i] - pad.before[i];
      row /= padded[i];
      if (index < 0 || index % pad.steps[i] != 0 || index / pad.steps[i] >= shape[i]) return -1;
      place += index / pad.steps[i] * stride;
      stride *= shape[i];
    }
    return place;
  }
};

PaddedRows padded_rows(const Call& call) {
  const Shape& shape = call.in(0).shape();
  const Shape padded = call.op.shape(call)[0].shape;
  PaddedRows z;
  z.pad = call.as<PadAttributes>();
  int axis = shape.rank() - 1;
  while (axis > 0 && shape[axis] == padded[axis]) z.inner *= shape[axis--];
  for (int i = 0; i < axis; ++i) {
    z.shape.push_back(shape[i]);
    z.padded.push_back(padded[i]);
    z.rows *= padded[i];
  }
  z.before = axis < 0 ? 0 : z.pad.before[axis];
  z.after = axis < 0 ? 0 : z.pad.after[axis];
  z.length = axis < 0 ? 1 : shape[axis];
  z.step = axis < 0 ? 1 : z.pad.steps[axis];
  return z;
}

template <typename T>
void pad_row(const PaddedRows& z, T value, const T* from, T* to) {
  if (!from || z.length == 0) {
    std::fill_n(to, z.width(), value);
    return;
  }
  to = std::fill_n(to, z.before * z.inner, value);
  if (z.step == 1) {
    to = std::copy_n(from, z.length * z.inner, to);
  } else {
    for (int64_t i = 0; i < z.length; ++i) {
      if (i > 0) to = std::fill_n(to, (z.step - 1) * z.inner, value);
      to = std::copy_n(from + i * z.inner, z.inner, to);
    }
  }
  std::fill_n(to, z.after * z.inner, value);
}

std::unique_ptr<Prepared> pad(const Call& call) {
  const PaddedRows z = padded_rows(call);
  return dispatch_any(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      const T* in = data<T>(arguments[0]);
      T* out = data<T>(arguments[1]);
      for_rows(z.rows, z.width(), 2 * sizeof(T), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const int64_t source = z.source(row);
          pad_row(z, static_cast<T>(z.pad.value),
                  source < 0 ? nullptr : in + source * z.length * z.inner, out + row * z.width());
        }
      });
    });
  });
}

std::unique_ptr<Prepared> full(const Call& call) {
  const auto attributes = call.as<FullAttributes>();
  return dispatch_any(static_cast<Dtype>(attributes.dtype), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      T* out = data<T>(arguments[0]);
      for_rows(attributes.shape.size(), 1, sizeof(T), [&](int64_t begin, int64_t end) {
        std::fill(out + begin, out + end, static_cast<T>(attributes.value));
      });
    });
  });
}

// ---- rows by index ----------------------------------------------------------------------------

int64_t row_size(const Tensor& x) {
  int64_t n = 1;
  for (int i = 1; i < x.rank(); ++i) n *= x.shape()[i];
  return n;
}

// x: (m, row), indices: (n) -> (n, row)
std::unique_ptr<Prepared> gather_rows(const Call& call) {
  const int64_t count = call.in(1).size(), row = row_size(call.in(0));
  return dispatch_any(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      const T* x = data<T>(arguments[0]);
      const int32_t* indices = data<int32_t>(arguments[1]);
      T* out = data<T>(arguments[2]);
      for_rows(count, row, 2 * sizeof(T), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) std::copy_n(x + indices[i] * row, row, out + i * row);
      });
    });
  });
}

// g: (n, row), indices: (n) -> (rows, row). Each task owns a band of rows of the result and looks
// through all indices, so every row adds up in the order of the indices.
std::unique_ptr<Prepared> scatter_add_rows(const Call& call) {
  constexpr int64_t kBands = 16;
  const int64_t count = call.in(1).size(), row = row_size(call.in(0));
  const int64_t rows = call.as<ScatterAttributes>().rows;
  // Reading an index costs about as much as adding a few values: narrow rows stay in one band.
  const int64_t bands = row < 64 ? 1 : std::min(rows, kBands);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      const T* g = data<T>(arguments[0]);
      const int32_t* indices = data<int32_t>(arguments[1]);
      T* out = data<T>(arguments[2]);
      const double bytes = static_cast<double>((2 * count + rows) * row) * sizeof(T);
      parallel_for(bands, nanoseconds_for_bytes(bytes), [&](int64_t band) {
        const int64_t begin = rows * band / bands, end = rows * (band + 1) / bands;
        std::fill(out + begin * row, out + end * row, T{0});
        for (int64_t i = 0; i < count; ++i) {
          if (indices[i] < begin || indices[i] >= end) continue;
          const T* __restrict__ from = g + i * row;
          T* __restrict__ to = out + indices[i] * row;
          for (int64_t j = 0; j < row; ++j) to[j] += from[j];
        }
      });
    });
  });
}

}  // namespace

void add_movement(KernelTable& table) {
  table["copy"] = copy;
  table["cast"] = cast;
  table["copy_into"] = copy_into;
  table["concatenate"] = concatenate;
  table["pad"] = pad;
  table["full"] = full;
  table["gather_rows"] = gather_rows;
  table["scatter_add_rows"] = scatter_add_rows;
}

}  // namespace slope::cpu
