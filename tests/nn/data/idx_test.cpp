// IDX files: good ones, packed or not, and every kind of bad one.
#include "nn/data/idx.h"

#include <zlib.h>

#include <cmath>

#include "nn/data/normalization.h"
#include "tests/nn/message_of.h"
#include "tests/nn/scratch_folder.h"
#include "tests/paths.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

std::string big_endian(uint32_t n) {
  return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
          static_cast<char>(n)};
}

std::string idx(uint32_t magic, const std::vector<uint32_t>& dims, const std::string& values) {
  std::string bytes = big_endian(magic);
  for (uint32_t n : dims) bytes += big_endian(n);
  return bytes + values;
}

const std::string kValues = std::string("\x00\x01\x7f\x80\xff\x05\x06\x07\x08\x09\x0a\x0b", 12);
const std::string kImages = idx(0x803, {3, 2, 2}, kValues);
const std::string kLabels = idx(0x801, {3}, std::string("\x02\x00\x01", 3));

std::string packed(const std::string& bytes) {
  const ScratchFolder folder;
  const gzFile file = gzopen((folder / "a.gz").c_str(), "wb");
  REQUIRE(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())) ==
          static_cast<int>(bytes.size()));
  REQUIRE(gzclose(file) == Z_OK);
  return read_bytes(folder / "a.gz");
}

// The message of reading these two files, with FOLDER for the folder.
std::string refusal(const std::string& images, const std::string& labels) {
  const ScratchFolder folder;
  write_bytes(folder / "images", images);
  write_bytes(folder / "labels", labels);
  std::string text =
      message_of<DataError>([&] { read_idx(folder / "images", folder / "labels", 3, "made up"); });
  const std::string place = (folder / "").string();
  for (size_t at; (at = text.find(place)) != std::string::npos;) text.erase(at, place.size());
  return text;
}

}  // namespace

TEST_CASE("idx: plain and packed files give the same data set") {
  const ScratchFolder folder;
  write_bytes(folder / "images", kImages);
  write_bytes(folder / "labels", kLabels);
  write_bytes(folder / "images.gz", packed(kImages));
  write_bytes(folder / "labels.gz", packed(kLabels));
  for (const std::string end : {"", ".gz"}) {
    const Dataset data =
        read_idx(folder / ("images" + end), folder / ("labels" + end), 3, "digits");
    CHECK(data.name == "digits");
    CHECK(data.sample == Shape{2, 2, 1});
    CHECK(data.classes == 3);
    CHECK(data.size() == 3);
    CHECK(data.labels == std::vector<int32_t>{2, 0, 1});
    CHECK(std::string(data.pixels.begin(), data.pixels.end()) == kValues);
  }
}

TEST_CASE("idx: the digits of this repository") {
  const std::filesystem::path folder = test::source_dir() + "/data/mnist";
  const Dataset data = read_idx(folder / "t10k-images-idx3-ubyte.gz",
                                folder / "t10k-labels-idx1-ubyte.gz", 10, "mnist test");
  CHECK(data.sample == Shape{28, 28, 1});
  CHECK(data.size() == 10000);
  CHECK(std::vector<int32_t>(data.labels.begin(), data.labels.begin() + 5) ==
        std::vector<int32_t>{7, 2, 1, 0, 4});
}

TEST_CASE("idx: the training digits have the mean and standard deviation we say") {
  const std::filesystem::path folder = test::source_dir() + "/data/mnist";
  const Dataset data = read_idx(folder / "train-images-idx3-ubyte.gz",
                                folder / "train-labels-idx1-ubyte.gz", 10, "mnist train");
  REQUIRE(data.size() == 60000);
  uint64_t sum = 0, squares = 0;
  for (const uint64_t v : data.pixels) sum += v, squares += v * v;
  const auto n = static_cast<double>(data.pixels.size());
  const double mean = static_cast<double>(sum) / n;
  const double deviation = std::sqrt(static_cast<double>(squares) / n - mean * mean);
  CHECK(mean / 255 == doctest::Approx(kMnistPixels.mean[0]).epsilon(1e-7));
  CHECK(deviation / 255 == doctest::Approx(kMnistPixels.std[0]).epsilon(1e-7));
}

