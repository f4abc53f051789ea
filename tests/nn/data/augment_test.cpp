// Augmentations one by one, on pictures small enough to see what must come out.
#include "nn/data/augment.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

// A grey picture with the values 0.01, 0.02, ...
std::vector<double> ramp(int64_t size) {
  std::vector<double> values(static_cast<size_t>(size));
  for (size_t i = 0; i < values.size(); ++i) values[i] = 0.01 * static_cast<double>(i + 1);
  return values;
}

std::vector<double> changed(const std::vector<double>& values, const Shape& shape,
                            const std::vector<Augmentation>& list, int64_t sample = 0,
                            bool pixels = true) {
  std::vector<double> copy = values;
  Augmenter(list).apply(copy.data(), shape, pixels, {.seed = 1, .epoch = 0, .sample = sample});
  return copy;
}

double mean(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

}  // namespace

TEST_CASE("augment: crops are windows of the padded picture, all equally often") {
  const std::vector<double> picture = ramp(12);  // 3 x 4
  for (const bool reflect : {false, true}) {
    std::vector<std::vector<double>> windows;
    for (int64_t dy = -1; dy <= 1; ++dy) {
      for (int64_t dx = -1; dx <= 1; ++dx) {
        std::vector<double> window;
        for (int64_t y = dy; y < dy + 3; ++y) {
          for (int64_t x = dx; x < dx + 4; ++x) {
            const int64_t v = y < 0 ? 1 : y > 2 ? 1 : y, u = x < 0 ? 1 : x > 3 ? 2 : x;
            const bool inside = y == v && x == u;
            window.push_back(inside || reflect ? picture[static_cast<size_t>(4 * v + u)] : 0);
          }
        }
        windows.push_back(window);
      }
    }
    std::vector<int> counts(9);
    for (int64_t i = 0; i < 900; ++i) {
      const auto out =
          changed(picture, {3, 4, 1}, {RandomCrop{.padding = 1, .reflect = reflect}}, i);
      const auto found = std::find(windows.begin(), windows.end(), out);
      REQUIRE(found != windows.end());
      ++counts[static_cast<size_t>(found - windows.begin())];
    }
    for (const int n : counts) CHECK(std::abs(n - 100) < 40);
  }
}

TEST_CASE("augment: flips") {
  const std::vector<double> picture = ramp(2 * 3 * 3);  // 2 x 3, colour
  const std::vector<double> mirrored = {0.07, 0.08, 0.09, 0.04, 0.05, 0.06, 0.01, 0.02, 0.03,
                                        0.16, 0.17, 0.18, 0.13, 0.14, 0.15, 0.10, 0.11, 0.12};
  int flipped = 0;
  for (int64_t i = 0; i < 400; ++i) {
    const auto out = changed(picture, {2, 3, 3}, {RandomFlip{}}, i);
    if (out == picture) continue;
    ++flipped;
    for (size_t j = 0; j < out.size(); ++j) CHECK(out[j] == doctest::Approx(mirrored[j]));
  }
  CHECK(std::abs(flipped - 200) < 50);
  CHECK(changed(picture, {2, 3, 3}, {RandomFlip{.p = 0}}) == picture);
  CHECK(changed(picture, {2, 3, 3}, {RandomFlip{.p = 1}}) != picture);
}

TEST_CASE("augment: rotation keeps the centre and lengths, and is right at known angles") {
  CHECK(changed(ramp(25), {5, 5, 1}, {RandomRotation{.degrees = 0}}) == ramp(25));
  // A spot beside the centre of 21 x 21 turns about it: found again by its centre of mass.
  std::vector<double> picture(441, 0);
  picture[10 * 21 + 16] = 1;  // six to the right
  double most = 0, least = 0;
  for (int64_t i = 0; i < 200; ++i) {
    const auto out = changed(picture, {21, 21, 1}, {RandomRotation{.degrees = 30}}, i);
    double mass = 0, x = 0, y = 0;
    for (size_t j = 0; j < 441; ++j) {
      mass += out[j];
      x += out[j] * (static_cast<double>(j % 21) - 10);
      y += out[j] * (static_cast<double>(j / 21) - 10);
    }
    x /= mass, y /= mass;
    CHECK(std::hypot(x, y) == doctest::Approx(6).epsilon(0.03));
    const double angle = std::atan2(y, x) * 180 / 3.14159265358979;
    most = std::max(most, angle), least = std::min(least, angle);
  }
  CHECK(most > 25);
  CHECK(most < 31.5);
  CHECK(least < -25);
  CHECK(least > -31.5);
}

