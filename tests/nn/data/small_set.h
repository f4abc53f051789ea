// A data set whose samples show their number.
#pragma once

#include "nn/data/dataset.h"

namespace slope::test {

// n samples of 2x1 pixels; sample i has the label i % 3 and the pixels i and 255 - i.
inline nn::Dataset small_set(int64_t n) {
  nn::Dataset data{
      .name = "small", .sample = {2, 1}, .classes = 3, .pixels = {}, .points = {}, .labels = {}};
  for (int64_t i = 0; i < n; ++i) {
    data.pixels.push_back(static_cast<uint8_t>(i));
    data.pixels.push_back(static_cast<uint8_t>(255 - i));
    data.labels.push_back(static_cast<int32_t>(i % 3));
  }
  return data;
}

}  // namespace slope::test
