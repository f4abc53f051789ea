// The transforms of Winograd's convolution, compiled once per instruction set.
//
// A transform multiplies a square of values by a matrix from both sides, Y = M X M^T, for each
// channel by itself; the channels lie in the lanes. What the squares of an image overlap in, where
// they stick out of it, and the products between the transforms are conv_winograd.cpp's affair.
#pragma once

#include <cstdint>

#include "backends/cpu/isa.h"

namespace slope::cpu {

// Reads values (channels) at each of the pixels `from`, writes value (i, j) of the transformed
// square, again (channels), to to + (i columns + j) distance.
using WinogradGather = void (*)(const float* const* from, int64_t channels, float* to,
                                int64_t distance);
// The other way round; bias (channels) or null is added to every result.
using WinogradScatter = void (*)(const float* from, int64_t distance, int64_t channels,
                                 const float* bias, float* const* to);

// F(m, 3) in both directions, n = m + 2; channels are a multiple of kWinogradChannels.
struct WinogradKernels {
  int outputs = 0;                            // m
  WinogradGather input = nullptr;             // pixels d (n, n) -> B^T d B
  WinogradGather weights = nullptr;           // taps w (3, 3) -> G w G^T (n, n)
  WinogradGather results = nullptr;           // pixels g (m, m) -> A g A^T (n, n)
  WinogradScatter output = nullptr;           // (n, n) -> A^T y A (m, m)
  WinogradScatter weight_gradient = nullptr;  // (n, n) -> G^T u G (3, 3)
};

inline constexpr int64_t kWinogradChannels = 16;  // whole vectors on every instruction set

// For m = 4 or 6, of isa().
const WinogradKernels& winograd_kernels(int outputs);

#define SLOPE_DECLARE_WINOGRAD_KERNELS(set)                \
  namespace set {                                          \
  extern const WinogradKernels kWinograd4x3, kWinograd6x3; \
  }
SLOPE_DECLARE_WINOGRAD_KERNELS(generic)
#ifdef SLOPE_X86
SLOPE_DECLARE_WINOGRAD_KERNELS(avx2)
SLOPE_DECLARE_WINOGRAD_KERNELS(avx512)
#endif
#undef SLOPE_DECLARE_WINOGRAD_KERNELS

}  // namespace slope::cpu
