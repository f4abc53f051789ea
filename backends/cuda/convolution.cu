// Convolution by patches: every place of the result gets the pixels that its window sees as one row
// of a matrix, and cuBLAS does the rest. Float64, and what cuDNN refuses.
#include "backends/cuda/convolution.h"

#include <algorithm>

#include "backends/cuda/gemm.h"
#include "backends/cuda/strided.h"
#include "backends/cuda/window.h"

namespace slope::cuda {
namespace {

// Which part of the channels a group sees.
struct Channels {
  int64_t all, first, count;
};

// x: (n, H, W, C) -> patches: (n, H', W', R, S, count), size of them
template <typename T>
__global__ void patches_kernel(const T* x, T* patches, int64_t size, Window w, Channels channels) {
  const int64_t taps = w.window_height * w.window_width;
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const Coordinates at(i, w.result_height, w.result_width, taps * channels.count);
    const uint32_t tap = static_cast<uint32_t>(at.channel) / static_cast<uint32_t>(channels.count);
    const int64_t c = at.channel - tap * channels.count;
    const int64_t pixel = w.pixel(at.row, at.column, tap / w.window_width, tap % w.window_width);
    patches[i] = pixel < 0
                     ? T(0)
                     : x[(at.n * w.height * w.width + pixel) * channels.all + channels.first + c];
  }
}

// The adjoint, to dx: (n, H, W, C), of which this group writes n * H * W * count = size values.
// Each pixel gathers from the patches that contain it.
template <typename T>
__global__ void unpatch_kernel(const T* patches, T* dx, int64_t size, Window w, Channels channels) {
  const int64_t taps = w.window_height * w.window_width;
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const Coordinates at(i, w.height, w.width, channels.count);
    const int64_t first = at.n * w.result_height * w.result_width;
    double sum = 0;
    for (int64_t r = 0; r < w.window_height; ++r) {
      for (int64_t s = 0; s < w.window_width; ++s) {
        const int64_t place = w.place(at.row, at.column, r, s);
        if (place < 0) continue;
        const int64_t tap = r * w.window_width + s;
        sum += static_cast<double>(
            patches[((first + place) * taps + tap) * channels.count + at.channel]);
      }
    }
    const int64_t pixel = (at.n * w.height + at.row) * w.width + at.column;
    dx[pixel * channels.all + channels.first + at.channel] = static_cast<T>(sum);
  }
}

// One convolution by patches: some images at a time, so that scratch memory stays bounded.
template <typename T>
class ByPatches final : public Prepared {
 public:
  ByPatches(const Context& context, const char* op, Pass pass, const WindowSizes& sizes)
      : context_(context), op_(op), pass_(pass), z_(sizes), window_(sizes) {
    constexpr int64_t kScratchValues = int64_t{1} << 23;
    channels_ = z_.channels / z_.groups;
    filters_ = z_.filters / z_.groups;
    places_ = z_.result_height * z_.result_width;
    row_ = z_.window_height * z_.window_width * channels_;
    const int64_t of_image = std::max<int64_t>(1, places_ * row_);
    images_ = std::clamp<int64_t>(kScratchValues / of_image, 1, std::max<int64_t>(1, z_.batch));
    check_count(op, of_image * images_);
    check_count(op, z_.height * z_.width * channels_ * images_);
  }

  size_t scratch_bytes() const override {
    return static_cast<size_t>(images_ * places_ * row_) * sizeof(T);
  }

  void run(const Argument* args, void* scratch) override {
    T* patches = static_cast<T*>(scratch);
    if (pass_ == Pass::forward) {
      forward(data<T>(args[0]), data<T>(args[1]), data<T>(args[2]), data<T>(args[3]), patches);
    } else if (pass_ == Pass::data_gradient) {
      data_gradient(data<T>(args[0]), data<T>(args[1]), data<T>(args[2]), patches);
    } else {
      weight_gradient(data<T>(args[0]), data<T>(args[1]), data<T>(args[2]), patches);
    }
  }

 private:
  Launcher at() const { return context_.launcher(op_); }
  Channels group(int64_t g) const { return {z_.channels, g * channels_, channels_}; }

  // Calls f(group, first image, number of images).
  template <typename F>
  void for_each_part(F f) const {
    for (int64_t g = 0; g < z_.groups; ++g) {
      for (int64_t n = 0; n < z_.batch; n += images_) f(g, n, std::min(images_, z_.batch - n));
    }
  }
  void fill_patches(const T* x, T* patches, int64_t g, int64_t n, int64_t images) const {
    launch(at(), grid_for(images * places_ * row_), patches_kernel<T>,
           x + n * z_.height * z_.width * z_.channels, patches, images * places_ * row_, window_,
           group(g));
  }