TEST_CASE("idx: bad files") {
  CHECK(refusal(kImages.substr(0, 15), kLabels) ==
        "images: truncated: 15 bytes, the header alone has 16.");
  CHECK(refusal("", kLabels) == "images: truncated: 0 bytes, the header alone has 16.");
  CHECK(refusal(kImages, "") == "labels: truncated: 0 bytes, the header alone has 8.");
  CHECK(refusal(kLabels + kImages, kLabels) ==
        "images: not an IDX file of images: magic number 2049 at offset 0, expected 2051.");
  CHECK(refusal(kImages, kImages) ==
        "labels: not an IDX file of labels: magic number 2051 at offset 0, expected 2049.");
  CHECK(refusal(kImages + "x", kLabels) ==
        "images: the header at offset 4 promises 12 bytes of data, the file has more.");
  CHECK(refusal(kImages.substr(0, 20), kLabels) ==
        "images: the header at offset 4 promises 12 bytes of data, the file has 4.");
  CHECK(refusal(idx(0x803, {0xffffffff, 0xffffffff, 0xffffffff}, kValues), kLabels) ==
        "images: absurd length 4294967295 of axis 0 at offset 4.");
  CHECK(refusal(idx(0x803, {60000, 60000, 28}, kValues), kLabels) ==
        "images: absurd length 60000 of axis 1 at offset 8.");
  CHECK(refusal(idx(0x803, {0, 28, 28}, ""), idx(0x801, {0}, "")) == "images: no images.");
  CHECK(refusal(idx(0x803, {3, 0, 28}, ""), kLabels) == "images: no images.");
  CHECK(refusal(kImages, idx(0x801, {2}, std::string("\x02\x00", 2))) ==
        "labels: 2 labels for the 3 images of images.");
  CHECK(refusal(kImages, idx(0x801, {3}, std::string("\x02\x03\x00", 3))) ==
        "labels: label 3 at offset 9 is not in 0..2.");
}

TEST_CASE("idx: no prefix of a file, plain or packed, is taken for the whole") {
  const std::string packed_images = packed(kImages);
  for (size_t size = 0; size < kImages.size(); ++size) {
    CAPTURE(size);
    CHECK(refusal(kImages.substr(0, size), kLabels).starts_with("images: "));
  }
  for (size_t size = 0; size < packed_images.size(); ++size) {
    CAPTURE(size);
    CHECK(refusal(packed_images.substr(0, size), kLabels).starts_with("images: "));
  }
}

TEST_CASE("idx: a damaged packed file is an error that says so") {
  const std::string whole = packed(kImages);
  // The last 8 bytes of a .gz are its checksum and length, the 10 before the data its header.
  std::string damaged = whole;
  damaged[whole.size() - 8] = static_cast<char>(damaged[whole.size() - 8] ^ 1);
  CHECK(contains(refusal(damaged, kLabels), "images: damaged after "));
  CHECK(contains(refusal(whole.substr(0, whole.size() - 4), kLabels), "truncated"));
  const ScratchFolder folder;
  write_bytes(folder / "labels", kLabels);
  int refused = 0;
  for (size_t at = 10; at < whole.size(); ++at) {
    CAPTURE(at);
    damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    write_bytes(folder / "images.gz", damaged);
    try {
      const Dataset data = read_idx(folder / "images.gz", folder / "labels", 3, "made up");
      CHECK(std::string(data.pixels.begin(), data.pixels.end()) == kValues);  // bits of no meaning
    } catch (const DataError&) {
      ++refused;
    }
  }
  CHECK(refused >= static_cast<int>(whole.size()) - 12);
}

TEST_CASE("idx: files that are missing, folders, and files that unpack to too much") {
  const ScratchFolder folder;
  CHECK(message_of<DataError>([&] {
          read_idx(folder / "missing.gz", folder / "x", 3, "");
        }).ends_with("missing.gz: cannot be opened: No such file or directory."));
  std::filesystem::create_directory(folder / "sub");
  write_bytes(folder / "labels", kLabels);
  CHECK(message_of<DataError>([&] { read_idx(folder / "sub", folder / "labels", 3, ""); }) ==
        (folder / "sub").string() + ": cannot be read: Is a directory.");
  // What the header does not promise is not even unpacked.
  write_bytes(folder / "bomb.gz", packed(kImages + std::string(5'000'000, 'x')));
  CHECK(contains(
      message_of<DataError>([&] { read_idx(folder / "bomb.gz", folder / "labels", 3, ""); }),
      "promises 12 bytes of data, the file has more."));
}
