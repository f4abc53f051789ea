// Patches of an image as rows of a matrix: what turns a convolution into a matrix product
// ("im2col"), a few rows at a time. Serves the forward pass, where patches are of x, and the data
// gradient, where they are of g.
#pragma once

#include <cstdint>

namespace slope::cpu {

// Output position (u, v) sees, at tap (r, s), the source pixel (u * step_height + offset_height + r
// * tap_height, and the same in width), or zeros where that lies outside.
struct PatchGrid {
  int64_t height = 0, width = 0, channels = 0;        // source image: (H, W, C)
  int64_t positions_height = 0, positions_width = 0;  // (u, v)
  int64_t taps_height = 0, taps_width = 0;            // (r, s)
  int64_t step_height = 1, step_width = 1;
  int64_t offset_height = 0, offset_width = 0;
  int64_t tap_height = 1, tap_width = 1;  // at least 1

  // The patches are the pixels of the source themselves.
  bool pointwise() const {
    return taps_height == 1 && taps_width == 1 && step_height == 1 && step_width == 1 &&
           offset_height == 0 && offset_width == 0 && positions_height == height &&
           positions_width == width;
  }
  int64_t positions() const { return positions_height * positions_width; }
};

// Writes the patches of positions [begin, begin + count), counted through all images of source: (N,
// H, W, C), for the channels [channel, channel + channels) and the rows of taps [tap_begin,
// tap_end).
//   position_major: patches is (count, row) with (r, s, c) along a row, row >= taps * channels
//   tap_major:      patches is (taps * channels, count), rows in the order (r, s, c)
template <typename T>
void gather_patches_position_major(const PatchGrid& grid, const T* source, int64_t begin,
                                   int64_t count, int64_t channel, int64_t channels,
                                   int64_t tap_begin, int64_t tap_end, int64_t row, T* patches);
template <typename T>
void gather_patches_tap_major(const PatchGrid& grid, const T* source, int64_t begin, int64_t count,
                              int64_t channel, int64_t channels, int64_t tap_begin, int64_t tap_end,
                              T* patches);

// The other way round: adds patches (taps * channels, count) to the pixels of target (N, H, W, C)
// that they are patches of. Lines of positions are taken in order, and their taps in order.
template <typename T>
void add_to_patches_tap_major(const PatchGrid& grid, const T* patches, int64_t begin, int64_t count,
                              int64_t channel, int64_t channels, T* target);

}  // namespace slope::cpu
