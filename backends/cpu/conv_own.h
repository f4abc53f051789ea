// What the passes of the own route of convolution share: how patches are laid out for gemm.h.
#pragma once

#include <cstdint>
#include <memory>

#include "backends/cpu/conv_pass.h"
#include "backends/cpu/conv_patches.h"
#include "backends/cpu/threads.h"

namespace slope::cpu {

// Bytes of patches that are worked on at a time: they stay in the second-level cache, with the
// packed weights beside them.
inline constexpr int64_t kPanelBytes = 96 * 1024;

// A row of patches of this many values, padded so that rows begin at cache lines but not at the
// same place of a page.
template <typename T>
int64_t padded_row(int64_t values) {
  constexpr int64_t line = 64 / sizeof(T), page = 4096 / sizeof(T);
  const int64_t row = (values + line - 1) / line * line;
  return row % page == 0 ? row + line : row;
}

template <typename T>
double product_nanoseconds(double multiply_adds) {
  return nanoseconds_for_multiply_adds(multiply_adds * (sizeof(T) / sizeof(float)));
}

// Patches with so few values in a row are gathered along the positions instead.
inline bool tap_major(const PatchGrid& grid, int64_t channels) {
  return grid.taps_width * channels < 8;
}

// The patches of x that the output positions see.
inline PatchGrid output_grid(const ConvShape& s) {
  PatchGrid grid;
  grid.height = s.height, grid.width = s.width, grid.channels = s.channels;
  grid.positions_height = s.output_height(), grid.positions_width = s.output_width();
  grid.taps_height = s.kernel_height, grid.taps_width = s.kernel_width;
  grid.step_height = s.stride_height, grid.step_width = s.stride_width;
  grid.offset_height = -s.padding_height, grid.offset_width = -s.padding_width;
  grid.tap_height = s.dilation_height, grid.tap_width = s.dilation_width;
  return grid;
}

// Implementations for one pass each: conv_own_weights.cpp and conv_own_narrow.cpp.
template <typename T>
std::unique_ptr<typename Convolution<T>::Implementation> make_own_weight_gradient(
    const ConvShape& shape);
template <typename T>
std::unique_ptr<typename Convolution<T>::Implementation> make_narrow_data_gradient(
    const ConvShape& shape);

}  // namespace slope::cpu
