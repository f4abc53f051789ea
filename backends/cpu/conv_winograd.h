// What the passes of Winograd's convolution share: which shapes it serves, and how an image is cut
// into tiles.
#pragma once

#include <cstdint>
#include <vector>

#include "backends/cpu/conv_pass.h"

namespace slope::cpu {

inline constexpr int64_t kWinogradTaps = 3;       // of the weights, each way
inline constexpr int64_t kMostSquarePixels = 64;  // that a tile sees
// Values between what lies beside each other at one point and at the next: a cache line, so that
// the points of a tile do not all want the same lines of the first-level cache.
inline constexpr int64_t kWinogradLine = 16;

// Result images of height x width pixels, cut into tiles of outputs x outputs; the last ones stick
// out.
struct TileGrid {
  int64_t outputs, rows, columns;
  TileGrid(int64_t height, int64_t width, int64_t outputs_of_tile)
      : outputs(outputs_of_tile),
        rows((height + outputs - 1) / outputs),
        columns((width + outputs - 1) / outputs) {}
  int64_t tiles() const { return rows * columns; }
  int64_t square() const {
    return outputs + kWinogradTaps - 1;
  }  // the pixels a tile sees, each way
};

// The squares of pixels that belong to the tiles, in images (height, width, channels). That of tile
// (u, v) begins at pixel (u step + offset, v step + offset) and has size x size pixels; it may
// stick out of the image.
class TileSquares {
 public:
  TileSquares(int64_t height, int64_t width, int64_t channels, int64_t size, int64_t step,
              int64_t offset, const TileGrid& grid);

  int64_t pixels() const { return pixels_; }

  // Points `pixels` at those of a tile, counted over all images, and at `outside` where there are
  // none.
  template <typename T>
  void find(T* images, int64_t tile, T* outside, T** pixels) const {
    T* image = images + tile / tiles_ * image_;
    const int64_t* offsets = offsets_.data() + tile % tiles_ * pixels_;
    for (int64_t i = 0; i < pixels_; ++i) {
      pixels[i] = offsets[i] == kOutside ? outside : image + offsets[i];
    }
  }

 private:
  static constexpr int64_t kOutside = -1;
  int64_t image_, tiles_, pixels_;  // values of an image; tiles of an image; pixels of a square
  std::vector<int64_t> offsets_;    // (tiles, pixels)
};

// The m of F(m x m, 3 x 3) for this pass: 0 where it cannot serve, or does not pay and is not
// forced. Looks at everything but the batch.
int64_t winograd_outputs(const ConvShape& shape, ConvPass pass, bool forced);

// Float32 only. outputs: what winograd_outputs gave.
std::unique_ptr<Convolution<float>::Implementation> make_winograd_convolution(
    const ConvShape& shape, ConvPass pass, int64_t outputs);
std::unique_ptr<Convolution<float>::Implementation> make_winograd_weight_gradient(
    const ConvShape& shape, int64_t outputs);

}  // namespace slope::cpu
