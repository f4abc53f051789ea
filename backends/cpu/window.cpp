// Convolution, over conv.h, and pooling on the cpu backend.
#include "core/ops/window.h"

#include "backends/cpu/conv.h"
#include "backends/cpu/cpu.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/pool_kernel.h"
#include "backends/cpu/threads.h"
#include "core/exact.h"

namespace slope::cpu {
namespace {

// ---- convolution --------------------------------------------------------------------------------

ConvShape conv_shape(const WindowSizes& z) {
  return {.batch = z.batch,
          .height = z.height,
          .width = z.width,
          .channels = z.channels,
          .filters = z.filters,
          .kernel_height = z.window_height,
          .kernel_width = z.window_width,
          .stride_height = z.stride[0],
          .stride_width = z.stride[1],
          .padding_height = z.padding[0],
          .padding_width = z.padding[1],
          .dilation_height = z.dilation[0],
          .dilation_width = z.dilation[1],
          .groups = z.groups};
}

// One pass of a convolution: the inputs of the call, then its output.
template <typename T>
class PreparedConvolution final : public Prepared {
 public:
  PreparedConvolution(const WindowSizes& z, ConvPass pass)
      : convolution_(conv_shape(z), pass,
                     exact_kernels() ? ConvRoute::direct : ConvRoute::automatic),
        pass_(pass) {}

  size_t scratch_bytes() const override { return convolution_.scratch_bytes(); }
  void run(const Argument* args, void* scratch) override {
    const bool forward = pass_ == ConvPass::forward;
    const T* bias = forward ? data<T>(args[2]) : nullptr;
    convolution_.run(data<T>(args[0]), data<T>(args[1]), bias, data<T>(args[forward ? 3 : 2]),
                     scratch, weight_version(args[1]));
  }

 private:
  static WeightVersion weight_version(const Argument& weights) {
    if (!weights.storage) return {};
    return {weights.storage->id(), weights.storage->version(), weights.data};
  }

  Convolution<T> convolution_;
  ConvPass pass_;
};

std::unique_ptr<Prepared> prepare_pass(Dtype dtype, const WindowSizes& z, ConvPass pass) {
  if (z.channels == 0 || z.filters == 0) return nullptr;
  return dispatch_float(dtype, [&]<typename T>() -> std::unique_ptr<Prepared> {
    return std::make_unique<PreparedConvolution<T>>(z, pass);
  });
}

std::unique_ptr<Prepared> prepare_conv2d(const Call& call) {
  const WindowSizes z =
      conv2d_sizes(call.in(0).shape(), call.in(1).shape(), call.as<Conv2dOptions>());
  return prepare_pass(call.in(0).dtype(), z, ConvPass::forward);
}

std::unique_ptr<Prepared> prepare_data_gradient(const Call& call) {
  const auto& [options, x_shape] = call.as<Conv2dGradient>();
  const WindowSizes z = conv2d_sizes(x_shape, call.in(1).shape(), options);
  return prepare_pass(call.in(0).dtype(), z, ConvPass::data_gradient);
}

std::unique_ptr<Prepared> prepare_weight_gradient(const Call& call) {
  const auto& [options, w_shape] = call.as<Conv2dGradient>();
  const WindowSizes z = conv2d_sizes(call.in(0).shape(), w_shape, options);
  return prepare_pass(call.in(0).dtype(), z, ConvPass::weight_gradient);
}

// ---- pooling ------------------------------------------------------------------------------------

template <typename T>
const PoolKernels<T>& pool_kernels() {
  const auto pick = [](const auto& for_float, const auto& for_double) -> const PoolKernels<T>& {
    if constexpr (std::is_same_v<T, float>) {
      return for_float;
    } else {
      return for_double;
    }
  };
  switch (isa()) {
#ifdef SLOPE_X86
    case Isa::avx512:
      return pick(avx512::kPoolFloat, avx512::kPoolDouble);
    case Isa::avx2:
      return pick(avx2::kPoolFloat, avx2::kPoolDouble);
#endif
    default:
      return pick(generic::kPoolFloat, generic::kPoolDouble);
  }
}

// A pool made ready: its shape, and how many rows of results and of images there are to share among
// threads.
struct Pool {
  PoolShape shape;
  int64_t result_rows = 0, image_rows = 0;
  double nanoseconds = 0;

