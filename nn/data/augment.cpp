#include "nn/data/augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/random.h"

namespace slope::nn {
namespace {

constexpr uint32_t kStream = 0xa09;
constexpr int kBlockBits = 24;  // random blocks of a sample: 2^24, of four words each

// The random numbers of one sample.
class Draws {
 public:
  explicit Draws(const AugmentKey& key)
      : key_(key), block_(static_cast<uint64_t>(key.sample) << kBlockBits) {}

  uint32_t word() {
    if (used_ == 4) {
      words_ = philox(key_.seed, kStream, static_cast<uint32_t>(key_.epoch), block_++);
      used_ = 0;
    }
    return words_[used_++];
  }
  double uniform() { return word() * 0x1p-32; }  // [0, 1)
  double between(double low, double high) { return low + (high - low) * uniform(); }
  int64_t below(int64_t n) { return static_cast<int64_t>(uniform() * static_cast<double>(n)); }
  bool chance(double p) { return uniform() < p; }

 private:
  AugmentKey key_;
  uint64_t block_;
  std::array<uint32_t, 4> words_{};
  size_t used_ = 4;
};

// A sample and room for a second one.
template <typename T>
struct Picture {
  T* values;
  std::vector<T>& copy;
  int64_t height, width, channels;  // points: 1, 1, n
  bool pixels;

