// Convolution of the cpu backend, both routes: against plain loops, and for what its bits may
// depend on.
#include "backends/cpu/conv.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/isa.h"
#include "backends/cpu/threads.h"
#include "tests/skip.h"

namespace {

using namespace slope::cpu;

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
const char* name_of(ConvPass pass) {
  return pass == ConvPass::forward         ? "forward"
         : pass == ConvPass::data_gradient ? "data gradient"
                                           : "weight gradient";
}

int64_t x_size(const ConvShape& s) { return s.batch * s.height * s.width * s.channels; }
int64_t y_size(const ConvShape& s) {
  return s.batch * s.output_height() * s.output_width() * s.filters;
}
int64_t w_size(const ConvShape& s) {
  return s.filters * s.kernel_height * s.kernel_width * s.group_channels();
}
int64_t result_size(const ConvShape& s, ConvPass pass) {
  return pass == ConvPass::forward         ? y_size(s)
         : pass == ConvPass::data_gradient ? x_size(s)
                                           : w_size(s);
}

std::string text(const ConvShape& s) {
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

ConvShape shape(const Sizes& z) {
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

const Sizes kSizes[] = {
    {4, 6, 6, 64, 64, 3, 3, 1, 1, 1, 1},        // the field of odenet-mnist
    {3, 13, 13, 16, 24, 4, 4, 2, 2, 1, 1},      // its stem
    {5, 28, 28, 1, 64, 3, 3},                   // its first layer
    {2, 9, 7, 3, 5, 3, 3, 1, 1, 1, 1},          // few channels
    {3, 8, 11, 5, 7, 3, 2, 2, 3, 1, 0},         // nothing square
    {2, 12, 10, 4, 6, 3, 3, 1, 1, 2, 2, 2, 2},  // dilation
    {2, 12, 13, 4, 6, 3, 3, 2, 2, 2, 3, 3,
     2},  // dilation and stride, with and without a common factor
    {2, 11, 11, 3, 4, 3, 3, 4, 2, 0, 1, 2, 4},    //
    {2, 7, 7, 8, 12, 3, 3, 1, 1, 1, 1, 1, 1, 4},  // groups
    {2, 8, 8, 6, 6, 3, 3, 2, 2, 1, 1, 1, 1, 6},   // one channel each
    {2, 9, 9, 8, 16, 1, 1},                       // pointwise
    {2, 9, 9, 8, 16, 1, 1, 2, 2},  // pointwise with a stride: pixels that nothing reads
    {2, 9, 9, 8, 6, 1, 1, 1, 1, 0, 0, 1, 1, 2},  // pointwise in groups
    {2, 5, 5, 4, 4, 2, 2, 1, 1, 3, 3},           // more padding than kernel
    {2, 10, 10, 4, 4, 2, 2, 3, 3},               // stride above kernel
    {2, 5, 6, 4, 4, 5, 6},                       // one output pixel
    {37, 1, 2, 1, 32, 1, 1},                     // spheres: one-dimensional
    {37, 1, 2, 33, 32, 1, 3, 1, 1, 0, 1},        //
    {9, 1, 50, 3, 8, 1, 5, 1, 2, 0, 2, 1, 3},    //
    {1, 20, 20, 100, 30, 3, 3, 1, 1, 1, 1},      // one image, odd numbers of channels
    {11, 4, 4, 20, 9, 3, 3, 1, 1, 1, 1},         // a batch that chunks do not divide
    {2, 3, 1, 4, 3, 3, 3, 3, 3, 1, 1},           // stride above the image
};

template <typename T>
void check_route(ConvRoute route) {
  for (const Sizes& sizes : kSizes) {
    const ConvShape s = shape(sizes);
    const Data<T> data(s);
    INFO(text(s));
    for (const ConvPass pass : kPasses) {
      INFO(name_of(pass));
      for (const bool with_bias : {true, false}) {
        if (with_bias && pass != ConvPass::forward) continue;
        const Expected expected = by_definition(s, pass, data, with_bias);
        CHECK(worst_error(run(s, pass, route, data, with_bias), expected) < 12);
      }
    }
  }
}

bool has_onednn() {
  try {
    Convolution<float>(shape(kSizes[0]), ConvPass::forward, ConvRoute::onednn);
    return true;
  } catch (...) {
    return false;
  }
}

TEST_CASE_TEMPLATE("own convolution equals its definition in all passes", T, float, double) {
  check_route<T>(ConvRoute::own);
}

TEST_CASE("oneDNN convolution equals its definition in all passes") {
  if (!has_onednn()) SKIP_TEST("slope was built without oneDNN");
  check_route<float>(ConvRoute::onednn);
}

TEST_CASE_TEMPLATE("the chosen route of convolution equals the definition", T, float, double) {
  check_route<T>(ConvRoute::automatic);
}

TEST_CASE("oneDNN cannot serve float64 and says so") {
  CHECK_THROWS_WITH_AS(Convolution<double>(shape(kSizes[0]), ConvPass::forward, ConvRoute::onednn),
                       doctest::Contains("conv2d: oneDNN cannot serve this call"), std::exception);
}

template <typename T>
void check_threads(ConvRoute route) {
  for (const size_t index : {0u, 1u, 2u, 6u, 8u, 20u}) {
    ConvShape s = shape(kSizes[index]);
    s.batch = 35;  // work enough for several threads
    const Data<T> data(s);
    INFO(text(s));
    for (const ConvPass pass : kPasses) {
      INFO(name_of(pass));
      std::vector<T> expected;
      for (const int count : {1, 2, 8}) {
        const Threads scope(count);
        const std::vector<T> found = run(s, pass, route, data);
        if (expected.empty()) expected = found;
        CHECK(same_bits(found, expected));
      }
      // A convolution prepared before the number of threads changed.
      Convolution<T> prepared(s, pass, route);
      const Threads scope(5);
      CHECK(same_bits(run(prepared, s, pass, data, true), expected));
    }
  }
}

TEST_CASE_TEMPLATE("own convolution gives the same bits on 1, 2 and 8 threads", T, float, double) {
  check_threads<T>(ConvRoute::own);
}

TEST_CASE("oneDNN convolution gives the same bits on 1, 2 and 8 threads") {
  if (!has_onednn()) SKIP_TEST("slope was built without oneDNN");
  check_threads<float>(ConvRoute::onednn);
}

template <typename T>
void check_batch(ConvRoute route) {
  for (const size_t index : {0u, 1u, 2u, 3u, 6u, 8u, 17u, 19u}) {
    ConvShape whole = shape(kSizes[index]);
    whole.batch = 40;
    const Data<T> data(whole);
    for (const ConvPass pass : {ConvPass::forward, ConvPass::data_gradient}) {
      const std::vector<T> all = run(whole, pass, route, data);
      const int64_t image = result_size(whole, pass) / whole.batch;
      for (const int64_t batch : {1, 3, 17}) {
        for (const int64_t begin : {0, 5, 23}) {
          ConvShape part = whole;
          part.batch = batch;
          INFO(text(whole), " ", name_of(pass), ": ", batch, " images from ", begin);
          Data<T> some = data;
          some.x.erase(some.x.begin(), some.x.begin() + begin * x_size(part) / batch);
          some.g.erase(some.g.begin(), some.g.begin() + begin * y_size(part) / batch);
          const std::vector<T> found = run(part, pass, route, some);
          CHECK(std::memcmp(found.data(), all.data() + begin * image, found.size() * sizeof(T)) ==
                0);
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("own convolution: a sample does not depend on its batch", T, float, double) {
  check_batch<T>(ConvRoute::own);
}

TEST_CASE("oneDNN convolution: a sample does not depend on its batch") {
  if (!has_onednn()) SKIP_TEST("slope was built without oneDNN");
  check_batch<float>(ConvRoute::onednn);
}

TEST_CASE("convolution keeps transformed weights while their version stays, and only then") {
  for (const ConvRoute route : {ConvRoute::own, ConvRoute::automatic}) {
    for (const ConvPass pass : {ConvPass::forward, ConvPass::data_gradient}) {
      const ConvShape s = shape(kSizes[0]);
      Data<float> data(s);
      Convolution<float> convolution(s, pass, route);
      const auto before = run(convolution, s, pass, data, false, {7, 1});
      CHECK(same_bits(run(convolution, s, pass, data, false, {7, 1}), before));
      for (float& w : data.w) w *= 2;
      auto doubled = before;
      for (float& value : doubled) value *= 2;
      // The caller promised that nothing changed: the kept copy is used.
      CHECK(same_bits(run(convolution, s, pass, data, false, {7, 1}), before));
      CHECK(same_bits(run(convolution, s, pass, data, false, {7, 2}), doubled));
      for (float& w : data.w) w /= 2;
      CHECK(same_bits(run(convolution, s, pass, data, false, {8, 2}), before));
      for (float& w : data.w) w *= 2;
      CHECK(same_bits(run(convolution, s, pass, data, false), doubled));  // nameless: never kept
      for (float& w : data.w) w /= 2;
      CHECK(same_bits(run(convolution, s, pass, data, false), before));
    }
  }
}

TEST_CASE_TEMPLATE("convolution of an empty batch", T, float, double) {
  ConvShape s = shape(kSizes[1]);
  s.batch = 0;
  const Data<T> data(s);
  CHECK(run(s, ConvPass::forward, ConvRoute::automatic, data).empty());
  CHECK(run(s, ConvPass::data_gradient, ConvRoute::automatic, data).empty());
  CHECK(run(s, ConvPass::weight_gradient, ConvRoute::automatic, data) ==
        std::vector<T>(w_size(s), T(0)));
}

TEST_CASE_TEMPLATE("bias gradient: sums, and the same bits on 1, 2 and 8 threads", T, float,
                   double) {
  for (const int64_t rows : {0, 1, 31, 129, 5000}) {
    for (const int64_t filters : {1, 10, 64}) {
      INFO("rows ", rows, " filters ", filters);
      const auto g = random_values<T>(rows * filters, 1);
      const size_t bytes = bias_gradient_scratch_bytes(rows, filters, sizeof(T));
      std::vector<T> scratch(bytes / sizeof(T)), expected;
      for (const int count : {1, 2, 8}) {
        const Threads scope(count);
        std::vector<T> found(filters, T(-1));
        bias_gradient(rows, filters, g.data(), found.data(), scratch.data());
        if (expected.empty()) expected = found;
        CHECK(same_bits(found, expected));
      }
      double worst = 0;
      for (int64_t k = 0; k < filters; ++k) {
        double sum = 0, magnitude = 0;
        for (int64_t i = 0; i < rows; ++i)
          sum += g[i * filters + k], magnitude += std::abs(g[i * filters + k]);
        worst = std::max(
            worst, std::abs(expected[k] - sum) - 8 * std::numeric_limits<T>::epsilon() * magnitude);
      }
      CHECK(worst <= 0);
    }
  }
}

}  // namespace