  Pool(const Shape& image, const PoolOptions& options, Dtype dtype) {
    const WindowSizes z = pool_sizes(image, options);
    shape = {z.height,       z.width,         z.channels,     z.result_height,
             z.result_width, z.window_height, z.window_width, z.stride[0],
             z.stride[1],    z.padding[0],    z.padding[1]};
    result_rows = z.batch * z.result_height;
    image_rows = z.batch * z.height;
    const int64_t taps = result_rows * z.result_width * z.window_height * z.window_width;
    nanoseconds = nanoseconds_for_bytes(static_cast<double>(taps * z.channels) * 2 *
                                        static_cast<double>(size_of(dtype)));
  }
};

// x: (N, H, W, C) -> y, taps: (N, H', W', C)
std::unique_ptr<Prepared> prepare_max_pool2d(const Call& call) {
  const Pool p(call.in(0).shape(), call.as<PoolOptions>(), call.in(0).dtype());
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([p, kernel = pool_kernels<T>().maximum](const Argument* args, void*) {
      parallel_for(p.result_rows, p.nanoseconds, [&](int64_t row) {
        kernel(p.shape, row, data<T>(args[0]), data<T>(args[1]), data<int32_t>(args[2]));
      });
    });
  });
}

// g, taps: (N, H', W', C) -> dx: (N, H, W, C)
std::unique_ptr<Prepared> prepare_max_pool2d_gradient(const Call& call) {
  const auto& [options, image] = call.as<PoolGradient>();
  const Pool p(image, options, call.in(0).dtype());
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([p, kernel = pool_kernels<T>().maximum_gradient](const Argument* args, void*) {
      parallel_for(p.image_rows, p.nanoseconds, [&](int64_t row) {
        kernel(p.shape, row, data<T>(args[0]), data<int32_t>(args[1]), data<T>(args[2]));
      });
    });
  });
}

// u: (N, H, W, C), taps: (N, H', W', C) -> picked: (N, H', W', C)
std::unique_ptr<Prepared> prepare_max_pool2d_pick(const Call& call) {
  const Pool p(call.in(0).shape(), call.as<PoolOptions>(), call.in(0).dtype());
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([p, kernel = pool_kernels<T>().pick](const Argument* args, void*) {
      parallel_for(p.result_rows, p.nanoseconds, [&](int64_t row) {
        kernel(p.shape, row, data<T>(args[0]), data<int32_t>(args[1]), data<T>(args[2]));
      });
    });
  });
}

// x: (N, H, W, C) -> y: (N, H', W', C)
std::unique_ptr<Prepared> prepare_average_pool2d(const Call& call) {
  const Pool p(call.in(0).shape(), call.as<PoolOptions>(), call.in(0).dtype());
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([p, kernel = pool_kernels<T>().average](const Argument* args, void*) {
      parallel_for(p.result_rows, p.nanoseconds,
                   [&](int64_t row) { kernel(p.shape, row, data<T>(args[0]), data<T>(args[1])); });
    });
  });
}

// g: (N, H', W', C) -> dx: (N, H, W, C)
std::unique_ptr<Prepared> prepare_average_pool2d_gradient(const Call& call) {
  const auto& [options, image] = call.as<PoolGradient>();
  const Pool p(image, options, call.in(0).dtype());
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([p, kernel = pool_kernels<T>().average_gradient](const Argument* args, void*) {
      parallel_for(p.image_rows, p.nanoseconds,
                   [&](int64_t row) { kernel(p.shape, row, data<T>(args[0]), data<T>(args[1])); });
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

}  // namespace slope::cpu