  int64_t size() const { return height * width * channels; }
  const T* saved() {
    copy.assign(values, values + size());
    return copy.data();
  }
  bool inside(int64_t y, int64_t x) const { return y >= 0 && y < height && x >= 0 && x < width; }
};

template <typename T>
T clamped(T v) {
  return std::min(std::max(v, T(0)), T(1));
}

// i outside 0..n-1 mirrored back; at most one length away.
int64_t mirrored(int64_t i, int64_t n) { return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i; }

template <typename T>
void change(Picture<T>& p, const RandomCrop& o, Draws& draws) {
  const int64_t dy = draws.below(2 * o.padding + 1) - o.padding,
                dx = draws.below(2 * o.padding + 1) - o.padding;
  if (dy == 0 && dx == 0) return;
  const T* from = p.saved();
  T* to = p.values;
  for (int64_t y = 0; y < p.height; ++y) {
    for (int64_t x = 0; x < p.width; ++x, to += p.channels) {
      int64_t v = y + dy, u = x + dx;
      if (o.reflect) v = mirrored(v, p.height), u = mirrored(u, p.width);
      if (p.inside(v, u))
        std::copy_n(from + (v * p.width + u) * p.channels, p.channels, to);
      else
        std::fill_n(to, p.channels, T(0));
    }
  }
}

template <typename T>
void change(Picture<T>& p, const RandomFlip& o, Draws& draws) {
  if (!draws.chance(o.p)) return;
  for (int64_t y = 0; y < p.height; ++y) {
    T* row = p.values + y * p.width * p.channels;
    for (int64_t x = 0; x < p.width / 2; ++x) {
      std::swap_ranges(row + x * p.channels, row + (x + 1) * p.channels,
                       row + (p.width - 1 - x) * p.channels);
    }
  }
}

template <typename T>
void change(Picture<T>& p, const RandomRotation& o, Draws& draws) {
  const double angle = draws.between(-o.degrees, o.degrees) * std::numbers::pi / 180;
  const double cosine = std::cos(angle), sine = std::sin(angle);
  const double middle_y = 0.5 * static_cast<double>(p.height - 1),
               middle_x = 0.5 * static_cast<double>(p.width - 1);
  const T* from = p.saved();
  T* to = p.values;
  for (int64_t y = 0; y < p.height; ++y) {
    for (int64_t x = 0; x < p.width; ++x, to += p.channels) {
      // Where this pixel comes from: turned back.
      const double dy = static_cast<double>(y) - middle_y, dx = static_cast<double>(x) - middle_x;
      const double v = middle_y + cosine * dy - sine * dx, u = middle_x + sine * dy + cosine * dx;
      const auto v0 = static_cast<int64_t>(std::floor(v)), u0 = static_cast<int64_t>(std::floor(u));
      const double below = v - static_cast<double>(v0), right = u - static_cast<double>(u0);
      const double weights[4] = {(1 - below) * (1 - right), (1 - below) * right,
                                 below * (1 - right), below * right};
      std::fill_n(to, p.channels, T(0));
      for (int corner = 0; corner < 4; ++corner) {
        const int64_t cv = v0 + corner / 2, cu = u0 + corner % 2;
        if (!p.inside(cv, cu)) continue;
        const T* pixel = from + (cv * p.width + cu) * p.channels;
        for (int64_t c = 0; c < p.channels; ++c)
          to[c] += static_cast<T>(weights[corner]) * pixel[c];
      }
    }
  }
}

template <typename T>
T grey(const T* pixel, int64_t channels) {
  if (channels == 1) return pixel[0];
  return T(0.299) * pixel[0] + T(0.587) * pixel[1] + T(0.114) * pixel[2];
}

// Turns the colour of an RGB pixel by `turn` of the colour circle; its lightest and darkest values
// stay.
template <typename T>
void turn_hue(T* pixel, T turn) {
  const T high = std::max({pixel[0], pixel[1], pixel[2]}),
          low = std::min({pixel[0], pixel[1], pixel[2]}), range = high - low;
  if (range <= T(0)) return;
  T hue = high == pixel[0]   ? (pixel[1] - pixel[2]) / range
          : high == pixel[1] ? 2 + (pixel[2] - pixel[0]) / range
                             : 4 + (pixel[0] - pixel[1]) / range;  // in sixths of the circle
  hue += 6 * turn;
  // Each channel is high within one sixth of its own colour, low beyond two, linear between.
  for (int c = 0; c < 3; ++c) {
    T away = std::fabs(hue - T(2 * c));
    away -= 6 * std::floor(away / 6);
    away = std::min(away, 6 - away);
    pixel[c] = low + range * clamped(2 - away);
  }
}

template <typename T>
void change(Picture<T>& p, const ColorJitter& o, Draws& draws) {
  const auto factor = [&](double x) {
    return static_cast<T>(draws.between(std::max(0.0, 1 - x), 1 + x));
  };
  const int64_t count = p.height * p.width;
  if (o.brightness > 0) {
    const T f = factor(o.brightness);
    for (int64_t i = 0; i < p.size(); ++i) p.values[i] = clamped(f * p.values[i]);
  }
  if (o.contrast > 0) {
    const T f = factor(o.contrast);
    double sum = 0;
    for (int64_t i = 0; i < count; ++i)
      sum += static_cast<double>(grey(p.values + i * p.channels, p.channels));
    const T base = (1 - f) * static_cast<T>(sum / static_cast<double>(count));
    for (int64_t i = 0; i < p.size(); ++i) p.values[i] = clamped(base + f * p.values[i]);
  }
  if (p.channels == 1) return;
  if (o.saturation > 0) {
    const T f = factor(o.saturation);
    for (int64_t i = 0; i < count; ++i) {
      T* pixel = p.values + 3 * i;
      const T base = (1 - f) * grey(pixel, 3);
      for (int c = 0; c < 3; ++c) pixel[c] = clamped(base + f * pixel[c]);
    }
  }
  if (o.hue > 0) {
    const T turn = static_cast<T>(draws.between(-o.hue, o.hue));
    for (int64_t i = 0; i < count; ++i) turn_hue(p.values + 3 * i, turn);
  }
}

template <typename T>
void change(Picture<T>& p, const RandomNoise& o, Draws& draws) {
  if (!draws.chance(o.p)) return;
  // Box-Muller: two values from a radius and an angle.
  for (int64_t i = 0; i < p.size(); i += 2) {
    const float radius =
        std::sqrt(-2 * std::log(static_cast<float>((draws.word() >> 8) + 1) * 0x1p-24f));
    const float angle =
        static_cast<float>(draws.word()) * (2 * std::numbers::pi_v<float> * 0x1p-32f);
    const float pair[2] = {radius * std::cos(angle), radius * std::sin(angle)};
    for (int64_t k = 0; k < 2 && i + k < p.size(); ++k) {
      const T v = p.values[i + k] + static_cast<T>(o.sigma) * static_cast<T>(pair[k]);
      p.values[i + k] = p.pixels ? clamped(v) : v;
    }
  }
}

template <typename T>
void change(Picture<T>& p, const Cutout& o, Draws& draws) {
  if (!draws.chance(o.p)) return;
  const int64_t top = draws.below(p.height) - o.size / 2, left = draws.below(p.width) - o.size / 2;
  const int64_t begin = std::max<int64_t>(left, 0), end = std::min(left + o.size, p.width);
  for (int64_t y = std::max<int64_t>(top, 0); y < std::min(top + o.size, p.height); ++y) {
    if (begin < end)
      std::fill_n(p.values + (y * p.width + begin) * p.channels, (end - begin) * p.channels, T(0));
  }
}

void check_probability(const char* name, double p) {
  if (!(p >= 0 && p <= 1))
    throw ValueError(concat("augment: ", name, ": p must be from 0 to 1, got ", p, "."));
}

void check_range(const char* name, const char* option, double value, double most) {
  if (!(value >= 0 && value <= most)) {
    throw ValueError(
        concat("augment: ", name, ": ", option, " must be from 0 to ", most, ", got ", value, "."));
  }
}

void check_options(const RandomCrop& o) {
  check_range("crop", "padding", static_cast<double>(o.padding), 4096);
}
void check_options(const RandomFlip& o) { check_probability("flip", o.p); }
void check_options(const RandomRotation& o) { check_range("rotate", "degrees", o.degrees, 180); }
void check_options(const ColorJitter& o) {
  check_range("jitter", "brightness", o.brightness, 100);
  check_range("jitter", "contrast", o.contrast, 100);
  check_range("jitter", "saturation", o.saturation, 100);
  check_range("jitter", "hue", o.hue, 0.5);
}
void check_options(const RandomNoise& o) {
  check_range("noise", "sigma", o.sigma, 1000);
  check_probability("noise", o.p);
}
void check_options(const Cutout& o) {
  check_range("cutout", "size", static_cast<double>(o.size), 4096);
  check_probability("cutout", o.p);
}

}  // namespace

Augmenter::Augmenter(std::vector<Augmentation> list) : list_(std::move(list)) {
  for (const Augmentation& a : list_) std::visit([](const auto& o) { check_options(o); }, a);
}

void Augmenter::check(const Shape& sample, bool pixels) const {
  const bool picture = pixels && sample.rank() == 3 && (sample[2] == 1 || sample[2] == 3);
  for (const Augmentation& a : list_) {
    if (!picture && !std::holds_alternative<RandomNoise>(a)) {
      throw ValueError(concat("augment: only noise fits samples of shape ", sample,
                              ": the others change pictures (H, W, C) with 1 or 3 channels."));
    }
    if (const auto* crop = std::get_if<RandomCrop>(&a);
        crop && crop->reflect && crop->padding >= std::min(sample[0], sample[1])) {
      throw ValueError(concat("augment: crop: a padding of ", crop->padding,
                              " cannot be mirrored from pictures of ", sample, "."));
    }
    if (const auto* jitter = std::get_if<ColorJitter>(&a);
        jitter && sample[2] == 1 && (jitter->saturation > 0 || jitter->hue > 0)) {
      throw ValueError("augment: jitter: grey pictures have no saturation and no hue.");
    }
  }
}

template <typename T>
void Augmenter::apply(T* values, const Shape& sample, bool pixels, const AugmentKey& key) const {
  static thread_local std::vector<T> copy;
  const bool picture = sample.rank() == 3;
  Picture<T> p{.values = values,
               .copy = copy,
               .height = picture ? sample[0] : 1,
               .width = picture ? sample[1] : 1,
               .channels = picture ? sample[2] : sample.size(),
               .pixels = pixels};
  Draws draws(key);
  for (const Augmentation& a : list_) std::visit([&](const auto& o) { change(p, o, draws); }, a);
}

template void Augmenter::apply(float*, const Shape&, bool, const AugmentKey&) const;
template void Augmenter::apply(double*, const Shape&, bool, const AugmentKey&) const;

}  // namespace slope::nn
