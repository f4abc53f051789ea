// The contact sheet of `slope info data --sheet`.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "apps/slope/augment_word.h"
#include "apps/slope/data_source.h"
#include "apps/slope/info_data.h"
#include "nn/data/image.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_easy_font.h>
#pragma GCC diagnostic pop

namespace slope::program {
namespace {

constexpr int64_t kColumns = 12, kTile = 72, kGap = 6, kLabel = 26;  // pixels
constexpr int64_t kTextScale = 2;

// Everything, strong enough to be seen.
constexpr const char* kAllRows =
    "crop,padding=6+crop,padding=6,fill=reflect+flip+rotate,degrees=25+jitter,brightness=0.6+"
    "jitter,contrast=0.8+jitter,saturation=1+jitter,hue=0.25+noise,sigma=0.1+cutout,size=12+"
    "crop,flip,jitter,brightness=0.2,contrast=0.2,noise,sigma=0.05,cutout";

// A white canvas with pictures and words.
class Canvas {
 public:
  Canvas(int64_t height, int64_t width)
      : image_{.height = height, .width = width, .channels = 3, .pixels = {}} {
    image_.pixels.assign(static_cast<size_t>(3 * height * width), 255);
  }

  void picture(int64_t top, int64_t left, const nn::Image& p) {
    for (int64_t y = 0; y < p.height; ++y) {
      for (int64_t x = 0; x < p.width; ++x) {
        for (int64_t c = 0; c < 3; ++c)
          at(top + y, left + x)[c] =
              p.pixels[static_cast<size_t>((y * p.width + x) * p.channels + c % p.channels)];
      }
    }
  }

  void text(int64_t top, int64_t left, const std::string& words) {
    struct Corner {
      float x, y, z;
      unsigned char color[4];
    };
    std::vector<Corner> corners(4096);
    std::string copy = words;
    const int count = stb_easy_font_print(0, 0, copy.data(), nullptr, corners.data(),
                                          static_cast<int>(corners.size() * sizeof(Corner)));
    // Letters are made of upright rectangles: corner 0 is their upper left, corner 2 their lower
    // right.
    for (int i = 0; i < count; ++i) {
      const Corner &a = corners[static_cast<size_t>(4 * i)],
                   &b = corners[static_cast<size_t>(4 * i + 2)];
      const auto scaled = [](float v) { return kTextScale * std::lround(v); };
      for (int64_t y = top + scaled(a.y); y < top + scaled(b.y); ++y) {
        for (int64_t x = left + scaled(a.x); x < left + scaled(b.x); ++x)
          std::fill_n(at(y, x), 3, uint8_t{40});
      }
    }
  }

  const nn::Image& image() const { return image_; }

 private:
  uint8_t* at(int64_t y, int64_t x) {
    static uint8_t outside[3];
    if (y < 0 || y >= image_.height || x < 0 || x >= image_.width) return outside;
    return image_.pixels.data() + 3 * (y * image_.width + x);
  }
  nn::Image image_;
};

// One sample after augmentation, enlarged in whole pixels where it is small.
nn::Image tile(const nn::Dataset& data, int64_t sample, const nn::Augmenter& augment,
               uint64_t seed) {
  std::vector<float> values;
  nn::gather(data, std::vector<int64_t>{sample}, &values);
  augment.apply(values.data(), data.sample, true, {.seed = seed, .epoch = 0, .sample = sample});
  nn::Image small{
      .height = data.sample[0], .width = data.sample[1], .channels = data.sample[2], .pixels = {}};
  for (const float v : values) small.pixels.push_back(static_cast<uint8_t>(std::lround(255 * v)));
  const int64_t longest = std::max(small.height, small.width);
  const int64_t scale = kTile / longest;
  if (scale < 1) {
    return nn::resized(small, std::max<int64_t>(small.height * kTile / longest, 1),
                       std::max<int64_t>(small.width * kTile / longest, 1));
  }
  nn::Image large{.height = scale * small.height,
                  .width = scale * small.width,
                  .channels = small.channels,
                  .pixels = {}};
  for (int64_t y = 0; y < large.height; ++y) {
    for (int64_t x = 0; x < large.width; ++x) {
      const auto from =
          small.pixels.begin() + ((y / scale) * small.width + x / scale) * small.channels;
      large.pixels.insert(large.pixels.end(), from, from + small.channels);
    }
  }
  return large;
}

}  // namespace

void write_sheet(const std::string& file, std::string data, const std::string& augment,
                 const Settings& settings) {
  if (data.empty()) data = find_data("cifar10", settings.data_dir).empty() ? "mnist" : "cifar10";
  if (!is_image_data(data))
    throw ValueError(concat("info: --sheet shows pictures, ", data, " are points."));
  if (std::filesystem::exists(file) && !settings.force)
    throw ValueError(concat("info: ", file, " exists. Overwrite it with --force."));
  const nn::Dataset set = load_data(data, settings.data_dir, settings.seed).train;

  std::vector<std::pair<std::string, nn::Augmenter>> rows{{set.name, nn::Augmenter()}};
  std::istringstream words(augment.empty() ? kAllRows : augment);
  for (std::string word; std::getline(words, word, '+');) {
    nn::Augmenter one(parse_augment(word));
    try {
      one.check(set.sample, true);
    } catch (const ValueError&) {
      if (!augment.empty()) throw;
      continue;  // grey pictures have no hue: the row is left out
    }
    rows.emplace_back(word, std::move(one));
  }
  const int64_t columns = std::min(kColumns, set.size()), row = kLabel + kTile + kGap;
  Canvas canvas(static_cast<int64_t>(rows.size()) * row + kGap, columns * (kTile + kGap) + kGap);
  for (size_t i = 0; i < rows.size(); ++i) {
    const int64_t top = kGap + static_cast<int64_t>(i) * row;
    canvas.text(top, kGap, rows[i].first);
    for (int64_t j = 0; j < columns; ++j) {
      canvas.picture(top + kLabel, kGap + j * (kTile + kGap),
                     tile(set, j, rows[i].second, settings.seed));
    }
  }
  nn::write_png(file, canvas.image());
}

}  // namespace slope::program
