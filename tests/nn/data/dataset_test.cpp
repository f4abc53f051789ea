// Batches of data sets in memory, the order of an epoch, and the concentric spheres.
#include "nn/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "nn/data/spheres.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

// n samples of 2x1 pixels; sample i has the label i % 3 and the pixels i and 255 - i.
Dataset small_set(int64_t n) {
  Dataset data{
      .name = "small", .sample = {2, 1}, .classes = 3, .pixels = {}, .points = {}, .labels = {}};
  for (int64_t i = 0; i < n; ++i) {
    data.pixels.push_back(static_cast<uint8_t>(i));
    data.pixels.push_back(static_cast<uint8_t>(255 - i));
    data.labels.push_back(static_cast<int32_t>(i % 3));
  }
  return data;
}

// The sample numbers of an epoch, batch after batch, read back from the pixels; sizes in `sizes`.
std::vector<int64_t> order_of(Loader& loader, std::vector<int64_t>* sizes = nullptr) {
  std::vector<int64_t> order;
  Batch batch;
  while (loader.next(&batch)) {
    if (sizes) sizes->push_back(batch.labels.size());
    const std::vector<double> x = batch.x.values(), labels = batch.labels.values();
    for (size_t i = 0; i < labels.size(); ++i) {
      order.push_back(std::lround(x[2 * i] * 255));
      CHECK(labels[i] == static_cast<double>(order.back() % 3));
    }
  }
  return order;
}

}  // namespace

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

TEST_CASE("Loader: the order is a function of seed and epoch alone") {
  const Dataset data = small_set(100);
  std::vector<int64_t> all(100);
  std::iota(all.begin(), all.end(), 0);
  Loader loader(data, 10, true, 7);
  CHECK(loader.batches() == 10);
  const std::vector<int64_t> first = order_of(loader);
  CHECK(first != all);
  std::vector<int64_t> sorted = first;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == all);  // every sample once
  loader.start(1);
  const std::vector<int64_t> second = order_of(loader);
  CHECK(second != first);
  loader.start(0);
  CHECK(order_of(loader) == first);

  Loader another(data, 33, true, 7);  // another batch size, straight to the second epoch
  another.start(1);
  CHECK(order_of(another) == second);
  Loader seed(data, 10, true, 8);
  CHECK(order_of(seed) != first);
  Loader plain(data, 10, false, 7);
  CHECK(order_of(plain) == all);
}

TEST_CASE("Loader: an epoch can be taken up in its middle") {
  const Dataset data = small_set(25);
  Loader loader(data, 4, true, 1);
  loader.start(3);
  const std::vector<int64_t> whole = order_of(loader);
  CHECK(loader.position() == 7);
  loader.start(3, 2);
  CHECK(loader.position() == 2);
  CHECK(order_of(loader) == std::vector<int64_t>(whole.begin() + 8, whole.end()));
  loader.start(3, 7);
  Batch batch;
  CHECK_FALSE(loader.next(&batch));
  CHECK_FALSE(batch.x.defined());
}

TEST_CASE("Loader: the last batch is what is left") {
  const Dataset data = small_set(10);
  Loader loader(data, 4, false, 0);
  CHECK(loader.batches() == 3);
  std::vector<int64_t> sizes;
  CHECK(order_of(loader, &sizes).size() == 10);
  CHECK(sizes == std::vector<int64_t>{4, 4, 2});
  Loader whole(data, 10, false, 0);
  CHECK(whole.batches() == 1);
}

TEST_CASE("Loader: batches that cannot be") {
  const Dataset data = small_set(10);
  CHECK(message_of<ValueError>([&] { Loader(data, 11, true, 0); }) ==
        "batch: 11 is more than the 10 samples of small. Use a smaller --batch.");
  CHECK(message_of<ValueError>([&] { Loader(data, 0, true, 0); }) ==
        "batch: must be at least 1, got 0.");
}

TEST_CASE("spheres: three shells, the middle one of class 1") {
  for (const int64_t dim : {1, 2, 5}) {
    CAPTURE(dim);
    const Dataset data = spheres({.dim = dim, .size = 2000, .seed = 4});
    REQUIRE(data.size() == 2000);
    CHECK(data.sample == Shape{dim});
    CHECK(data.classes == 2);
    REQUIRE(data.points.size() == static_cast<size_t>(2000 * dim));
    std::array<int64_t, 3> counts{};
    std::array<double, 3> mean_radius{};
    std::vector<double> center(static_cast<size_t>(dim));
    for (size_t i = 0; i < 2000; ++i) {
      double square = 0;
      for (size_t j = 0; j < center.size(); ++j) {
        const double x = data.points[i * center.size() + j];
        square += x * x;
        center[j] += x / 2000;
      }
      const double r = std::sqrt(square), slack = 1e-6;  // float32
      const int shell = r < 0.2 ? 0 : r < 0.35 ? 1 : 2;
      const double low = std::array{0.10, 0.25, 0.40}[static_cast<size_t>(shell)];
      CHECK(r >= low - slack);
      CHECK(r <= low + 0.05 + slack);
      CHECK(data.labels[i] == (shell == 1));
      ++counts[static_cast<size_t>(shell)];
      mean_radius[static_cast<size_t>(shell)] += r;
    }
    CHECK(counts == std::array<int64_t, 3>{500, 1000, 500});
    // E[U^(1/d)] = d / (d + 1): points lean to the outside in many dimensions.
    const double share = static_cast<double>(dim) / static_cast<double>(dim + 1);
    CHECK(mean_radius[1] / 1000 == doctest::Approx(0.25 + 0.05 * share).epsilon(0.005));
    for (double c : center) CHECK(std::abs(c) < 0.03);  // directions are all alike
  }
}

TEST_CASE("spheres: the same seed gives the same points, a test set others") {
  const Dataset data = spheres({.size = 40, .seed = 4});
  CHECK(spheres({.size = 40, .seed = 4}).points == data.points);
  CHECK(spheres({.size = 40, .seed = 5}).points != data.points);
  const Dataset test = spheres({.size = 40, .seed = 4, .test = true});
  CHECK(test.points != data.points);
  CHECK(test.name == "spheres,dim=2 test");
  CHECK(data.name == "spheres,dim=2 train");
  CHECK(message_of<ValueError>([] { spheres({.dim = 0}); }) ==
        "spheres: dim must be at least 1, got 0.");
  CHECK(message_of<ValueError>([] { spheres({.size = 10}); }) ==
        "spheres: the number of points must be a positive multiple of 4, got 10.");
}
