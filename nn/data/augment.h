// Augmentation: random changes of training pictures that keep their class. What happens to a sample
// is a function of (seed, epoch, sample number) alone: it depends neither on the batch it is in nor
// on threads.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "core/shape.h"

namespace slope::nn {

// Pads all sides and cuts a piece of the old size out of it, anywhere.
struct RandomCrop {
  int64_t padding = 4;   // pixels on each side; black, unless
  bool reflect = false;  // the picture is mirrored at its border (the border pixel not repeated)
};
// Left becomes right, with probability p.
struct RandomFlip {
  double p = 0.5;
};
// Turns about the centre by an angle uniform in [-degrees, degrees]; bilinear, black outside.
struct RandomRotation {
  double degrees = 10;
};
// Colours, in this order; results stay in [0, 1]. Brightness multiplies, contrast blends with the
// mean grey of the picture, saturation with each pixel's own grey (0.299 R + 0.587 G + 0.114 B),
// each by a factor uniform in [max(0, 1 - x), 1 + x]; hue turns the colour circle by a part of it
// uniform in
// [-hue, hue]. Grey pictures (C = 1) have brightness and contrast only.
struct ColorJitter {
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;
};
// Adds Normal(0, sigma) to every value of a sample, with probability p. Pixels stay in [0, 1].
struct RandomNoise {
  double sigma = 0.1, p = 0.5;
};
// Blackens a square whose centre is any pixel; it may stick out (DeVries and Taylor 2017).
struct Cutout {
  int64_t size = 8;  // pixels
  double p = 1;
};

using Augmentation =
    std::variant<RandomCrop, RandomFlip, RandomRotation, ColorJitter, RandomNoise, Cutout>;

// Which sample, and when: what its random numbers are made of.
struct AugmentKey {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t sample = 0;
};

// A list of augmentations, applied one after the other.
class Augmenter {
 public:
  Augmenter() = default;  // leaves samples as they are
  // Options out of their range: ValueError.
  explicit Augmenter(std::vector<Augmentation> list);

  bool empty() const { return list_.empty(); }
  // Refuses, with a ValueError, samples that these augmentations cannot change: pictures (pixels,
  // shape (H, W, C), C 1 or 3) take all of them, but saturation and hue want C = 3; points take
  // noise only.
  void check(const Shape& sample, bool pixels) const;

  // Changes one sample in place. values: (H, W, C) in [0, 1], or any shape of points. T: float,
  // double
  template <typename T>
  void apply(T* values, const Shape& sample, bool pixels, const AugmentKey& key) const;

 private:
  std::vector<Augmentation> list_;
};

}  // namespace slope::nn
