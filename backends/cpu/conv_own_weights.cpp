// Weight gradient of a convolution as matrix products over gemm.h:
//
//   dw^T (R S C, K) = patches of x (positions, R S C), transposed . g (positions, K)
//
// The positions of each chunk of the batch are summed in order, then the chunks.
#include <algorithm>

#include "backends/cpu/conv_own.h"
#include "backends/cpu/gemm.h"

namespace slope::cpu {
namespace {

template <typename T>
class PatchWeightGradient : public Convolution<T>::Implementation {
 public:
  explicit PatchWeightGradient(const ConvShape& shape)
      : shape_(shape), chunks_(shape.batch, kWeightGradientChunks), grid_(output_grid(shape)) {
    // A task has one chunk of the batch and some rows of taps: one, or all of them where that is
    // little.
    const int64_t line = grid_.taps_width * shape.group_channels();
    rows_per_task_ = line * grid_.taps_height <= 32 ? grid_.taps_height : 1;
    task_rows_ = grid_.taps_height / rows_per_task_;
    depth_ = std::clamp<int64_t>(
        2 * kPanelBytes /
            (std::max<int64_t>(rows_per_task_ * line, 1) * static_cast<int64_t>(sizeof(T))),
        32, kGemmDepth);
    slot_bytes_ = round_up(
        static_cast<size_t>(depth_ * padded_row<T>(rows_per_task_ * line)) * sizeof(T), 64);
    partial_bytes_ = round_up(static_cast<size_t>(weights()) * sizeof(T), 64);
    slots_ = static_cast<int>(std::min<int64_t>(thread_slots(), std::max<int64_t>(tasks(), 1)));
    nanoseconds_ = product_nanoseconds<T>(static_cast<double>(weights()) *
                                          static_cast<double>(shape.batch * grid_.positions()));
  }

  ConvRoute route() const override { return ConvRoute::own; }
  size_t scratch_bytes() const override {
    return chunks_.count * partial_bytes_ + slots_ * slot_bytes_;
  }

  void run(const T* x, const T* g, const T*, T* dw, void* scratch, WeightVersion) override {
    char* patches = static_cast<char*>(scratch) + chunks_.count * partial_bytes_;
    parallel_for(
        tasks(), nanoseconds_,
        [&](int64_t task, int slot) {
          T* partial = reinterpret_cast<T*>(static_cast<char*>(scratch) +
                                            task / (task_rows_ * shape_.groups) * partial_bytes_);
          run_task(task, x, g, partial, reinterpret_cast<T*>(patches + slot * slot_bytes_));
        },
        slots_);
    add_up(static_cast<const char*>(scratch), dw);
  }

 private:
  int64_t weights() const { return shape_.filters * taps_channels(); }
  int64_t taps_channels() const {
    return shape_.kernel_height * shape_.kernel_width * shape_.group_channels();
  }
  int64_t tasks() const { return chunks_.count * task_rows_ * shape_.groups; }

  // partial: (groups, R S C / groups, K / groups) of one chunk
  void run_task(int64_t task, const T* x, const T* g, T* partial, T* patches) const {
    const int64_t chunk = task / (task_rows_ * shape_.groups),
                  group = task / task_rows_ % shape_.groups,
                  rows = task % task_rows_ * rows_per_task_;
    const int64_t channels = shape_.group_channels(), filters = shape_.group_filters();
    const int64_t line = grid_.taps_width * channels;
    const int64_t begin = chunks_.begin(chunk) * grid_.positions();
    const int64_t positions = chunks_.images(chunk) * grid_.positions();
    partial += (group * taps_channels() + rows * line) * filters;
    GemmShape s;
    s.m = rows_per_task_ * line, s.n = filters, s.ldb = shape_.filters;
    if (positions == 0) std::fill(partial, partial + s.m * s.n, T(0));
    for (int64_t i = 0; i < positions; i += depth_) {
      s.k = std::min(depth_, positions - i);
      s.accumulate = i > 0;
      const T* a = patches;
      if (grid_.pointwise()) {
        s.transpose_a = true;
        s.lda = shape_.channels;
        a = x + (begin + i) * shape_.channels + group * channels;
      } else if (tap_major(grid_, channels)) {
        gather_patches_tap_major(grid_, x, begin + i, s.k, group * channels, channels, rows,
                                 rows + rows_per_task_, patches);
      } else {
        s.transpose_a = true;
        s.lda = padded_row<T>(s.m);
        gather_patches_position_major(grid_, x, begin + i, s.k, group * channels, channels, rows,
                                      rows + rows_per_task_, s.lda, patches);
      }
      gemm_serial<T>(s, a, g + (begin + i) * shape_.filters + group * filters, nullptr, partial);
    }
  }

  // dw (K, R S C / groups) = the sum of the chunks' partials in order, transposed.
  void add_up(const char* partials, T* dw) const {
    constexpr int64_t block = 16;
    const int64_t filters = shape_.group_filters(), columns = taps_channels();
    const int64_t blocks = (columns + block - 1) / block;
    const double bytes = static_cast<double>((chunks_.count + 1) * weights()) * sizeof(T);
    parallel_for(shape_.groups * blocks, nanoseconds_for_bytes(bytes), [&](int64_t task) {
      const int64_t group = task / blocks, begin = task % blocks * block,
                    end = std::min(begin + block, columns);
      for (int64_t k_begin = 0; k_begin < filters; k_begin += block) {
        const int64_t k_end = std::min(k_begin + block, filters);
        for (int64_t j = begin; j < end; ++j) {
          T sum[block] = {};
          for (int64_t chunk = 0; chunk < chunks_.count; ++chunk) {
            const T* partial = reinterpret_cast<const T*>(partials + chunk * partial_bytes_) +
                               (group * columns + j) * filters;
            for (int64_t k = k_begin; k < k_end; ++k) sum[k - k_begin] += partial[k];
          }
          for (int64_t k = k_begin; k < k_end; ++k)
            dw[(group * filters + k) * columns + j] = sum[k - k_begin];
        }
      }
    });
  }

  const ConvShape shape_;
  const BatchChunks chunks_;
  const PatchGrid grid_;
  int64_t rows_per_task_ = 1, task_rows_ = 1;  // of taps
  int64_t depth_ = 0;                          // positions of one product
  size_t slot_bytes_ = 0, partial_bytes_ = 0;
  int slots_ = 1;
  double nanoseconds_ = 0;
};

}  // namespace

template <typename T>
std::unique_ptr<typename Convolution<T>::Implementation> make_own_weight_gradient(
    const ConvShape& shape) {
  return std::make_unique<PatchWeightGradient<T>>(shape);
}

template std::unique_ptr<Convolution<float>::Implementation> make_own_weight_gradient<float>(
    const ConvShape&);
template std::unique_ptr<Convolution<double>::Implementation> make_own_weight_gradient<double>(
    const ConvShape&);

}  // namespace slope::cpu
