// Which convolutions Winograd's route takes, and with which tiles.
#include <algorithm>

#include "backends/cpu/conv_winograd.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/winograd_kernel.h"

namespace slope::cpu {
namespace {

bool serves(const ConvShape& s) {
  return s.kernel_height == kWinogradTaps && s.kernel_width == kWinogradTaps &&
         s.stride_height == 1 && s.stride_width == 1 && s.dilation_height == 1 &&
         s.dilation_width == 1 && s.groups == 1 && s.padding_height == s.padding_width &&
         s.padding_height < kWinogradTaps && s.output_height() > 0 && s.output_width() > 0 &&
         s.channels > 0 && s.filters > 0 && s.channels % kWinogradChannels == 0 &&
         s.filters % kWinogradChannels == 0;
}

// Where Winograd's route was faster than both direct ones: conv_bench, batch 128, two threads,
// AVX-512, one run on a machine with other work. Measured with 64 channels for sides 7, 8, 13, 14
// and 32, with 128 and 16 for 16, with 512, 32 and 16 for 4, with 64, 32 and 16 for 6; the other
// numbers of channels follow their neighbours. F(5 x 5, 3 x 3) was ahead in two weight gradients
// only (14 and 32) and is left out; F(6 x 6, 3 x 3) was within 10 % of F(4 x 4, 3 x 3) forward at
// side 16, and faster in the weight gradient at 32, where it errs twice as much.
struct Row {
  int64_t height, width;  // of the result
  int64_t outputs;        // m of the tiles
  // From so many channels and filters on:
  int64_t channels;              // forward and data gradient
  int64_t channels_for_weights;  // weight gradient
};
constexpr Row kTable[] = {
    {4, 4, 4, 32, 64},   {6, 6, 6, 32, 64},   {7, 7, 4, 32, 64},   {8, 8, 4, 32, 64},
    {13, 13, 4, 32, 64}, {14, 14, 4, 32, 64}, {16, 16, 4, 32, 64}, {32, 32, 4, 32, 64},
};
constexpr int64_t kOtherOutputs = 4;  // where the route is forced

}  // namespace

int64_t winograd_outputs(const ConvShape& s, ConvPass pass, bool forced) {
  if (!serves(s)) return 0;
  const int64_t channels = std::min(s.channels, s.filters);
  for (const Row& row : kTable) {
    if (row.height != s.output_height() || row.width != s.output_width()) continue;
    const int64_t least =
        pass == ConvPass::weight_gradient ? row.channels_for_weights : row.channels;
    return forced || channels >= least ? row.outputs : 0;
  }
  return forced ? kOtherOutputs : 0;
}

const WinogradKernels& winograd_kernels(int outputs) {
  const auto pick = [&](const WinogradKernels& four, const WinogradKernels& six) -> const auto& {
    return outputs == 4 ? four : six;
  };
  switch (isa()) {
#ifdef SLOPE_X86
    case Isa::avx512:
      return pick(avx512::kWinograd4x3, avx512::kWinograd6x3);
    case Isa::avx2:
      return pick(avx2::kWinograd4x3, avx2::kWinograd6x3);
#endif
    default:
      return pick(generic::kWinograd4x3, generic::kWinograd6x3);
  }
}

TileSquares::TileSquares(int64_t height, int64_t width, int64_t channels, int64_t size,
                         int64_t step, int64_t offset, const TileGrid& grid)
    : image_(height * width * channels), tiles_(grid.tiles()), pixels_(size * size) {
  offsets_.reserve(tiles_ * pixels_);
  for (int64_t tile = 0; tile < tiles_; ++tile) {
    const int64_t top = tile / grid.columns * step + offset;
    const int64_t left = tile % grid.columns * step + offset;
    for (int64_t h = top; h < top + size; ++h) {
      for (int64_t w = left; w < left + size; ++w) {
        const bool inside = h >= 0 && h < height && w >= 0 && w < width;
        offsets_.push_back(inside ? (h * width + w) * channels : kOutside);
      }
    }
  }
}

}  // namespace slope::cpu
