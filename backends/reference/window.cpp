// Convolution and pooling as nested loops over places of the result and taps of the window.
#include "core/ops/window.h"

#include "backends/reference/reference.h"

namespace slope::reference {
namespace {

// Calls f(place, tap, pixel) for every pair of a place of the result (n, i, j) and a tap (r, s)
// that sees a pixel, in this order. The numbers count places, taps and pixels in memory order,
// without channels. `f` is not called for taps in the padding.
template <typename F>
void for_each_tap(const WindowSizes& z, F f) {
  for (int64_t n = 0; n < z.batch; ++n) {
    for (int64_t i = 0; i < z.result_height; ++i) {
      for (int64_t j = 0; j < z.result_width; ++j) {
        for (int64_t r = 0; r < z.window_height; ++r) {
          for (int64_t s = 0; s < z.window_width; ++s) {
            const int64_t row = i * z.stride[0] - z.padding[0] + r * z.dilation[0];
            const int64_t column = j * z.stride[1] - z.padding[1] + s * z.dilation[1];
            if (row < 0 || row >= z.height || column < 0 || column >= z.width) continue;
            f((n * z.result_height + i) * z.result_width + j, r * z.window_width + s,
              (n * z.height + row) * z.width + column);
          }
        }
      }
    }
  }
}

int64_t places(const WindowSizes& z) { return z.batch * z.result_height * z.result_width; }
int64_t pixels(const WindowSizes& z) { return z.batch * z.height * z.width; }
int64_t taps(const WindowSizes& z) { return z.window_height * z.window_width; }

// Calls f(place_k, weight, pixel_c) for every product of a convolution: indices of a value of g or
// y, of w, and of x.
template <typename F>
void for_each_product(const WindowSizes& z, F f) {
  const int64_t filters = z.filters / z.groups;    // of one group
  const int64_t channels = z.channels / z.groups;  // of one group
  for_each_tap(z, [&](int64_t place, int64_t tap, int64_t pixel) {
    for (int64_t k = 0; k < z.filters; ++k) {
      const int64_t group = k / filters;
      for (int64_t c = 0; c < channels; ++c) {
        f(place * z.filters + k, (k * taps(z) + tap) * channels + c,
          pixel * z.channels + group * channels + c);
      }
    }
  });
}

// Sums are kept in double, in scratch memory, and rounded once at the end.
size_t sums_bytes(int64_t count) { return static_cast<size_t>(count) * sizeof(double); }
template <typename T>
void round_to(const double* sums, int64_t count, T* result) {
  for (int64_t i = 0; i < count; ++i) result[i] = static_cast<T>(sums[i]);
}

// x: (N, H, W, C), w: (K, R, S, C / groups), b: (K) or null -> y: (N, H', W', K)
std::unique_ptr<Prepared> prepare_conv2d(const Call& call) {
  const WindowSizes z =
      conv2d_sizes(call.in(0).shape(), call.in(1).shape(), call.as<Conv2dOptions>());
  const int64_t count = places(z) * z.filters;
  const auto with_type = [&]<typename T>() {
    const auto run = [=](const Argument* args, void* scratch) {
      const T* x = data<T>(args[0]);
      const T* w = data<T>(args[1]);
      const T* b = data<T>(args[2]);
      double* y = static_cast<double*>(scratch);
      for (int64_t i = 0; i < count; ++i) y[i] = b ? static_cast<double>(b[i % z.filters]) : 0;
      for_each_product(z, [&](int64_t i, int64_t j, int64_t p) {
        y[i] += static_cast<double>(w[j]) * static_cast<double>(x[p]);
      });
      round_to(y, count, data<T>(args[3]));
    };
    return prepared(run, sums_bytes(count));
  };
  return dispatch_float(call.in(0).dtype(), with_type);
}

// g: (N, H', W', K), w: (K, R, S, C / groups) -> dx: (N, H, W, C)
std::unique_ptr<Prepared> prepare_data_gradient(const Call& call) {
  const auto& [options, x_shape] = call.as<Conv2dGradient>();
  const WindowSizes z = conv2d_sizes(x_shape, call.in(1).shape(), options);
  const int64_t count = x_shape.size();
  const auto with_type = [&]<typename T>() {
    const auto run = [=](const Argument* args, void* scratch) {
      const T* g = data<T>(args[0]);
      const T* w = data<T>(args[1]);
      double* dx = static_cast<double*>(scratch);
      std::fill_n(dx, count, 0.0);
      for_each_product(z, [&](int64_t i, int64_t j, int64_t p) {
        dx[p] += static_cast<double>(g[i]) * static_cast<double>(w[j]);
      });
      round_to(dx, count, data<T>(args[2]));
    };
    return prepared(run, sums_bytes(count));
  };
  return dispatch_float(call.in(0).dtype(), with_type);
}

// x: (N, H, W, C), g: (N, H', W', K) -> dw: (K, R, S, C / groups)
std::unique_ptr<Prepared> prepare_weight_gradient(const Call& call) {
  const auto& [options, w_shape] = call.as<Conv2dGradient>();
  const WindowSizes z = conv2d_sizes(call.in(0).shape(), w_shape, options);
  const int64_t count = w_shape.size();
  const auto with_type = [&]<typename T>() {
    const auto run = [=](const Argument* args, void* scratch) {
      const T* x = data<T>(args[0]);
      const T* g = data<T>(args[1]);
      double* dw = static_cast<double*>(scratch);
      std::fill_n(dw, count, 0.0);
      for_each_product(z, [&](int64_t i, int64_t j, int64_t p) {
        dw[j] += static_cast<double>(g[i]) * static_cast<double>(x[p]);
      });
      round_to(dw, count, data<T>(args[2]));
    };
    return prepared(run, sums_bytes(count));
  };
  return dispatch_float(call.in(0).dtype(), with_type);
}

// x: (N, H, W, C) -> y, taps: (N, H', W', C). The first of equal values wins, NaN wins over
// everything.
std::unique_ptr<Prepared> prepare_max_pool2d(const Call& call) {
  const WindowSizes z = pool_sizes(call.in(0).shape(), call.as<PoolOptions>());
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      const T* x = data<T>(args[0]);
      T* y = data<T>(args[1]);
      int32_t* winner = data<int32_t>(args[2]);
      for (int64_t i = 0; i < places(z) * z.channels; ++i) winner[i] = -1;  // no tap yet
      for_each_tap(z, [&](int64_t place, int64_t tap, int64_t pixel) {
        for (int64_t c = 0; c < z.channels; ++c) {
          const T value = x[pixel * z.channels + c];
          const int64_t i = place * z.channels + c;
          if (winner[i] < 0 || value > y[i] || value != value) {
            y[i] = value;
            winner[i] = static_cast<int32_t>(tap);
          }
        }
      });
    });
  });
}

