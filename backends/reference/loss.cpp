// Softmax and cross-entropy, row by row; sums in double.
#include "core/ops/loss.h"

#include <cmath>
#include <limits>

#include "backends/reference/reference.h"

namespace slope::reference {
namespace {

// log(sum(exp(x))) of n values, without overflow.
template <typename T>
double log_sum_exp(const T* x, int64_t n) {
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < n; ++i) {
    // Written so that NaN wins.
    if (!(static_cast<double>(x[i]) <= largest)) largest = static_cast<double>(x[i]);
  }
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x[i]) - largest);
  return largest + std::log(sum);
}

// y_i = f(log of the softmax at i)
template <typename F>
std::unique_ptr<Prepared> prepare_rows(const Call& call, F f) {
  const int64_t classes = call.in(0).shape().back();
  const int64_t size = call.in(0).size();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      for (int64_t begin = 0; begin < size; begin += classes) {
        const T* x = data<T>(args[0]) + begin;
        const double total = log_sum_exp(x, classes);
        for (int64_t i = 0; i < classes; ++i) {
          data<T>(args[1])[begin + i] = static_cast<T>(f(static_cast<double>(x[i]) - total));
        }
      }
    });
  });
}

std::unique_ptr<Prepared> prepare_softmax(const Call& call) {
  return prepare_rows(call, [](double log_probability) { return std::exp(log_probability); });
}

std::unique_ptr<Prepared> prepare_log_softmax(const Call& call) {
  return prepare_rows(call, [](double log_probability) { return log_probability; });
}

// The probability that the target puts on class i of a row; NaN everywhere for a label that is no
// class.
double target_at(int64_t i, int32_t label, int64_t classes, double smoothing) {
  if (label < 0 || label >= classes) return std::numeric_limits<double>::quiet_NaN();
  return (i == label ? 1 - smoothing : 0.0) + smoothing / static_cast<double>(classes);
}

std::unique_ptr<Prepared> prepare_cross_entropy(const Call& call) {
  const auto options = call.as<CrossEntropyOptions>();
  const int64_t rows = call.in(0).dim(0), classes = call.in(0).dim(1);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      const int32_t* labels = data<int32_t>(args[1]);
      T* out = data<T>(args[2]);
      double sum = 0;
      for (int64_t r = 0; r < rows; ++r) {
        const T* x = data<T>(args[0]) + r * classes;
        const double total = log_sum_exp(x, classes);
        double loss = 0;
        for (int64_t i = 0; i < classes; ++i) {
          const double target = target_at(i, labels[r], classes, options.label_smoothing);
          // A class without weight adds nothing, not 0 * infinity.
          if (target != 0) loss += target * (total - static_cast<double>(x[i]));
        }
        if (options.reduction == Reduction::none) out[r] = static_cast<T>(loss);
        sum += loss;
      }
      if (options.reduction == Reduction::mean) sum /= static_cast<double>(rows);
      if (options.reduction != Reduction::none) *out = static_cast<T>(sum);
    });
  });
}

std::unique_ptr<Prepared> prepare_cross_entropy_gradient(const Call& call) {
  const auto options = call.as<CrossEntropyOptions>();
  const int64_t rows = call.in(1).dim(0), classes = call.in(1).dim(1);
  return dispatch_float(call.in(1).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      const T* g = data<T>(args[0]);
      const int32_t* labels = data<int32_t>(args[2]);
      for (int64_t r = 0; r < rows; ++r) {
        const T* x = data<T>(args[1]) + r * classes;
        T* dx = data<T>(args[3]) + r * classes;
        const double total = log_sum_exp(x, classes);
        double upstream = static_cast<double>(g[options.reduction == Reduction::none ? r : 0]);
        if (options.reduction == Reduction::mean) upstream /= static_cast<double>(rows);
        for (int64_t i = 0; i < classes; ++i) {
          const double target = target_at(i, labels[r], classes, options.label_smoothing);
          dx[i] = static_cast<T>((std::exp(static_cast<double>(x[i]) - total) - target) * upstream);
        }
      }
    });
  });
}

}  // namespace

void add_loss(KernelTable& table) {
  table["softmax"] = prepare_softmax;
  table["log_softmax"] = prepare_log_softmax;
  table["cross_entropy"] = prepare_cross_entropy;
  table["cross_entropy_gradient"] = prepare_cross_entropy_gradient;
}

}  // namespace slope::reference
