// The batches of an epoch: their order, their last one, and that nobody sees the thread behind
// them.
#include "nn/data/loader.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/nn/data/small_set.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

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

// 40 pictures of 40 x 40 x 3 pixels, labelled with their number: batches of 11 and more are
// prepared by a thread.
Dataset pictures() {
  Dataset data{.name = "noise",
               .sample = {40, 40, 3},
               .classes = 40,
               .pixels = {},
               .points = {},
               .labels = {}};
  uint32_t state = 1;
  for (int i = 0; i < 40 * 40 * 40 * 3; ++i)
    data.pixels.push_back(static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24));
  for (int i = 0; i < 40; ++i) data.labels.push_back(i);
  return data;
}

const std::vector<Augmentation> kEverything = {RandomCrop{},     RandomFlip{},
                                               RandomRotation{}, ColorJitter{0.2, 0.2, 0.2, 0.1},
                                               RandomNoise{},    Cutout{}};

// Every sample of an epoch by its number in the data.
template <typename T>
std::vector<std::vector<T>> epoch(const Dataset& data, int64_t batch, int64_t number, Dtype dtype) {
  Loader loader(data, batch, true, 3, dtype, default_device(), Augmenter(kEverything));
  std::vector<std::vector<T>> samples(static_cast<size_t>(data.size()));
  loader.start(number);
  size_t seen = 0;
  for (Batch b; loader.next(&b);) {
    const std::vector<T> x = b.x.to_vector<T>();
    auto at = x.begin();
    for (const int32_t label : b.labels.to_vector<int32_t>()) {
      samples[static_cast<size_t>(label)].assign(at, at + 4800);
      at += 4800;
      ++seen;
    }
  }
  CHECK(seen == samples.size());
  return samples;
}

}  // namespace

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
  Loader even(data, 4, false, 0, Dtype::f32, default_device(), {}, true);
  CHECK(even.batches() == 2);
  sizes.clear();
  CHECK(order_of(even, &sizes).size() == 8);
  CHECK(sizes == std::vector<int64_t>{4, 4});
}

TEST_CASE("Loader: batches that cannot be") {
  const Dataset data = small_set(10);
  CHECK(message_of<ValueError>([&] { Loader(data, 11, true, 0); }) ==
        "batch: 11 is more than the 10 samples of small. Use a smaller --batch.");
  CHECK(message_of<ValueError>([&] { Loader(data, 0, true, 0); }) ==
        "batch: must be at least 1, got 0.");
}

TEST_CASE("Loader: batches prepared ahead are the batches of make_batch") {
  const Dataset data = pictures();
  Loader loader(data, 13, false, 0);
  for (int64_t round = 0; round < 2; ++round) {
    loader.start(round, round);
    int64_t first = 13 * round;
    for (Batch b; loader.next(&b);) {
      std::vector<int64_t> numbers(static_cast<size_t>(b.labels.size()));
      std::iota(numbers.begin(), numbers.end(), first);
      const Batch wanted = make_batch(data, numbers);
      CHECK(b.x.to_vector<float>() == wanted.x.to_vector<float>());
      CHECK(b.labels.to_vector<int32_t>() == wanted.labels.to_vector<int32_t>());
      first += b.labels.size();
    }
    CHECK(first == 40);
  }
  // Left in the middle of an epoch, with a batch under way: begun anew, and thrown away.
  Batch b;
  loader.start(0);
  CHECK(loader.next(&b));
  loader.start(0, 1);
  CHECK(loader.next(&b));
  CHECK(b.labels.to_vector<int32_t>()[0] == 13);
}

TEST_CASE("Loader: augmented samples do not depend on the batch, but on epoch and sample") {
  const Dataset data = pictures();
  const auto first = epoch<float>(data, 20, 0, Dtype::f32);
  CHECK(epoch<float>(data, 20, 0, Dtype::f32) == first);
  CHECK(epoch<float>(data, 7, 0, Dtype::f32) == first);  // without a thread
  CHECK(epoch<float>(data, 40, 0, Dtype::f32) == first);
  const auto second = epoch<float>(data, 20, 1, Dtype::f32);
  for (size_t i = 0; i < 40; ++i) CHECK(second[i] != first[i]);
  const auto precise = epoch<double>(data, 20, 0, Dtype::f64);
  double largest = 0;
  for (size_t i = 0; i < 40; ++i) {
    for (size_t j = 0; j < 4800; ++j)
      largest = std::max(largest, std::fabs(precise[i][j] - static_cast<double>(first[i][j])));
  }
  CHECK(largest < 1e-5);
  CHECK(largest > 0);
}

TEST_CASE("Loader: augmentations that do not fit are refused at once") {
  const Dataset data = small_set(10);
  CHECK(contains(message_of<ValueError>([&] {
                   Loader(data, 5, true, 0, Dtype::f32, default_device(),
                          Augmenter({RandomFlip{}}));
                 }),
                 "augment: only noise fits samples of shape (2, 1)"));
}
