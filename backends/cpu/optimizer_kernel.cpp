#include "backends/cpu/optimizer_kernel.h"

#include "core/ops/scalar.h"

// The arguments of a step are different tensors, so that its values can be taken in any order.
#define SLOPE_EACH_VALUE(i, n) _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i)

namespace slope::cpu::SLOPE_ISA {
namespace {

using math::mul_add;

template <bool nesterov, typename T>
void sgd_with_momentum(int64_t n, T* p, const T* g, T* velocity, T rate, T momentum, T decay) {
  SLOPE_EACH_VALUE(i, n) {
    const T gradient = mul_add(decay, p[i], g[i]);
    const T v = mul_add(momentum, velocity[i], gradient);
    velocity[i] = v;
    p[i] = mul_add(-rate, nesterov ? mul_add(momentum, v, gradient) : v, p[i]);
  }
}

template <typename T>
void sgd(int64_t n, T* p, const T* g, T* velocity, double rate_number, double momentum_number,
         double weight_decay, bool nesterov) {
  const T rate = static_cast<T>(rate_number), momentum = static_cast<T>(momentum_number);
  const T decay = static_cast<T>(weight_decay);
  if (!velocity) {
    SLOPE_EACH_VALUE(i, n) p[i] = mul_add(-rate, mul_add(decay, p[i], g[i]), p[i]);
  } else if (nesterov) {
    sgd_with_momentum<true>(n, p, g, velocity, rate, momentum, decay);
  } else {
    sgd_with_momentum<false>(n, p, g, velocity, rate, momentum, decay);
  }
}

template <typename T>
void adam(int64_t n, T* p, const T* g, T* m, T* v,
          const typename OptimizerKernels<T>::Adam& numbers) {
  const T beta1 = static_cast<T>(numbers.beta1), rest1 = static_cast<T>(1 - numbers.beta1);
  const T beta2 = static_cast<T>(numbers.beta2), rest2 = static_cast<T>(1 - numbers.beta2);
  const T epsilon = static_cast<T>(numbers.epsilon), penalty = static_cast<T>(numbers.penalty);
  const T keep = static_cast<T>(numbers.keep), size = static_cast<T>(numbers.size);
  const T spread = static_cast<T>(numbers.spread);
  SLOPE_EACH_VALUE(i, n) {
    const T gradient = mul_add(penalty, p[i], g[i]);
    const T mean = mul_add(beta1, m[i], rest1 * gradient);
    const T square = mul_add(beta2, v[i], rest2 * gradient * gradient);
    m[i] = mean;
    v[i] = square;
    p[i] = mul_add(-size, mean / mul_add(math::sqrt(square), spread, epsilon), keep * p[i]);
  }
}

template <typename T>
void rmsprop(int64_t n, T* p, const T* g, T* square_average, T* velocity, double rate_number,
             double momentum_number, double alpha_number, double epsilon_number,
             double weight_decay) {
  const T rate = static_cast<T>(rate_number), momentum = static_cast<T>(momentum_number);
  const T alpha = static_cast<T>(alpha_number), rest = static_cast<T>(1 - alpha_number);
  const T epsilon = static_cast<T>(epsilon_number), decay = static_cast<T>(weight_decay);
  const auto direction = [&](int64_t i) __attribute__((always_inline)) {
    const T gradient = mul_add(decay, p[i], g[i]);
    const T average = mul_add(alpha, square_average[i], rest * gradient * gradient);
    square_average[i] = average;
    return gradient / (math::sqrt(average) + epsilon);
  };
  if (!velocity) {
    SLOPE_EACH_VALUE(i, n) p[i] = mul_add(-rate, direction(i), p[i]);
    return;
  }
  SLOPE_EACH_VALUE(i, n) {
    const T v = mul_add(momentum, velocity[i], direction(i));
    velocity[i] = v;
    p[i] = mul_add(-rate, v, p[i]);
  }
}

template <typename T>
constexpr OptimizerKernels<T> all() {
  return {.sgd = sgd<T>, .adam = adam<T>, .rmsprop = rmsprop<T>};
}

}  // namespace

const OptimizerKernels<float> kOptimizerFloat = all<float>();
const OptimizerKernels<double> kOptimizerDouble = all<double>();

}  // namespace slope::cpu::SLOPE_ISA