  // y: (places, K) = patches: (places, R S C) times w: (K, R S C), transposed
  void forward(const T* x, const T* w, const T* bias, T* y, T* patches) const {
    if (bias) fill_rows(at(), bias, y, z_.batch * places_, z_.filters);
    for_each_part([&](int64_t g, int64_t n, int64_t images) {
      fill_patches(x, patches, g, n, images);
      const Gemm product{.transpose_b = true,
                         .m = images * places_,
                         .n = filters_,
                         .k = row_,
                         .lead_a = row_,
                         .lead_b = row_,
                         .lead_c = z_.filters,
                         .beta = bias ? 1.0 : 0.0};
      cuda::run<T>(context_, op_, product, patches, w + g * filters_ * row_,
                   y + n * places_ * z_.filters + g * filters_);
    });
  }

  // patches: (places, R S C) = g: (places, K) times w: (K, R S C)
  void data_gradient(const T* dy, const T* w, T* dx, T* patches) const {
    for_each_part([&](int64_t g, int64_t n, int64_t images) {
      const Gemm product{.m = images * places_,
                         .n = row_,
                         .k = filters_,
                         .lead_a = z_.filters,
                         .lead_b = row_,
                         .lead_c = row_};
      cuda::run<T>(context_, op_, product, dy + n * places_ * z_.filters + g * filters_,
                   w + g * filters_ * row_, patches);
      const int64_t size = images * z_.height * z_.width * channels_;
      launch(at(), grid_for(size), unpatch_kernel<T>, patches,
             dx + n * z_.height * z_.width * z_.channels, size, window_, group(g));
    });
  }

  // dw: (K, R S C) = g: (places, K), transposed, times patches: (places, R S C), part by part
  void weight_gradient(const T* x, const T* dy, T* dw, T* patches) const {
    if (z_.batch == 0) {
      check(cudaMemsetAsync(dw, 0, static_cast<size_t>(z_.filters * row_) * sizeof(T),
                            context_.stream),
            op_);
    }
    for_each_part([&](int64_t g, int64_t n, int64_t images) {
      fill_patches(x, patches, g, n, images);
      const Gemm product{.transpose_a = true,
                         .m = filters_,
                         .n = row_,
                         .k = images * places_,
                         .lead_a = z_.filters,
                         .lead_b = row_,
                         .lead_c = row_,
                         .beta = n == 0 ? 0.0 : 1.0};
      cuda::run<T>(context_, op_, product, dy + n * places_ * z_.filters + g * filters_, patches,
                   dw + g * filters_ * row_);
    });
  }

  const Context& context_;
  const char* op_;
  Pass pass_;
  WindowSizes z_;
  Window window_;
  int64_t channels_, filters_;  // of one group
  int64_t places_;              // of one image
  int64_t row_;                 // values of a patch
  int64_t images_;              // at a time
};

std::unique_ptr<Prepared> prepare(const Context& context, const Call& call, Pass pass,
                                  const WindowSizes& sizes) {
  const Dtype dtype = call.in(0).dtype();
  const bool biased = pass == Pass::forward && call.has(2);
  if (dtype == Dtype::f32 && sizes.batch > 0) {
    auto by_cudnn = prepare_by_cudnn(context, call.op.name, pass, sizes, biased);
    if (by_cudnn) return by_cudnn;
  }
  return dispatch_float(dtype, [&]<typename T>() -> std::unique_ptr<Prepared> {
    return std::make_unique<ByPatches<T>>(context, call.op.name, pass, sizes);
  });
}

std::unique_ptr<Prepared> prepare_forward(const Context& context, const Call& call) {
  const auto& options = call.as<Conv2dOptions>();
  return prepare(context, call, Pass::forward,
                 conv2d_sizes(call.in(0).shape(), call.in(1).shape(), options));
}
std::unique_ptr<Prepared> prepare_data_gradient(const Context& context, const Call& call) {
  const auto& [options, x_shape] = call.as<Conv2dGradient>();
  return prepare(context, call, Pass::data_gradient,
                 conv2d_sizes(x_shape, call.in(1).shape(), options));
}
std::unique_ptr<Prepared> prepare_weight_gradient(const Context& context, const Call& call) {
  const auto& [options, w_shape] = call.as<Conv2dGradient>();
  return prepare(context, call, Pass::weight_gradient,
                 conv2d_sizes(call.in(0).shape(), w_shape, options));
}

}  // namespace

void add_convolution(KernelTable& table) {
  table["conv2d"] = prepare_forward;
  table["conv2d_data_gradient"] = prepare_data_gradient;
  table["conv2d_weight_gradient"] = prepare_weight_gradient;
}

}  // namespace slope::cuda