TEST_CASE("augment: brightness and contrast") {
  const std::vector<double> picture = {0.1, 0.2, 0.3, 0.4, 0.5, 0.9};
  std::set<double> factors;
  for (int64_t i = 0; i < 50; ++i) {
    const auto out = changed(picture, {2, 3, 1}, {ColorJitter{.brightness = 0.5}}, i);
    const double f = out[0] / 0.1;
    factors.insert(f);
    CHECK(f >= 0.5);
    CHECK(f <= 1.5);
    for (size_t j = 0; j < 6; ++j) CHECK(out[j] == doctest::Approx(std::min(1.0, f * picture[j])));
  }
  CHECK(factors.size() == 50);
  CHECK(*factors.begin() < 0.6);
  CHECK(*factors.rbegin() > 1.4);
  for (int64_t i = 0; i < 20; ++i) {
    const auto out = changed(picture, {2, 3, 1}, {ColorJitter{.contrast = 0.15}}, i);
    CHECK(mean(out) == doctest::Approx(0.4));  // nothing is clipped
    const double f = (out[5] - out[0]) / 0.8;
    for (size_t j = 0; j < 6; ++j) CHECK(out[j] == doctest::Approx(0.4 + f * (picture[j] - 0.4)));
  }
}

TEST_CASE("augment: saturation and hue") {
  // The angle of a colour in sixths of the circle: red 0, green 2, blue 4.
  const auto hue = [](const double* p) {
    const double x = p[0] - (p[1] + p[2]) / 2, y = std::sqrt(3.0) / 2 * (p[1] - p[2]);
    const double high = std::max({p[0], p[1], p[2]}), low = std::min({p[0], p[1], p[2]});
    const double sixth = std::floor(std::fmod(std::atan2(y, x) / (std::acos(-1.0) / 3) + 6, 6));
    // Within a sixth the middle value moves linearly from the lowest to the highest or back.
    const double middle = (p[0] + p[1] + p[2] - high - low - low) / (high - low);
    return static_cast<int>(sixth) % 2 == 0 ? sixth + middle : sixth + 1 - middle;
  };
  const std::vector<double> picture = {0.2, 0.4, 0.6, 0.5, 0.5, 0.5, 1, 0, 0, 0.3, 0.9, 0.1};
  const auto grey = [](const double* p) { return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]; };
  for (int64_t i = 0; i < 20; ++i) {
    const auto out = changed(picture, {2, 2, 3}, {ColorJitter{.saturation = 0.2}}, i);
    CHECK(grey(&out[0]) == doctest::Approx(grey(&picture[0])));
    const double f = (out[2] - out[0]) / 0.4;
    CHECK(std::fabs(f - 1) <= 0.2);
    CHECK(out[1] == doctest::Approx(grey(&picture[0]) + f * (0.4 - grey(&picture[0]))));
    for (size_t j = 3; j < 6; ++j) CHECK(out[j] == doctest::Approx(0.5));  // grey stays grey
  }
  double most = 0;
  for (int64_t i = 0; i < 200; ++i) {
    const auto out = changed(picture, {2, 2, 3}, {ColorJitter{.hue = 0.5}}, i);
    for (size_t j = 0; j < 12; j += 3) {  // the lightest and the darkest value of a pixel stay
      CHECK(*std::max_element(&out[j], &out[j] + 3) ==
            doctest::Approx(*std::max_element(&picture[j], &picture[j] + 3)));
      CHECK(*std::min_element(&out[j], &out[j] + 3) ==
            doctest::Approx(*std::min_element(&picture[j], &picture[j] + 3)));
    }
    // All colours turn by the same angle.
    const double turn = hue(&out[0]) - hue(&picture[0]);
    for (const size_t j : {6, 9}) {
      const double other = hue(&out[j]) - hue(&picture[j]) - turn;
      CHECK(other - 6 * std::round(other / 6) == doctest::Approx(0));
    }
    most = std::max(most, std::fabs(turn - 6 * std::round(turn / 6)));
  }
  CHECK(most > 2.8);  // half the circle is 3
  const auto same = changed(picture, {2, 2, 3}, {ColorJitter{}});
  CHECK(same == picture);
}

