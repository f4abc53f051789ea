// Copies between layouts and types, concatenation, padding, and the ops that make values.
#include "core/ops/movement.h"

#include <vector>

#include "backends/cuda/context.h"
#include "backends/cuda/strided.h"

namespace slope::cuda {
namespace {

// Item i of the walk goes from place 1 to place 0.
template <typename To, typename From>
__global__ void copy_kernel(To* to, const From* from, int64_t size, Walk<2> walk) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    int64_t at[2];
    walk.places(i, at);
    to[at[0]] = static_cast<To>(from[at[1]]);
  }
}

// x: any layout -> contiguous, in the type To
template <typename To, typename From>
std::unique_ptr<Prepared> convert(const Context& context, const Call& call) {
  const Tensor& x = call.in(0);
  const int64_t size = x.size();
  const Walk<2> walk =
      walk_over<2>(call.op.name, x.shape(), {contiguous_strides(x.shape()), x.strides()});
  return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
    launch(at, grid_for(size), copy_kernel<To, From>, data<To>(args[1]), data<From>(args[0]), size,
           walk);
  });
}

std::unique_ptr<Prepared> prepare_copy(const Context& context, const Call& call) {
  return dispatch_any(call.in(0).dtype(),
                      [&]<typename T>() { return convert<T, T>(context, call); });
}

std::unique_ptr<Prepared> prepare_cast(const Context& context, const Call& call) {
  const Dtype to = static_cast<Dtype>(call.as<CastAttributes>().dtype);
  return dispatch_any(call.in(0).dtype(), [&]<typename From>() {
    return dispatch_any(to, [&]<typename To>() { return convert<To, From>(context, call); });
  });
}

// to, from: the same shape, any layouts
std::unique_ptr<Prepared> prepare_copy_into(const Context& context, const Call& call) {
  const Shape shape = call.in(0).shape();
  const Walk<2> walk =
      walk_over<2>(call.op.name, shape, {call.in(0).strides(), call.in(1).strides()});
  return dispatch_any(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(shape.size()), copy_kernel<T, T>, data<T>(args[0]), data<T>(args[1]),
             shape.size(), walk);
    });
  });
}

// One of the xs: (outer, run) -> the places of out: (outer, stride) that begin at `first`.
template <typename T>
__global__ void place_runs_kernel(const T* x, T* out, int64_t outer, int64_t run, int64_t stride,
                                  int64_t first) {
  for (int64_t i = thread_of_grid(); i < outer * run; i += threads_of_grid()) {
    const uint32_t row = static_cast<uint32_t>(i) / static_cast<uint32_t>(run);
    out[row * stride + first + (i - row * run)] = x[i];
  }
}

// xs: (outer, their own length, inner) -> (outer, sum of the lengths, inner)
std::unique_ptr<Prepared> prepare_concatenate(const Context& context, const Call& call) {
  const int axis = static_cast<int>(call.as<ConcatenateAttributes>().axis);
  const Shape& shape = call.in(0).shape();
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  std::vector<int64_t> runs;  // values of each input that lie together
  int64_t stride = 0;
  for (const Tensor& x : call.inputs) {
    runs.push_back(x.shape()[axis] * inner);
    stride += runs.back();
  }
  check_count(call.op.name, outer * stride);
  return dispatch_any(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      int64_t first = 0;
      for (size_t i = 0; i < runs.size(); ++i) {
        launch(at, grid_for(outer * runs[i]), place_runs_kernel<T>, data<T>(args[i]),
               data<T>(args[runs.size()]), outer, runs[i], stride, first);
        first += runs[i];
      }
    });
  });
}

// Where the value of each place of a padded tensor comes from.
struct Padding {
  int rank = 0;
  uint32_t padded[kMaxRank] = {};
  int64_t before[kMaxRank] = {}, steps[kMaxRank] = {}, lengths[kMaxRank] = {};
};

template <typename T>
__global__ void pad_kernel(const T* x, T* out, int64_t size, Padding padding, T value) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    uint32_t rest = static_cast<uint32_t>(i);
    int64_t from = 0, stride = 1;
    bool inside = true;
    for (int axis = padding.rank - 1; axis >= 0; --axis) {
      const uint32_t above = rest / padding.padded[axis];
      const int64_t shifted =
          static_cast<int64_t>(rest - above * padding.padded[axis]) - padding.before[axis];
      const int64_t coordinate = shifted / padding.steps[axis];
      inside = inside && shifted >= 0 && coordinate < padding.lengths[axis] &&
               coordinate * padding.steps[axis] == shifted;
      from += coordinate * stride;
      stride *= padding.lengths[axis];
      rest = above;
    }
    out[i] = inside ? x[from] : value;
  }
}

std::unique_ptr<Prepared> prepare_pad(const Context& context, const Call& call) {
  const auto attributes = call.as<PadAttributes>();
  const Shape shape = call.in(0).shape();
  const Shape padded = call.op.shape(call)[0].shape;
  check_count(call.op.name, padded.size());
  Padding padding;
  padding.rank = shape.rank();
  for (int i = 0; i < shape.rank(); ++i) {
    padding.padded[i] = static_cast<uint32_t>(padded[i]);
    padding.before[i] = attributes.before[i];
    padding.steps[i] = attributes.steps[i];
    padding.lengths[i] = shape[i];
  }
  return dispatch_any(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(padded.size()), pad_kernel<T>, data<T>(args[0]), data<T>(args[1]),
             padded.size(), padding, static_cast<T>(attributes.value));
    });
  });
}

template <typename T>
__global__ void fill_kernel(T* out, int64_t size, T value) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) out[i] = value;
}

std::unique_ptr<Prepared> prepare_full(const Context& context, const Call& call) {
  const auto attributes = call.as<FullAttributes>();
  return dispatch_any(static_cast<Dtype>(attributes.dtype), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      const int64_t size = attributes.shape.size();
      launch(at, grid_for(size), fill_kernel<T>, data<T>(args[0]), size,
             static_cast<T>(attributes.value));
    });
  });
}

template <typename T>
__global__ void arange_kernel(T* out, int64_t size) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) out[i] = static_cast<T>(i);
}

std::unique_ptr<Prepared> prepare_arange(const Context& context, const Call& call) {
  const auto attributes = call.as<ArangeAttributes>();
  return dispatch_any(static_cast<Dtype>(attributes.dtype), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(attributes.n), arange_kernel<T>, data<T>(args[0]), attributes.n);
    });
  });
}

}  // namespace

void add_movement(KernelTable& table) {
  table["copy"] = prepare_copy;
  table["cast"] = prepare_cast;
  table["copy_into"] = prepare_copy_into;
  table["concatenate"] = prepare_concatenate;
  table["pad"] = prepare_pad;
  table["full"] = prepare_full;
  table["arange"] = prepare_arange;
}

}  // namespace slope::cuda
