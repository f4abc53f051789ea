// Pooling. Own kernels: the gradient needs to know which tap won, and NaN wins here, neither of
// which cuDNN offers.
#include "backends/cuda/context.h"
#include "backends/cuda/strided.h"
#include "backends/cuda/window.h"

namespace slope::cuda {
namespace {

// x: (N, H, W, C) -> y, taps: (N, H', W', C), size of them. The first of equal values wins, NaN
// wins over everything.
template <typename T>
__global__ void max_pool_kernel(const T* x, T* y, int32_t* taps, int64_t size, Window w,
                                int64_t channels) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const Coordinates at(i, w.result_height, w.result_width, channels);
    const T* image = x + at.n * w.height * w.width * channels + at.channel;
    T best = 0;
    int32_t winner = -1;
    for (int64_t r = 0; r < w.window_height; ++r) {
      for (int64_t s = 0; s < w.window_width; ++s) {
        const int64_t pixel = w.pixel(at.row, at.column, r, s);
        if (pixel < 0) continue;
        const T value = image[pixel * channels];
        if (winner < 0 || value > best || value != value) {
          best = value;
          winner = static_cast<int32_t>(r * w.window_width + s);
        }
      }
    }
    y[i] = best;
    taps[i] = winner;
  }
}

// x: (N, H, W, C) -> y: (N, H', W', C), size of them
template <typename T>
__global__ void average_pool_kernel(const T* x, T* y, int64_t size, Window w, int64_t channels) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const Coordinates at(i, w.result_height, w.result_width, channels);
    const T* image = x + at.n * w.height * w.width * channels + at.channel;
    T sum = 0;
    for (int64_t r = 0; r < w.window_height; ++r) {
      for (int64_t s = 0; s < w.window_width; ++s) {
        const int64_t pixel = w.pixel(at.row, at.column, r, s);
        if (pixel >= 0) sum += image[pixel * channels];
      }
    }
    y[i] = sum / static_cast<T>(w.window_height * w.window_width);
  }
}

// g, taps: (N, H', W', C) -> dx: (N, H, W, C), size of them: each pixel gathers what it won, or,
// without taps, its share of every average.
template <typename T>
__global__ void pool_gradient_kernel(const T* g, const int32_t* taps, T* dx, int64_t size, Window w,
                                     int64_t channels) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const Coordinates at(i, w.height, w.width, channels);
    const int64_t first = at.n * w.result_height * w.result_width * channels + at.channel;
    T sum = 0;
    for (int64_t r = 0; r < w.window_height; ++r) {
      for (int64_t s = 0; s < w.window_width; ++s) {
        const int64_t place = w.place(at.row, at.column, r, s);
        if (place < 0) continue;
        if (!taps || taps[first + place * channels] == r * w.window_width + s) {
          sum += g[first + place * channels];
        }
      }
    }
    dx[i] = taps ? sum : sum / static_cast<T>(w.window_height * w.window_width);
  }
}

// u: (N, H, W, C), taps: (N, H', W', C) -> picked: (N, H', W', C), size of them
template <typename T>
__global__ void max_pool_pick_kernel(const T* u, const int32_t* taps, T* picked, int64_t size,
                                     Window w, int64_t channels) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const Coordinates at(i, w.result_height, w.result_width, channels);
    const int32_t tap = taps[i];
    const int64_t pixel =
        tap < 0 ? -1 : w.pixel(at.row, at.column, tap / w.window_width, tap % w.window_width);
    picked[i] = pixel < 0 ? T(0) : u[(at.n * w.height * w.width + pixel) * channels + at.channel];
  }
}

int64_t result_values(const WindowSizes& z) {
  return z.batch * z.result_height * z.result_width * z.channels;
}

std::unique_ptr<Prepared> prepare_max_pool(const Context& context, const Call& call) {
  const WindowSizes z = pool_sizes(call.in(0).shape(), call.as<PoolOptions>());
  check_count(call.op.name, call.in(0).size());
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(result_values(z)), max_pool_kernel<T>, data<T>(args[0]), data<T>(args[1]),
             data<int32_t>(args[2]), result_values(z), Window(z), z.channels);
    });
  });
}

std::unique_ptr<Prepared> prepare_max_pool_pick(const Context& context, const Call& call) {
  const WindowSizes z = pool_sizes(call.in(0).shape(), call.as<PoolOptions>());
  check_count(call.op.name, call.in(0).size());
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(result_values(z)), max_pool_pick_kernel<T>, data<T>(args[0]),
             data<int32_t>(args[1]), data<T>(args[2]), result_values(z), Window(z), z.channels);
    });
  });
}

std::unique_ptr<Prepared> prepare_average_pool(const Context& context, const Call& call) {
  const WindowSizes z = pool_sizes(call.in(0).shape(), call.as<PoolOptions>());
  check_count(call.op.name, call.in(0).size());
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(result_values(z)), average_pool_kernel<T>, data<T>(args[0]),
             data<T>(args[1]), result_values(z), Window(z), z.channels);
    });
  });
}

template <bool has_taps>
std::unique_ptr<Prepared> prepare_gradient(const Context& context, const Call& call) {
  const auto attributes = call.as<PoolGradient>();
  const WindowSizes z = pool_sizes(attributes.shape, attributes.options);
  const int64_t size = attributes.shape.size();
  check_count(call.op.name, size);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      const int32_t* taps = has_taps ? data<int32_t>(args[1]) : nullptr;
      launch(at, grid_for(size), pool_gradient_kernel<T>, data<T>(args[0]), taps,
             data<T>(args[has_taps ? 2 : 1]), size, Window(z), z.channels);
    });
  });
}

}  // namespace

void add_pooling(KernelTable& table) {
  table["max_pool2d"] = prepare_max_pool;
  table["max_pool2d_gradient"] = prepare_gradient<true>;
  table["max_pool2d_pick"] = prepare_max_pool_pick;
  table["average_pool2d"] = prepare_average_pool;
  table["average_pool2d_gradient"] = prepare_gradient<false>;
}

}  // namespace slope::cuda
