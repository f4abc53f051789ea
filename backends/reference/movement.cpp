// Copies, rows by index, and sources.
#include <algorithm>
#include <vector>

#include "backends/reference/reference.h"
#include "backends/reference/walk.h"
#include "core/ops/movement.h"

namespace slope::reference {
namespace {

// x: any layout -> contiguous, in the type To
template <typename To, typename From>
std::unique_ptr<Prepared> convert(const Tensor& x) {
  const Shape shape = x.shape();
  const Strides from = x.strides(), to = contiguous_strides(shape);
  return prepared([=](const Argument* arguments, void*) {
    const From* in = data<From>(arguments[0]);
    To* out = data<To>(arguments[1]);
    walk<2>(shape, {from, to},
            [&](const auto& place) { out[place[1]] = static_cast<To>(in[place[0]]); });
  });
}

std::unique_ptr<Prepared> copy(const Call& call) {
  return dispatch_any(call.in(0).dtype(), [&]<typename T>() { return convert<T, T>(call.in(0)); });
}

std::unique_ptr<Prepared> cast(const Call& call) {
  const Dtype to = static_cast<Dtype>(call.as<CastAttributes>().dtype);
  return dispatch_any(call.in(0).dtype(), [&]<typename From>() {
    return dispatch_any(to, [&]<typename To>() { return convert<To, From>(call.in(0)); });
  });
}

// to, from: the same shape, any layouts
std::unique_ptr<Prepared> copy_into(const Call& call) {
  const Shape shape = call.in(0).shape();
  const std::array<Strides, 2> strides{call.in(0).strides(), call.in(1).strides()};
  return dispatch_any(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      T* to = data<T>(arguments[0]);
      const T* from = data<T>(arguments[1]);
      walk(shape, strides, [&](const auto& place) { to[place[0]] = from[place[1]]; });
    });
  });
}

// xs: (outer, their own length, inner) -> (outer, sum of the lengths, inner)
std::unique_ptr<Prepared> concatenate(const Call& call) {
  const int axis = static_cast<int>(call.as<ConcatenateAttributes>().axis);
  const Shape& shape = call.in(0).shape();
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  std::vector<int64_t> runs;  // values of each input that lie together
  for (const Tensor& x : call.inputs) runs.push_back(x.shape()[axis] * inner);
  return dispatch_any(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      T* out = data<T>(arguments[runs.size()]);
      for (int64_t o = 0; o < outer; ++o) {
        for (size_t i = 0; i < runs.size(); ++i) {
          out = std::copy_n(data<T>(arguments[i]) + o * runs[i], runs[i], out);
        }
      }
    });
  });
}

std::unique_ptr<Prepared> pad(const Call& call) {
  const auto attributes = call.as<PadAttributes>();
  const Shape shape = call.in(0).shape();
  const Shape padded = call.op.shape(call)[0].shape;
  const Strides out_strides = contiguous_strides(padded);
  int64_t first = 0;
  Strides to = out_strides;
  for (int i = 0; i < shape.rank(); ++i) {
    first += attributes.before[i] * out_strides[i];
    to[i] *= attributes.steps[i];
  }
  const Strides from = contiguous_strides(shape);
  return dispatch_any(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      const T* in = data<T>(arguments[0]);
      T* out = data<T>(arguments[1]);
      std::fill_n(out, padded.size(), static_cast<T>(attributes.value));
      walk<2>(shape, {from, to}, [&](const auto& place) { out[first + place[1]] = in[place[0]]; });
    });
  });
}

// Values in one row of x: (rows, ...).
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
      for (int64_t i = 0; i < count; ++i) std::copy_n(x + indices[i] * row, row, out + i * row);
    });
  });
}

// g: (n, row), indices: (n) -> (rows, row)
std::unique_ptr<Prepared> scatter_add_rows(const Call& call) {
  const int64_t count = call.in(1).size(), row = row_size(call.in(0));
  const int64_t rows = call.as<ScatterAttributes>().rows;
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      const T* g = data<T>(arguments[0]);
      const int32_t* indices = data<int32_t>(arguments[1]);
      T* out = data<T>(arguments[2]);
      std::fill_n(out, rows * row, T{0});
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t j = 0; j < row; ++j) out[indices[i] * row + j] += g[i * row + j];
      }
    });
  });
}

// indices: (n) -> (n, classes)
std::unique_ptr<Prepared> one_hot(const Call& call) {
  const int64_t count = call.in(0).size();
  const auto attributes = call.as<OneHotAttributes>();
  return dispatch_any(static_cast<Dtype>(attributes.dtype), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      const int32_t* indices = data<int32_t>(arguments[0]);
      T* out = data<T>(arguments[1]);
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t k = 0; k < attributes.classes; ++k) *out++ = static_cast<T>(indices[i] == k);
      }
    });
  });
}

std::unique_ptr<Prepared> full(const Call& call) {
  const auto attributes = call.as<FullAttributes>();
  return dispatch_any(static_cast<Dtype>(attributes.dtype), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      std::fill_n(data<T>(arguments[0]), attributes.shape.size(), static_cast<T>(attributes.value));
    });
  });
}

std::unique_ptr<Prepared> arange(const Call& call) {
  const auto attributes = call.as<ArangeAttributes>();
  return dispatch_any(static_cast<Dtype>(attributes.dtype), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      T* out = data<T>(arguments[0]);
      for (int64_t i = 0; i < attributes.n; ++i) out[i] = static_cast<T>(i);
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
  table["gather_rows"] = gather_rows;
  table["scatter_add_rows"] = scatter_add_rows;
  table["one_hot"] = one_hot;
  table["full"] = full;
  table["arange"] = arange;
}

}  // namespace slope::reference
