// Pointwise ops on the cpu: the vectorised loops of pointwise_kernel.cpp, fed block by block. Where
// an input's values do not lie side by side, a block of them is gathered first, so that one loop
// per formula serves every layout and gives the same bits for all.
#include <algorithm>
#include <array>

#include "backends/cpu/cpu.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/pointwise_kernel.h"
#include "backends/cpu/threads.h"
#include "core/ops/pointwise.h"

namespace slope::cpu {
namespace {

constexpr int kMaxArity = 4;
constexpr int64_t kBlock = 512;  // values gathered at a time: two blocks and the result stay in L1
constexpr int64_t kTaskValues = 8192;  // values per task of the thread loop

const PointwiseKernel* kernels() {
  switch (isa()) {
#ifdef SLOPE_X86
    case Isa::avx512:
      return avx512::pointwise_kernels();
    case Isa::avx2:
      return avx2::pointwise_kernels();
#endif
    default:
      return generic::pointwise_kernels();
  }
}

// The shape of the result with neighbouring axes merged where every input allows it, and each
// input's strides in it.
struct Layout {
  Shape shape;
  std::array<Strides, kMaxArity> strides;
  int arity = 0;
  bool side_by_side(int i) const {
    return shape.rank() == 0 || (shape.rank() == 1 && strides[static_cast<size_t>(i)][0] == 1);
  }
};

Layout merged_layout(const Call& call, const Shape& shape) {
  Layout merged;
  merged.arity = call.count();
  std::array<Strides, kMaxArity> full;
  for (int i = 0; i < call.count(); ++i) {
    Strides& strides = full[static_cast<size_t>(i)] = Shape::filled(shape.rank(), 0);
    const Tensor& x = call.in(i);
    for (int axis = 0; axis < x.rank(); ++axis) {
      if (x.shape()[axis] != 1) strides[axis + shape.rank() - x.rank()] = x.strides()[axis];
    }
  }
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1) continue;
    const int last = merged.shape.rank() - 1;
    bool fits = last >= 0;
    for (int i = 0; fits && i < merged.arity; ++i) {
      const auto index = static_cast<size_t>(i);
      fits = merged.strides[index][last] == full[index][axis] * shape[axis];
    }
    if (fits) {
      merged.shape[last] *= shape[axis];
    } else {
      merged.shape.push_back(shape[axis]);
    }
    for (int i = 0; i < merged.arity; ++i) {
      const auto index = static_cast<size_t>(i);
      if (fits) {
        merged.strides[index][last] = full[index][axis];
      } else {
        merged.strides[index].push_back(full[index][axis]);
      }
    }
  }
  return merged;
}

// The values number begin..begin+n-1 (in the order of the result) of a strided input, side by side
// in `to`.
template <typename T>
void gather(const T* from, const Shape& shape, const Strides& strides, int64_t begin, int64_t n,
            T* to) {
  std::array<int64_t, kMaxRank> index{};
  const int last = shape.rank() - 1;
  int64_t place = 0, rest = begin;
  for (int axis = last; axis >= 0; --axis) {
    index[static_cast<size_t>(axis)] = rest % shape[axis];
    rest /= shape[axis];
    place += index[static_cast<size_t>(axis)] * strides[axis];
  }
  if (last == 0) {  // one axis, a column of a matrix say
    const T* values = from + place;
    if (strides[0] == 2) {  // a point of the plane's coordinate: known, it takes vectors
      for (int64_t i = 0; i < n; ++i) to[i] = values[2 * i];
    } else {
      for (int64_t i = 0; i < n; ++i) to[i] = values[i * strides[0]];
    }
    return;
  }
  while (n > 0) {
    const int64_t run = std::min(n, shape[last] - index[static_cast<size_t>(last)]);
    const int64_t stride = strides[last];
    if (stride == 1) {
      std::copy(from + place, from + place + run, to);
    } else if (stride == 0) {
      std::fill(to, to + run, from[place]);
    } else {
      for (int64_t i = 0; i < run; ++i) to[i] = from[place + i * stride];
    }
    to += run;
    n -= run;
    place += run * stride;
    index[static_cast<size_t>(last)] += run;
    for (int axis = last; axis > 0 && index[static_cast<size_t>(axis)] == shape[axis];
         --axis) {  // carry
      place += strides[axis - 1] - shape[axis] * strides[axis];
      index[static_cast<size_t>(axis)] = 0;
      ++index[static_cast<size_t>(axis - 1)];
    }
  }
}

template <typename T>
std::unique_ptr<Prepared> prepare_typed(const Call& call, PointwiseLoop loop) {
  const Layout layout = merged_layout(call, call.op.shape(call)[0].shape);
  const auto numbers = call.as<PointwiseParameters>();
  const int64_t size = layout.shape.size();
  bool direct = true;
  for (int i = 0; i < layout.arity; ++i) direct = direct && layout.side_by_side(i);
  const double bytes = static_cast<double>(size) * sizeof(T) * (layout.arity + 1);

  if (direct && nanoseconds_for_bytes(bytes) < kWorthThreads) {  // nothing to divide, or to gather
    return prepared([loop, size, numbers, arity = layout.arity](const Argument* arguments, void*) {
      const void* in[kMaxArity] = {};
      for (int i = 0; i < arity; ++i) in[i] = arguments[i].data;
      loop(size, in, arguments[arity].data, numbers.p, numbers.q);
    });
  }
  return prepared([=](const Argument* arguments, void*) {
    T* out = data<T>(arguments[layout.arity]);
    const auto task = [&](int64_t number) {
      const int64_t begin = number * kTaskValues, end = std::min(size, begin + kTaskValues);
      alignas(64) T gathered[kMaxArity][kBlock];
      const void* in[kMaxArity] = {};
      for (int64_t at = begin; at < end;) {
        const int64_t n = direct ? end - begin : std::min(kBlock, end - at);
        for (int i = 0; i < layout.arity; ++i) {
          const T* values = data<T>(arguments[i]);
          if (layout.side_by_side(i)) {
            in[i] = values + at;
          } else {
            gather(values, layout.shape, layout.strides[static_cast<size_t>(i)], at, n,
                   gathered[i]);
            in[i] = gathered[i];
          }
        }
        loop(n, in, out + at, numbers.p, numbers.q);
        at += n;
      }
    };
    parallel_for((size + kTaskValues - 1) / kTaskValues, nanoseconds_for_bytes(bytes), task);
  });
}

const PointwiseKernel* find(std::string_view name) {
  for (const PointwiseKernel* k = kernels(); k->name; ++k) {
    if (name == k->name) return k;
  }
  return nullptr;
}

std::unique_ptr<Prepared> prepare(const Call& call) {
  const PointwiseKernel* kernel = find(call.op.name);
  if (!kernel) return nullptr;
  return call.in(0).dtype() == Dtype::f32 ? prepare_typed<float>(call, kernel->f32)
                                          : prepare_typed<double>(call, kernel->f64);
}

}  // namespace

void add_pointwise(KernelTable& table) {
  for (const PointwiseKernel* k = kernels(); k->name; ++k) table[k->name] = prepare;
}

}  // namespace slope::cpu
