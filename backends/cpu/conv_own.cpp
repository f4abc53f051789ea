// Forward pass and data gradient of a convolution as matrix products over gemm.h, a panel of
// patches at a time: never the patches of a whole batch.
//
//   forward        y (positions, K)  = patches of x (positions, R S C) . w^T
//   data gradient  dx (positions, C) = patches of g (positions, R S K) . w regrouped by tap
//
// With a stride, the pixels of dx fall into stride_height x stride_width phases. Those of one phase
// are reached by the same taps, so each phase is a product of its own and no zeros are multiplied.
#include <algorithm>
#include <numeric>
#include <vector>

#include "backends/cpu/conv_own.h"
#include "backends/cpu/gemm.h"

namespace slope::cpu {
namespace {

// One product of patches with weights: all of a forward pass, or one phase of a data gradient.
struct PatchProduct {
  PatchGrid grid;
  int64_t result_height = 0, result_width = 0;
  // The pixels of the result that are computed: each `every`-th from `first` on.
  int64_t first_height = 0, first_width = 0, every_height = 1, every_width = 1;
  // Which r and s of the weights, in the order of the grid's taps.
  std::vector<int64_t> taps_height, taps_width;
  size_t packed_offset = 0;

  bool whole() const { return every_height == 1 && every_width == 1; }
};

template <typename T>
class PatchConvolution : public Convolution<T>::Implementation {
 public:
  PatchConvolution(const ConvShape& shape, ConvPass pass)
      : shape_(shape),
        forward_(pass == ConvPass::forward),
        inner_(forward_ ? shape.group_channels() : shape.group_filters()),
        outer_(forward_ ? shape.group_filters() : shape.group_channels()) {
    if (forward_) {
      add_forward();
    } else {
      add_phases();
    }
    plan_tasks();
  }

  ConvRoute route() const override { return ConvRoute::own; }
  size_t scratch_bytes() const override { return slots_ * slot_bytes_; }

  void run(const T* source, const T* weights, const T* bias, T* result, void* scratch,
           WeightVersion version) override {
    if (shape_.batch == 0) return;
    const KeptWeights::Place kept = kept_.find(version);
    char* packed = packed_.as<char>() + kept.copy * copy_bytes_;
    if (!kept.current) pack(weights, packed);
    parallel_for(
        static_cast<int64_t>(tasks_.size()), nanoseconds_,
        [&](int64_t task, int slot) {
          run_task(tasks_[task], source, packed, bias, result,
                   static_cast<char*>(scratch) + slot * slot_bytes_);
        },
        slots_);
  }

 private:
  struct Task {
    const PatchProduct* product;
    int64_t begin, count;  // positions
  };

  void add_forward() {
    PatchProduct p;
    p.grid = output_grid(shape_);
    p.result_height = p.grid.positions_height, p.result_width = p.grid.positions_width;
    products_.push_back(p);
  }

  // In one dimension: pixel h = phase + stride u of dx sees g at (h + padding - dilation r) /
  // stride, for the r where that is whole. Those r are `period` apart; from the largest to the
  // smallest, g moves by `tap` per step.
  struct PhaseTaps {
    std::vector<int64_t> taps;
    int64_t offset = 0, tap = 1;
    PhaseTaps(int64_t phase, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
      const int64_t period = stride / std::gcd(stride, dilation);
      tap = period * dilation / stride;
      for (int64_t r = kernel - 1; r >= 0; --r) {
        const int64_t distance = phase + padding - dilation * r;
        if (distance % stride != 0) continue;
        if (taps.empty()) offset = distance / stride;
        taps.push_back(r);
      }
    }
  };