// g, winner: (N, H', W', C) -> dx: (N, H, W, C)
std::unique_ptr<Prepared> prepare_max_pool2d_gradient(const Call& call) {
  const auto& [options, shape] = call.as<PoolGradient>();
  const WindowSizes z = pool_sizes(shape, options);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      const T* g = data<T>(args[0]);
      const int32_t* winner = data<int32_t>(args[1]);
      T* dx = data<T>(args[2]);
      std::fill_n(dx, pixels(z) * z.channels, T(0));
      for_each_tap(z, [&](int64_t place, int64_t tap, int64_t pixel) {
        for (int64_t c = 0; c < z.channels; ++c) {
          const int64_t i = place * z.channels + c;
          if (winner[i] == tap) dx[pixel * z.channels + c] += g[i];
        }
      });
    });
  });
}

// u: (N, H, W, C), winner: (N, H', W', C) -> picked: (N, H', W', C)
std::unique_ptr<Prepared> prepare_max_pool2d_pick(const Call& call) {
  const WindowSizes z = pool_sizes(call.in(0).shape(), call.as<PoolOptions>());
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      const T* u = data<T>(args[0]);
      const int32_t* winner = data<int32_t>(args[1]);
      T* picked = data<T>(args[2]);
      std::fill_n(picked, places(z) * z.channels, T(0));
      for_each_tap(z, [&](int64_t place, int64_t tap, int64_t pixel) {
        for (int64_t c = 0; c < z.channels; ++c) {
          const int64_t i = place * z.channels + c;
          if (winner[i] == tap) picked[i] = u[pixel * z.channels + c];
        }
      });
    });
  });
}

// x: (N, H, W, C) -> y: (N, H', W', C)
std::unique_ptr<Prepared> prepare_average_pool2d(const Call& call) {
  const WindowSizes z = pool_sizes(call.in(0).shape(), call.as<PoolOptions>());
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      const T* x = data<T>(args[0]);
      T* y = data<T>(args[1]);
      std::fill_n(y, places(z) * z.channels, T(0));
      for_each_tap(z, [&](int64_t place, int64_t, int64_t pixel) {
        for (int64_t c = 0; c < z.channels; ++c)
          y[place * z.channels + c] += x[pixel * z.channels + c];
      });
      for (int64_t i = 0; i < places(z) * z.channels; ++i) y[i] /= static_cast<T>(taps(z));
    });
  });
}

// g: (N, H', W', C) -> dx: (N, H, W, C)
std::unique_ptr<Prepared> prepare_average_pool2d_gradient(const Call& call) {
  const auto& [options, shape] = call.as<PoolGradient>();
  const WindowSizes z = pool_sizes(shape, options);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      const T* g = data<T>(args[0]);
      T* dx = data<T>(args[1]);
      std::fill_n(dx, pixels(z) * z.channels, T(0));
      for_each_tap(z, [&](int64_t place, int64_t, int64_t pixel) {
        for (int64_t c = 0; c < z.channels; ++c)
          dx[pixel * z.channels + c] += g[place * z.channels + c];
      });
      for (int64_t i = 0; i < pixels(z) * z.channels; ++i) dx[i] /= static_cast<T>(taps(z));
    });
  });
}

}  // namespace

void add_window(KernelTable& table) {
  table["conv2d"] = prepare_conv2d;
  table["conv2d_data_gradient"] = prepare_data_gradient;
  table["conv2d_weight_gradient"] = prepare_weight_gradient;
  table["max_pool2d"] = prepare_max_pool2d;
  table["max_pool2d_gradient"] = prepare_max_pool2d_gradient;
  table["max_pool2d_pick"] = prepare_max_pool2d_pick;
  table["average_pool2d"] = prepare_average_pool2d;
  table["average_pool2d_gradient"] = prepare_average_pool2d_gradient;
}

}  // namespace slope::reference
