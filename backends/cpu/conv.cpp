#include "backends/cpu/conv.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <type_traits>

#include "backends/cpu/conv_winograd.h"
#include "backends/cpu/threads.h"
#include "core/error.h"

namespace slope::cpu {
namespace {

// SLOPE_CONV: own, or unset.
bool onednn_wanted() {
  static const bool wanted = [] {
    const char* word = std::getenv("SLOPE_CONV");
    if (!word || !*word) return true;
    if (std::string(word) == "own") return false;
    throw ValueError(concat("SLOPE_CONV: unknown route of convolution: got \"", word,
                            "\", expected own. Unset it to let slope choose."));
  }();
  return wanted;
}

template <typename T>
std::unique_ptr<typename Convolution<T>::Implementation> make_convolution(const ConvShape& shape,
                                                                          ConvPass pass,
                                                                          ConvRoute route) {
  if constexpr (std::is_same_v<T, float>) {
    if (route == ConvRoute::automatic || route == ConvRoute::winograd) {
      const int64_t outputs = winograd_outputs(shape, pass, route == ConvRoute::winograd);
      if (outputs > 0) return make_winograd_convolution(shape, pass, outputs);
    }
    const bool choose = route == ConvRoute::automatic || route == ConvRoute::direct;
    if (route == ConvRoute::onednn || (choose && onednn_wanted() && onednn_pays(shape, pass))) {
      auto made = make_onednn_convolution(shape, pass);
      if (made) return made;
    }
  }
  if (route == ConvRoute::onednn) {
    throw ValueError(
        "conv2d: oneDNN cannot serve this call: it was not built in, or the dtype is float64, or "
        "the shape is empty. Use ConvRoute::automatic.");
  }
  if (route == ConvRoute::winograd) {
    throw ValueError(
        "conv2d: Winograd's route cannot serve this call: it takes float32, 3x3 with stride 1, the "
        "same padding below 3 on both axes, and multiples of 16 channels and filters. Use "
        "ConvRoute::automatic.");
  }
  return make_own_convolution<T>(shape, pass);
}

// The rows of g are summed in blocks, the blocks of a part into one row, the parts in order.
constexpr int64_t kBlockRows = 32, kMostParts = 64;

int64_t bias_gradient_parts(int64_t rows) {
  return std::clamp<int64_t>(rows / (4 * kBlockRows), 1, kMostParts);
}

}  // namespace

template <typename T>
Convolution<T>::Convolution(const ConvShape& shape, ConvPass pass, ConvRoute route)
    : implementation_(make_convolution<T>(shape, pass, route)) {}
template <typename T>
Convolution<T>::~Convolution() = default;
template <typename T>
Convolution<T>::Convolution(Convolution&&) noexcept = default;
template <typename T>
Convolution<T>& Convolution<T>::operator=(Convolution&&) noexcept = default;

template <typename T>
ConvRoute Convolution<T>::route() const {
  return implementation_->route();
}

template <typename T>
size_t Convolution<T>::scratch_bytes() const {
  return implementation_->scratch_bytes();
}

template <typename T>
void Convolution<T>::run(const T* first, const T* second, const T* bias, T* result, void* scratch,
                         WeightVersion weights) {
  implementation_->run(first, second, bias, result, scratch, weights);
}

size_t bias_gradient_scratch_bytes(int64_t rows, int64_t filters, size_t element_bytes) {
  return static_cast<size_t>(2 * bias_gradient_parts(rows) * filters) * element_bytes;
}

template <typename T>
void bias_gradient(int64_t rows, int64_t filters, const T* g, T* db, void* scratch) {
  const int64_t parts = bias_gradient_parts(rows);
  T* sums = static_cast<T*>(scratch);  // (parts, filters)
  T* blocks = sums + parts * filters;  // (parts, filters): the block being added up
  const double bytes = static_cast<double>(rows * filters) * sizeof(T);
  parallel_for(parts, nanoseconds_for_bytes(bytes), [&](int64_t part) {
    T* __restrict sum = sums + part * filters;
    T* __restrict block = blocks + part * filters;
    std::fill(sum, sum + filters, T(0));
    const int64_t end = rows * (part + 1) / parts;
    for (int64_t row = rows * part / parts; row < end; row += kBlockRows) {
      std::fill(block, block + filters, T(0));
      for (int64_t i = row; i < std::min(row + kBlockRows, end); ++i) {
        for (int64_t k = 0; k < filters; ++k) block[k] += g[i * filters + k];
      }
      for (int64_t k = 0; k < filters; ++k) sum[k] += block[k];
    }
  });
  for (int64_t k = 0; k < filters; ++k) {
    T total = 0;
    for (int64_t part = 0; part < parts; ++part) total += sums[part * filters + k];
    db[k] = total;
  }
}

template class Convolution<float>;
template class Convolution<double>;
template void bias_gradient<float>(int64_t, int64_t, const float*, float*, void*);
template void bias_gradient<double>(int64_t, int64_t, const double*, double*, void*);

}  // namespace slope::cpu