  void add_phases() {
    const ConvShape& s = shape_;
    for (int64_t a = 0; a < std::min(s.stride_height, s.height); ++a) {
      const PhaseTaps rows(a, s.kernel_height, s.stride_height, s.padding_height,
                           s.dilation_height);
      for (int64_t b = 0; b < std::min(s.stride_width, s.width); ++b) {
        const PhaseTaps columns(b, s.kernel_width, s.stride_width, s.padding_width,
                                s.dilation_width);
        PatchProduct p;
        p.grid.height = s.output_height(), p.grid.width = s.output_width(),
        p.grid.channels = s.filters;
        p.grid.positions_height = (s.height - a + s.stride_height - 1) / s.stride_height;
        p.grid.positions_width = (s.width - b + s.stride_width - 1) / s.stride_width;
        p.grid.taps_height = static_cast<int64_t>(rows.taps.size());
        p.grid.taps_width = static_cast<int64_t>(columns.taps.size());
        p.grid.offset_height = rows.offset, p.grid.offset_width = columns.offset;
        p.grid.tap_height = rows.tap, p.grid.tap_width = columns.tap;
        p.result_height = s.height, p.result_width = s.width;
        p.first_height = a, p.first_width = b;
        p.every_height = s.stride_height, p.every_width = s.stride_width;
        p.taps_height = rows.taps, p.taps_width = columns.taps;
        products_.push_back(p);
      }
    }
  }

  int64_t depth(const PatchProduct& p) const {
    return p.grid.taps_height * p.grid.taps_width * inner_;
  }

  GemmShape gemm_shape(const PatchProduct& p) const {
    GemmShape g;
    g.n = outer_, g.k = depth(p);
    g.transpose_b = forward_;
    return g;
  }

  size_t packed_bytes(const PatchProduct& p) const {
    return round_up(packed_b_bytes<T>(gemm_shape(p)), 64);
  }

  void plan_tasks() {
    size_t packed = 0, regrouped = 0;
    double multiply_adds = 0;
    for (PatchProduct& p : products_) {
      p.packed_offset = packed;
      packed += packed_bytes(p) * shape_.groups;
      if (!forward_)
        regrouped = std::max(regrouped, static_cast<size_t>(depth(p) * outer_) * sizeof(T));
      const int64_t row = padded_row<T>(depth(p)), positions = shape_.batch * p.grid.positions();
      if (positions == 0) continue;
      // 42 rows are whole tiles on every instruction set.
      const int64_t row_bytes = std::max<int64_t>(row, 64) * static_cast<int64_t>(sizeof(T));
      const int64_t most = std::max<int64_t>(kPanelBytes / row_bytes / 42, 1) * 42;
      const int64_t panels = (positions + most - 1) / most;
      for (int64_t i = 0; i < panels; ++i) {
        const int64_t begin = positions * i / panels, end = positions * (i + 1) / panels;
        tasks_.push_back({&p, begin, end - begin});
        patch_bytes_ = std::max(patch_bytes_, static_cast<size_t>((end - begin) * row) * sizeof(T));
        if (!p.whole()) {
          slot_bytes_ =
              std::max(slot_bytes_, static_cast<size_t>((end - begin) * outer_) * sizeof(T));
        }
      }
      multiply_adds +=
          static_cast<double>(positions * depth(p)) * static_cast<double>(outer_ * shape_.groups);
    }
    patch_bytes_ = round_up(patch_bytes_, 64);
    slot_bytes_ = round_up(slot_bytes_, 64) + patch_bytes_;
    slots_ =
        static_cast<int>(std::min<int64_t>(thread_slots(), static_cast<int64_t>(tasks_.size())));
    nanoseconds_ = product_nanoseconds<T>(multiply_adds);
    copy_bytes_ = packed;
    packed_ = AlignedMemory(KeptWeights::kCopies * copy_bytes_);
    regrouped_ = AlignedMemory(regrouped);
  }

  // weights: (K, R, S, C / groups)
  void pack(const T* weights, char* packed) {
    const int64_t group_size = outer_ * shape_.kernel_height * shape_.kernel_width * inner_;
    for (const PatchProduct& p : products_) {
      for (int64_t group = 0; group < shape_.groups; ++group) {
        const T* matrix = weights + group * group_size;
        if (!forward_) matrix = regroup(p, matrix);
        pack_b(gemm_shape(p), matrix, packed + p.packed_offset + group * packed_bytes(p));
      }
    }
  }