TEST_CASE("augment: noise has its standard deviation, its probability, and stays in range") {
  const std::vector<double> grey(10'000, 0.5), dark(10'000, 0.0);
  const auto out = changed(grey, {100, 100, 1}, {RandomNoise{.sigma = 0.1, .p = 1}});
  double square = 0, fourth = 0;
  for (const double v : out) {
    square += (v - 0.5) * (v - 0.5);
    fourth += std::pow((v - 0.5) / 0.1, 4);
  }
  CHECK(mean(out) == doctest::Approx(0.5).epsilon(0.01));
  CHECK(std::sqrt(square / 10'000) == doctest::Approx(0.1).epsilon(0.03));
  CHECK(fourth / 10'000 == doctest::Approx(3).epsilon(0.1));  // Gaussian
  for (const double v : changed(dark, {100, 100, 1}, {RandomNoise{.sigma = 0.5, .p = 1}}))
    CHECK((v >= 0 && v <= 1));
  int noisy = 0;
  for (int64_t i = 0; i < 200; ++i)
    noisy += changed({0.5}, {1, 1, 1}, {RandomNoise{.sigma = 0.1, .p = 0.25}}, i)[0] != 0.5;
  CHECK(std::abs(noisy - 50) < 25);
  // Points have no range.
  const auto points = changed(dark, {10'000}, {RandomNoise{.sigma = 1, .p = 1}}, 0, false);
  CHECK(*std::min_element(points.begin(), points.end()) < -2);
}

TEST_CASE("augment: cutout is one black square, cut off at the border") {
  const std::vector<double> white(81, 1.0);
  size_t most = 0, least = 81;
  for (int64_t i = 0; i < 200; ++i) {
    const auto out = changed(white, {9, 9, 1}, {Cutout{.size = 4}}, i);
    size_t area = 0, top = 9, bottom = 0, left = 9, right = 0;
    for (size_t j = 0; j < 81; ++j) {
      if (out[j] == 1) continue;
      CHECK(out[j] == 0);
      ++area;
      top = std::min(top, j / 9), bottom = std::max(bottom, j / 9);
      left = std::min(left, j % 9), right = std::max(right, j % 9);
    }
    CHECK(area == (bottom - top + 1) * (right - left + 1));
    most = std::max(most, area), least = std::min(least, area);
  }
  CHECK(most == 16);
  CHECK(least == 4);
}

TEST_CASE("augment: a function of seed, epoch and sample; steps in the order given") {
  const std::vector<Augmentation> all = {RandomCrop{},     RandomFlip{},
                                         RandomRotation{}, ColorJitter{0.4, 0.4, 0.4, 0.2},
                                         RandomNoise{},    Cutout{}};
  const Augmenter augment(all);
  std::vector<float> picture(32 * 32 * 3);
  for (size_t i = 0; i < picture.size(); ++i) picture[i] = static_cast<float>(i * 37 % 256) / 255;
  const auto with = [&](AugmentKey key) {
    std::vector<float> copy = picture;
    augment.apply(copy.data(), {32, 32, 3}, true, key);
    return copy;
  };
  const auto first = with({7, 3, 1000});
  CHECK(with({7, 3, 1000}) == first);
  CHECK(with({8, 3, 1000}) != first);
  CHECK(with({7, 4, 1000}) != first);
  CHECK(with({7, 3, 1001}) != first);
  for (const float v : first) CHECK((v >= 0 && v <= 1));
  // All black first, then noise: half of it is lighter than black. The other way round it is not.
  const std::vector<double> white(64, 1.0);
  const auto lit =
                 changed(white, {8, 8, 1}, {Cutout{.size = 32}, RandomNoise{.sigma = 0.3, .p = 1}}),
             cut =
                 changed(white, {8, 8, 1}, {RandomNoise{.sigma = 0.3, .p = 1}, Cutout{.size = 32}});
  CHECK(std::count(cut.begin(), cut.end(), 0.0) == 64);
  CHECK(std::abs(std::count(lit.begin(), lit.end(), 0.0) - 32) < 20);
}

TEST_CASE("augment: options and samples that cannot be") {
  const auto refusal = [](const Augmentation& a) {
    return message_of<ValueError>([&] { Augmenter({a}); });
  };
  CHECK(refusal(RandomFlip{.p = 1.5}) == "augment: flip: p must be from 0 to 1, got 1.5.");
  CHECK(refusal(RandomCrop{.padding = -1}) ==
        "augment: crop: padding must be from 0 to 4096, got -1.");
  CHECK(contains(refusal(ColorJitter{.hue = 0.6}), "hue must be from 0 to 0.5, got 0.6"));
  CHECK(contains(refusal(RandomNoise{.sigma = std::nan("")}), "sigma must be"));
  CHECK(contains(refusal(RandomRotation{.degrees = 200}), "degrees"));
  CHECK(contains(refusal(Cutout{.size = -2}), "size"));
  const auto misfit = [](const Augmentation& a, const Shape& sample, bool pixels) {
    return message_of<ValueError>([&] { Augmenter({a}).check(sample, pixels); });
  };
  CHECK(contains(misfit(Cutout{}, {2}, false), "only noise fits samples of shape (2)"));
  CHECK(contains(misfit(RandomFlip{}, {8, 8, 2}, true), "1 or 3 channels"));
  CHECK(contains(misfit(ColorJitter{.hue = 0.1}, {8, 8, 1}, true), "grey pictures have no"));
  CHECK(contains(misfit(RandomCrop{.padding = 8, .reflect = true}, {8, 9, 3}, true), "mirrored"));
  CHECK_NOTHROW(Augmenter({RandomNoise{}}).check({2}, false));
}
