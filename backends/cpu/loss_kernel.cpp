#include "backends/cpu/loss_kernel.h"

#include "core/ops/scalar.h"

namespace slope::cpu::SLOPE_ISA {
namespace {

// Sixteen running results, folded in order, for rows that are long enough. A row has one value at
// least. NaN wins a maximum.
constexpr int64_t kLanes = 16;

template <typename T>
T largest(int64_t n, const T* x) {
  T result = x[0];
  int64_t i = 0;
  if (n >= 2 * kLanes) {
    T lane[kLanes];
    for (int64_t l = 0; l < kLanes; ++l) lane[l] = x[l];
    for (i = kLanes; i + kLanes <= n; i += kLanes) {
      for (int64_t l = 0; l < kLanes; ++l) lane[l] = math::maximum(lane[l], x[i + l]);
    }
    for (int64_t l = 0; l < kLanes; ++l) result = math::maximum(result, lane[l]);
  }
  for (; i < n; ++i) result = math::maximum(result, x[i]);
  return result;
}

template <typename T>
double sum(int64_t n, const T* x) {
  double result = 0;
  int64_t i = 0;
  if (n >= 2 * kLanes) {
    T lane[kLanes];
    for (int64_t l = 0; l < kLanes; ++l) lane[l] = x[l];
    for (i = kLanes; i + kLanes <= n; i += kLanes) {
      for (int64_t l = 0; l < kLanes; ++l) lane[l] += x[i + l];
    }
    for (int64_t l = 0; l < kLanes; ++l) result += static_cast<double>(lane[l]);
  }
  for (; i < n; ++i) result += static_cast<double>(x[i]);
  return result;
}

// e = exp(x - top); returns its sum
template <typename T>
double exponentials(int64_t n, const T* x, T top, T* e) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) e[i] = math::exp(x[i] - top);
  return sum(n, e);
}

// The sum of exp(x - top), block by block, with nothing kept.
template <typename T>
double sum_of_exponentials(int64_t n, const T* x, T top) {
  constexpr int64_t block = 256;
  T e[block];
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += block) {
    total += exponentials(n - begin < block ? n - begin : block, x + begin, top, e);
  }
  return total;
}

template <typename T>
void softmax(int64_t rows, int64_t classes, const T* x, T* y) {
  for (int64_t r = 0; r < rows; ++r, x += classes, y += classes) {
    const double total = exponentials(classes, x, largest(classes, x), y);
    const T scale = static_cast<T>(1 / total);
#pragma GCC ivdep
    for (int64_t i = 0; i < classes; ++i) y[i] *= scale;
  }
}

template <typename T>
void log_softmax(int64_t rows, int64_t classes, const T* x, T* y) {
  for (int64_t r = 0; r < rows; ++r, x += classes, y += classes) {
    const T top = largest(classes, x);
    const T log_total = static_cast<T>(math::log(sum_of_exponentials(classes, x, top)));
#pragma GCC ivdep
    for (int64_t i = 0; i < classes; ++i) y[i] = (x[i] - top) - log_total;
  }
}

bool is_class(int32_t label, int64_t classes) { return label >= 0 && label < classes; }

// With u = x - max(x) and the target (1 - s) on the label and s / classes on every class:
// loss = log(sum(exp(u))) - (1 - s) u[label] - s mean(u)
template <typename T>
void cross_entropy(int64_t rows, int64_t classes, const T* x, const int32_t* labels,
                   double smoothing, double* losses) {
  for (int64_t r = 0; r < rows; ++r, x += classes) {
    if (!is_class(labels[r], classes)) {
      losses[r] = __builtin_nan("");
      continue;
    }
    const T top = largest(classes, x);
    const double at_label = static_cast<double>(x[labels[r]]) - static_cast<double>(top);
    double loss = math::log(sum_of_exponentials(classes, x, top)) - (1 - smoothing) * at_label;
    if (smoothing != 0) {
      const double mean = sum(classes, x) / static_cast<double>(classes);
      loss -= smoothing * (mean - static_cast<double>(top));
    }
    losses[r] = loss;
  }
}

template <typename T>
void cross_entropy_gradient(int64_t rows, int64_t classes, const T* g, int64_t g_stride,
                            double share, const T* x, const int32_t* labels, double smoothing,
                            T* dx) {
  for (int64_t r = 0; r < rows; ++r, x += classes, dx += classes) {
    if (!is_class(labels[r], classes)) {
      for (int64_t i = 0; i < classes; ++i) dx[i] = static_cast<T>(__builtin_nan(""));
      continue;
    }
    const double upstream = static_cast<double>(g[r * g_stride]) * share;
    const T inverse = static_cast<T>(1 / exponentials(classes, x, largest(classes, x), dx));
    const T everywhere = static_cast<T>(smoothing / static_cast<double>(classes));
    const T factor = static_cast<T>(upstream);
    const T at_label = dx[labels[r]] * inverse - static_cast<T>(1 - smoothing);
#pragma GCC ivdep
    for (int64_t i = 0; i < classes; ++i) dx[i] = (dx[i] * inverse - everywhere) * factor;
    dx[labels[r]] = (at_label - everywhere) * factor;
  }
}

template <typename T>
constexpr LossKernels<T> all() {
  return {.softmax = softmax<T>,
          .log_softmax = log_softmax<T>,
          .cross_entropy = cross_entropy<T>,
          .cross_entropy_gradient = cross_entropy_gradient<T>};
}

}  // namespace

const LossKernels<float> kLossFloat = all<float>();
const LossKernels<double> kLossDouble = all<double>();

}  // namespace slope::cpu::SLOPE_ISA