  // (K, R, S, C) -> (r, s, K, C) for the taps of a phase: what a patch of g is multiplied with.
  const T* regroup(const PatchProduct& p, const T* weights) {
    const int64_t filters = inner_, channels = outer_;
    T* to = regrouped_.as<T>();
    for (const int64_t r : p.taps_height) {
      for (const int64_t s : p.taps_width) {
        for (int64_t k = 0; k < filters; ++k, to += channels) {
          const T* from =
              weights + ((k * shape_.kernel_height + r) * shape_.kernel_width + s) * channels;
          std::copy(from, from + channels, to);
        }
      }
    }
    return regrouped_.as<T>();
  }

  void run_task(const Task& task, const T* source, const char* all_packed, const T* bias, T* result,
                char* scratch) const {
    const PatchProduct& p = *task.product;
    const int64_t outer_all = outer_ * shape_.groups;
    T* patches = reinterpret_cast<T*>(scratch);
    T* panel = reinterpret_cast<T*>(scratch + patch_bytes_);
    for (int64_t group = 0; group < shape_.groups; ++group) {
      GemmShape g = gemm_shape(p);
      g.m = task.count;
      const T* a = patches;
      if (p.grid.pointwise()) {
        g.lda = p.grid.channels;
        a = source + task.begin * p.grid.channels + group * inner_;
      } else if (tap_major(p.grid, inner_)) {
        g.transpose_a = true;
        gather_patches_tap_major(p.grid, source, task.begin, task.count, group * inner_, inner_, 0,
                                 p.grid.taps_height, patches);
      } else {
        g.lda = padded_row<T>(g.k);
        gather_patches_position_major(p.grid, source, task.begin, task.count, group * inner_,
                                      inner_, 0, p.grid.taps_height, g.lda, patches);
      }
      const char* packed = all_packed + p.packed_offset + group * packed_bytes(p);
      const T* group_bias = bias ? bias + group * outer_ : nullptr;
      if (p.whole()) {
        g.ldc = outer_all;
        gemm_packed_serial(g, a, packed, group_bias,
                           result + task.begin * outer_all + group * outer_);
      } else {
        gemm_packed_serial(g, a, packed, group_bias, panel);
        scatter(p, task, panel, result + group * outer_);
      }
    }
  }

  // Puts the rows of a phase to their pixels.
  void scatter(const PatchProduct& p, const Task& task, const T* panel, T* result) const {
    const int64_t outer_all = outer_ * shape_.groups;
    int64_t image = task.begin / p.grid.positions(),
            u = task.begin % p.grid.positions() / p.grid.positions_width,
            v = task.begin % p.grid.positions_width;
    for (int64_t i = 0; i < task.count; ++i, panel += outer_) {
      const int64_t h = p.first_height + u * p.every_height, w = p.first_width + v * p.every_width;
      std::copy(panel, panel + outer_,
                result + ((image * p.result_height + h) * p.result_width + w) * outer_all);
      if (++v == p.grid.positions_width) {
        v = 0;
        if (++u == p.grid.positions_height) u = 0, ++image;
      }
    }
  }

  const ConvShape shape_;
  const bool forward_;
  const int64_t inner_, outer_;  // channels per group of the source and of the result
  std::vector<PatchProduct> products_;
  std::vector<Task> tasks_;
  size_t patch_bytes_ = 0, slot_bytes_ = 0, copy_bytes_ = 0;
  int slots_ = 1;
  double nanoseconds_ = 0;
  AlignedMemory packed_, regrouped_;
  KeptWeights kept_;
};

}  // namespace

template <typename T>
std::unique_ptr<typename Convolution<T>::Implementation> make_own_convolution(
    const ConvShape& shape, ConvPass pass) {
  // With fewer channels a vector of them would be mostly empty.
  constexpr int64_t narrow = 8;
  if (pass == ConvPass::weight_gradient) return make_own_weight_gradient<T>(shape);
  const bool one_tap = shape.kernel_height * shape.kernel_width == 1;
  if (pass == ConvPass::data_gradient && shape.group_channels() < narrow && !one_tap) {
    return make_narrow_data_gradient<T>(shape);
  }
  return std::make_unique<PatchConvolution<T>>(shape, pass);
}

template std::unique_ptr<Convolution<float>::Implementation> make_own_convolution<float>(
    const ConvShape&, ConvPass);
template std::unique_ptr<Convolution<double>::Implementation> make_own_convolution<double>(
    const ConvShape&, ConvPass);

}  // namespace slope::cpu
