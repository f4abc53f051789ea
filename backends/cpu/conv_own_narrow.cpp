// Data gradient of a convolution with few channels, such as the first layer of a network, whose
// gradient an attack on its images needs:
//
//   products (R S C, positions) = w^T (R S C, K) . g^T (K, positions)
//
// and each product is added to the pixel that its tap saw. Patches of g would be K / C times larger
// than those products, and a vector of channels mostly empty.
#include <algorithm>

#include "backends/cpu/conv_own.h"
#include "backends/cpu/gemm.h"

namespace slope::cpu {
namespace {

template <typename T>
class NarrowDataGradient : public Convolution<T>::Implementation {
 public:
  explicit NarrowDataGradient(const ConvShape& shape)
      : shape_(shape),
        grid_(output_grid(shape)),
        taps_channels_(shape.kernel_height * shape.kernel_width * shape.group_channels()) {
    // Whole images, or parts of one: where a part ends depends on the image only.
    const int64_t row_bytes =
        std::max<int64_t>(taps_channels_, 64) * static_cast<int64_t>(sizeof(T));
    const int64_t positions = std::max<int64_t>(grid_.positions(), 1);
    panel_ = std::max<int64_t>(kPanelBytes / row_bytes, 32);
    images_per_task_ = std::max<int64_t>(panel_ / positions, 1);
    panel_ = std::min(panel_, images_per_task_ * positions);
    tasks_ = (shape.batch + images_per_task_ - 1) / images_per_task_;
    slots_ = static_cast<int>(std::min<int64_t>(thread_slots(), std::max<int64_t>(tasks_, 1)));
    slot_bytes_ = round_up(static_cast<size_t>(panel_ * taps_channels_) * sizeof(T), 64);
    nanoseconds_ = product_nanoseconds<T>(static_cast<double>(shape.batch * grid_.positions()) *
                                          static_cast<double>(shape.filters * taps_channels_));
  }

  ConvRoute route() const override { return ConvRoute::own; }
  size_t scratch_bytes() const override { return slots_ * slot_bytes_; }

  void run(const T* g, const T* weights, const T*, T* dx, void* scratch, WeightVersion) override {
    parallel_for(
        tasks_, nanoseconds_,
        [&](int64_t task, int slot) {
          const int64_t first = task * images_per_task_;
          const int64_t images = std::min(images_per_task_, shape_.batch - first);
          run_images(first, images, g, weights, dx,
                     reinterpret_cast<T*>(static_cast<char*>(scratch) + slot * slot_bytes_));
        },
        slots_);
  }

 private:
  void run_images(int64_t first, int64_t images, const T* g, const T* weights, T* dx,
                  T* products) const {
    const int64_t image = shape_.height * shape_.width * shape_.channels;
    std::fill(dx + first * image, dx + (first + images) * image, T(0));
    const int64_t end = (first + images) * grid_.positions();
    GemmShape s;
    s.m = taps_channels_, s.k = shape_.group_filters();
    s.transpose_a = true, s.transpose_b = true;
    s.ldb = shape_.filters;
    for (int64_t begin = first * grid_.positions(); begin < end; begin += panel_) {
      s.n = std::min(panel_, end - begin);
      for (int64_t group = 0; group < shape_.groups; ++group) {
        gemm_serial<T>(s, weights + group * s.k * s.m, g + begin * shape_.filters + group * s.k,
                       nullptr, products);
        add_to_patches_tap_major(grid_, products, begin, s.n, group * shape_.group_channels(),
                                 shape_.group_channels(), dx);
      }
    }
  }

  const ConvShape shape_;
  const PatchGrid grid_;
  const int64_t taps_channels_;
  int64_t panel_ = 0;  // positions of one product
  int64_t images_per_task_ = 1, tasks_ = 0;
  int slots_ = 1;
  size_t slot_bytes_ = 0;
  double nanoseconds_ = 0;
};

}  // namespace

template <typename T>
std::unique_ptr<typename Convolution<T>::Implementation> make_narrow_data_gradient(
    const ConvShape& shape) {
  return std::make_unique<NarrowDataGradient<T>>(shape);
}

template std::unique_ptr<Convolution<float>::Implementation> make_narrow_data_gradient<float>(
    const ConvShape&);
template std::unique_ptr<Convolution<double>::Implementation> make_narrow_data_gradient<double>(
    const ConvShape&);

}  // namespace slope::cpu
