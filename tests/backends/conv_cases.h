// What the tests of convolution share: shapes, values, one run of one pass, and the definition.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/conv.h"
#include "backends/cpu/threads.h"

namespace slope::cpu::test {

template <typename T>
std::vector<T> random_values(int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<T> uniform(-1, 1);
  std::vector<T> values(count);
  for (T& value : values) value = uniform(generator);
  return values;
}

class Threads {
 public:
  explicit Threads(int count) : before_(threads()) { set_threads(count); }
  ~Threads() { set_threads(before_); }

 private:
  int before_;
};

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

constexpr ConvPass kPasses[] = {ConvPass::forward, ConvPass::data_gradient,
                                ConvPass::weight_gradient};
inline const char* name_of(ConvPass pass) {
  return pass == ConvPass::forward         ? "forward"
         : pass == ConvPass::data_gradient ? "data gradient"
                                           : "weight gradient";
}

inline int64_t x_size(const ConvShape& s) { return s.batch * s.height * s.width * s.channels; }
inline int64_t y_size(const ConvShape& s) {
  return s.batch * s.output_height() * s.output_width() * s.filters;
}
inline int64_t w_size(const ConvShape& s) {
  return s.filters * s.kernel_height * s.kernel_width * s.group_channels();
}
inline int64_t result_size(const ConvShape& s, ConvPass pass) {
  return pass == ConvPass::forward         ? y_size(s)
         : pass == ConvPass::data_gradient ? x_size(s)
                                           : w_size(s);
}

inline std::string text(const ConvShape& s) {
  const auto pair = [](int64_t a, int64_t b) {
    return std::to_string(a) + "x" + std::to_string(b);
  };
  return "batch " + std::to_string(s.batch) + " image " + pair(s.height, s.width) + " channels " +
         std::to_string(s.channels) + " filters " + std::to_string(s.filters) + " kernel " +
         pair(s.kernel_height, s.kernel_width) + " stride " +
         pair(s.stride_height, s.stride_width) + " padding " +
         pair(s.padding_height, s.padding_width) + " dilation " +
         pair(s.dilation_height, s.dilation_width) + " groups " + std::to_string(s.groups);
}

template <typename T>
struct Data {
  std::vector<T> x, w, g, bias;
  explicit Data(const ConvShape& s)
      : x(random_values<T>(x_size(s), 1)),
        w(random_values<T>(w_size(s), 2)),
        g(random_values<T>(y_size(s), 3)),
        bias(random_values<T>(s.filters, 4)) {}
};

// One pass with fresh scratch memory full of NaN: nothing may be read that was not written.
template <typename T>
std::vector<T> run(Convolution<T>& convolution, const ConvShape& s, ConvPass pass,
                   const Data<T>& data, bool with_bias, WeightVersion version = {}) {
  const size_t bytes = (convolution.scratch_bytes() + 64) / 64 * 64;
  const std::unique_ptr<void, void (*)(void*)> scratch(std::aligned_alloc(64, bytes), std::free);
  std::memset(scratch.get(), 0xff, bytes);
  std::vector<T> result(result_size(s, pass), std::numeric_limits<T>::quiet_NaN());
  const T* first = pass == ConvPass::data_gradient ? data.g.data() : data.x.data();
  const T* second = pass == ConvPass::weight_gradient ? data.g.data() : data.w.data();
  const T* bias = pass == ConvPass::forward && with_bias ? data.bias.data() : nullptr;
  convolution.run(first, second, bias, result.data(), scratch.get(), version);
  return result;
}

template <typename T>
std::vector<T> run(const ConvShape& s, ConvPass pass, ConvRoute route, const Data<T>& data,
                   bool with_bias = true) {
  Convolution<T> convolution(s, pass, route);
  return run(convolution, s, pass, data, with_bias);
}

// The definition, in double, with the sum of magnitudes beside each sum.
struct Expected {
  std::vector<double> value, magnitude;
};

template <typename T>
Expected by_definition(const ConvShape& s, ConvPass pass, const Data<T>& data, bool with_bias) {
  Expected e;
  e.value.assign(result_size(s, pass), 0.0);
  e.magnitude.assign(result_size(s, pass), 0.0);
  const auto add = [&](int64_t index, double product) {
    e.value[index] += product;
    e.magnitude[index] += std::abs(product);
  };
  const int64_t oh = s.output_height(), ow = s.output_width(), cg = s.group_channels();
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t h = 0; h < oh; ++h)
      for (int64_t w = 0; w < ow; ++w)
        for (int64_t k = 0; k < s.filters; ++k) {
          const int64_t y = ((n * oh + h) * ow + w) * s.filters + k;
          if (pass == ConvPass::forward && with_bias) add(y, data.bias[k]);
          for (int64_t r = 0; r < s.kernel_height; ++r)
            for (int64_t q = 0; q < s.kernel_width; ++q) {
              const int64_t i = h * s.stride_height - s.padding_height + r * s.dilation_height;
              const int64_t j = w * s.stride_width - s.padding_width + q * s.dilation_width;
              if (i < 0 || i >= s.height || j < 0 || j >= s.width) continue;
              for (int64_t c = 0; c < cg; ++c) {
                const int64_t x = ((n * s.height + i) * s.width + j) * s.channels +
                                  k / s.group_filters() * cg + c;
                const int64_t v = ((k * s.kernel_height + r) * s.kernel_width + q) * cg + c;
                if (pass == ConvPass::forward) add(y, double(data.x[x]) * data.w[v]);
                if (pass == ConvPass::data_gradient) add(x, double(data.g[y]) * data.w[v]);
                if (pass == ConvPass::weight_gradient) add(v, double(data.x[x]) * data.g[y]);
              }
            }
        }
  return e;
}

// The largest error in units of epsilon times the sum of magnitudes.
template <typename T>
double worst_error(const std::vector<T>& found, const Expected& expected) {
  double worst = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const double error = std::abs(found[i] - expected.value[i]);
    const double unit = expected.magnitude[i] * std::numeric_limits<T>::epsilon();
    if (std::isnan(error) || (unit == 0 && error != 0))
      return std::numeric_limits<double>::infinity();
    if (unit > 0) worst = std::max(worst, error / unit);
  }
  return worst;
}

struct Sizes {
  int64_t batch, height, width, channels, filters, kernel_height, kernel_width;
  int64_t stride_height = 1, stride_width = 1, padding_height = 0, padding_width = 0;
  int64_t dilation_height = 1, dilation_width = 1, groups = 1;
};

inline ConvShape shape(const Sizes& z) {
  ConvShape s;
  s.batch = z.batch, s.height = z.height, s.width = z.width, s.channels = z.channels,
  s.filters = z.filters;
  s.kernel_height = z.kernel_height, s.kernel_width = z.kernel_width;
  s.stride_height = z.stride_height, s.stride_width = z.stride_width;
  s.padding_height = z.padding_height, s.padding_width = z.padding_width;
  s.dilation_height = z.dilation_height, s.dilation_width = z.dilation_width;
  s.groups = z.groups;
  return s;
}

}  // namespace slope::cpu::test
