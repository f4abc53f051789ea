// Weight gradient of a 3x3 convolution by Winograd's F(m x m, 3 x 3): the transpose of the forward
// pass (conv_winograd.cpp) as a function of the weights. At each of the n x n points
//
//   dU (K, C) = W (tiles, K), transposed . V (tiles, C),   V = B^T x B,  W = A g A^T
//
// and dw = G^T dU G. The sum over the tiles of all images is taken before the last transform, block
// by block in order, so that no bit depends on the threads.
#include <algorithm>

#include "backends/cpu/conv_winograd.h"
#include "backends/cpu/gemm.h"
#include "backends/cpu/threads.h"
#include "backends/cpu/winograd_kernel.h"

namespace slope::cpu {
namespace {

class WinogradWeightGradient : public Convolution<float>::Implementation {
 public:
  WinogradWeightGradient(const ConvShape& s, int64_t outputs)
      : shape_(s),
        kernels_(winograd_kernels(static_cast<int>(outputs))),
        grid_(s.output_height(), s.output_width(), outputs),
        images_(s.height, s.width, s.channels, grid_.square(), outputs, -s.padding_height, grid_),
        gradients_(s.output_height(), s.output_width(), s.filters, outputs, outputs, 0, grid_),
        tiles_(s.batch * grid_.tiles()),
        block_(std::clamp<int64_t>(tiles_, 1, kGemmDepth)) {
    zeros_ = AlignedMemory(std::max(s.channels, s.filters) * sizeof(float));
    std::fill_n(zeros_.as<float>(), std::max(s.channels, s.filters), 0.0f);
  }

  ConvRoute route() const override { return ConvRoute::winograd; }
  size_t scratch_bytes() const override {
    return points() * (x_distance() + g_distance() + weights()) * sizeof(float);
  }

  void run(const float* x, const float* g, const float*, float* dw, void* scratch,
           WeightVersion) override {
    if (tiles_ == 0) {
      std::fill_n(dw, shape_.filters * shape_.channels * kWinogradTaps * kWinogradTaps, 0.0f);
      return;
    }
    float* values = static_cast<float*>(scratch);               // V: (points, tiles, C)
    float* cotangents = values + points() * x_distance();       // W: (points, tiles, K)
    float* transformed = cotangents + points() * g_distance();  // dU: (points, K, C)
    for (int64_t begin = 0; begin < tiles_; begin += block_) {
      const int64_t count = std::min(block_, tiles_ - begin);
      transform(begin, count, x, g, values, cotangents);
      add_products(begin > 0, count, values, cotangents, transformed);
    }
    const double bytes = static_cast<double>(points() * weights()) * sizeof(float);
    parallel_for(shape_.filters, nanoseconds_for_bytes(bytes), [&](int64_t k) {
      float* taps[kWinogradTaps * kWinogradTaps];
      for (int64_t tap = 0; tap < kWinogradTaps * kWinogradTaps; ++tap) {
        taps[tap] = dw + (k * kWinogradTaps * kWinogradTaps + tap) * shape_.channels;
      }
      kernels_.weight_gradient(transformed + k * shape_.channels, weights(), shape_.channels,
                               nullptr, taps);
    });
  }

 private:
  int64_t points() const { return images_.pixels(); }
  int64_t weights() const { return shape_.filters * shape_.channels; }  // at one point
  int64_t x_distance() const { return block_ * shape_.channels + kWinogradLine; }
  int64_t g_distance() const { return block_ * shape_.filters + kWinogradLine; }

  void transform(int64_t begin, int64_t count, const float* x, const float* g, float* values,
                 float* cotangents) const {
    const float* zeros = zeros_.as<float>();
    const double bytes =
        static_cast<double>(points() * count * (shape_.channels + shape_.filters)) * sizeof(float);
    parallel_for(count, nanoseconds_for_bytes(bytes), [&](int64_t tile) {
      const float* pixels[kMostSquarePixels];
      images_.find(x, begin + tile, zeros, pixels);
      kernels_.input(pixels, shape_.channels, values + tile * shape_.channels, x_distance());
      gradients_.find(g, begin + tile, zeros, pixels);
      kernels_.results(pixels, shape_.filters, cotangents + tile * shape_.filters, g_distance());
    });
  }

  void add_products(bool accumulate, int64_t count, const float* values, const float* cotangents,
                    float* transformed) const {
    GemmShape s;
    s.m = shape_.filters, s.n = shape_.channels, s.k = count;
    s.transpose_a = true;
    s.accumulate = accumulate;
    const double products = static_cast<double>(points() * count) * static_cast<double>(weights());
    parallel_for(points(), nanoseconds_for_multiply_adds(products), [&](int64_t point) {
      gemm_serial<float>(s, cotangents + point * g_distance(), values + point * x_distance(),
                         nullptr, transformed + point * weights());
    });
  }

  const ConvShape shape_;
  const WinogradKernels& kernels_;
  const TileGrid grid_;
  const TileSquares images_, gradients_;
  const int64_t tiles_, block_;  // of all images; transformed at a time
  AlignedMemory zeros_;
};

}  // namespace

std::unique_ptr<Convolution<float>::Implementation> make_winograd_weight_gradient(
    const ConvShape& shape, int64_t outputs) {
  return std::make_unique<WinogradWeightGradient>(shape, outputs);
}

}  // namespace slope::cpu
