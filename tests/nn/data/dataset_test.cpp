// Batches of data sets in memory, and parts of them.
#include "nn/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/nn/data/small_set.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

TEST_CASE("make_batch: pixels are divided by 255, points are not, in the dtype asked for") {
  const Dataset data = small_set(5);
  const std::vector<int64_t> indices = {4, 0, 4};
  const Batch batch = make_batch(data, indices, Dtype::f64);
  CHECK(batch.x.shape() == Shape{3, 2, 1});
  CHECK(batch.x.values() ==
        std::vector<double>{4.0 / 255, 251.0 / 255, 0, 1, 4.0 / 255, 251.0 / 255});
  CHECK(batch.labels.to_vector<int32_t>() == std::vector<int32_t>{1, 0, 1});
  CHECK(make_batch(data, indices).x.to_vector<float>()[0] == 4.0f / 255.0f);
  const Dataset points{.name = "points",
                       .sample = {2},
                       .classes = 2,
                       .pixels = {},
                       .points = {1.5f, -2, 3, 4},
                       .labels = {0, 1}};
  const Batch two = make_batch(points, std::vector<int64_t>{1, 0});
  CHECK(two.x.values() == std::vector<double>{3, 4, 1.5, -2});
  CHECK(two.labels.to_vector<int32_t>() == std::vector<int32_t>{1, 0});
}

TEST_CASE("Dataset: the first samples") {
  const Dataset part = small_set(5).first(2);
  CHECK(part.size() == 2);
  CHECK(part.pixels == std::vector<uint8_t>{0, 255, 1, 254});
  CHECK(part.sample == Shape{2, 1});
  CHECK(message_of<ValueError>([] { small_set(5).first(6); }) ==
        "data: small has 5 samples, asked for the first 6.");
  CHECK(message_of<ValueError>([] { small_set(5).first(0); }) ==
        "data: small has 5 samples, asked for the first 0.");
}

TEST_CASE("Dataset: samples held out") {
  Dataset rest = small_set(25);
  const Dataset out = rest.hold_out(0.3, 5);
  CHECK(out.size() == 7);  // floor
  CHECK(rest.size() == 18);
  CHECK(out.name == "small (held out)");
  CHECK(out.sample == rest.sample);
  std::vector<int> all;
  for (const Dataset& part : {rest, out}) {
    REQUIRE(part.pixels.size() == static_cast<size_t>(2 * part.size()));
    for (size_t i = 0; i < part.labels.size(); ++i) {
      const int number = part.pixels[2 * i];
      CHECK(part.pixels[2 * i + 1] == 255 - number);
      CHECK(part.labels[i] == number % 3);
      if (i > 0) CHECK(number > part.pixels[2 * i - 2]);  // the file's order
      all.push_back(number);
    }
  }
  std::sort(all.begin(), all.end());
  for (int i = 0; i < 25; ++i) CHECK(all[static_cast<size_t>(i)] == i);
  Dataset again = small_set(25), other = small_set(25);
  CHECK(again.hold_out(0.3, 5).pixels == out.pixels);
  CHECK(other.hold_out(0.3, 6).pixels != out.pixels);
  for (const double share : {0.0, 0.01, 1.0, -0.5, std::nan("")})
    CHECK_THROWS_AS(again.hold_out(share, 0), ValueError);
  CHECK(again.size() == 18);
}
