#include "nn/data/cifar.h"

#include <array>
#include <map>

#include "nn/data/tar.h"

namespace slope::nn {
namespace {

constexpr size_t kPlane = 32 * 32, kPixels = 3 * kPlane, kRecord = 1 + kPixels;
constexpr int64_t kClasses = 10;
constexpr int64_t kMostRecords = 100'000;  // of a file; the published ones have 10,000
constexpr std::array<const char*, 6> kFiles = {"data_batch_1.bin", "data_batch_2.bin",
                                               "data_batch_3.bin", "data_batch_4.bin",
                                               "data_batch_5.bin", "test_batch.bin"};
constexpr size_t kTrainFiles = 5;

struct Records {
  std::vector<uint8_t> pixels;  // (n, 32, 32, 3)
  std::vector<int32_t> labels;  // (n)
};

// Appends the records of one file.
void append(ByteStream& file, Records* to) {
  std::array<uint8_t, kRecord> record;
  for (int64_t n = 0;; ++n) {
    const uint64_t at = file.offset();
    const size_t got = file.read(record);
    if (got == 0 && n > 0) return;
    if (got < kRecord) {
      throw DataError(concat(file.name(), ": truncated: the record at offset ", at, " has ", got,
                             " of ", kRecord, " bytes."));
    }
    if (n == kMostRecords)
      throw DataError(concat(file.name(), ": more than ", kMostRecords, " records."));
    if (record[0] >= kClasses) {
      throw DataError(concat(file.name(), ": label ", int{record[0]}, " at offset ", at,
                             " is not in 0..", kClasses - 1, "."));
    }
    to->labels.push_back(record[0]);
    // Planes (3, 32, 32) become pixels (32, 32, 3).
    const size_t begin = to->pixels.size();
    to->pixels.resize(begin + kPixels);
    uint8_t* pixel = to->pixels.data() + begin;
    for (size_t i = 0; i < kPlane; ++i, pixel += 3) {
      for (size_t channel = 0; channel < 3; ++channel)
        pixel[channel] = record[1 + channel * kPlane + i];
    }
  }
}

// The six files as they come. Training batches are put in their order; only those that come too
// early are held back.
class Collector {
 public:
  explicit Collector(std::string place) : place_(std::move(place)) {}

  // Reads a file if it is one of the six.
  void take(const std::filesystem::path& path, ByteStream& file) {
    for (size_t i = 0; i < kFiles.size(); ++i) {
      if (path.filename() != kFiles[i]) continue;
      if (seen_[i])
        throw DataError(concat(place_, ": ", kFiles[i], " comes twice: in ", paths_[i], " and in ",
                               path.string(), "."));
      seen_[i] = true;
      paths_[i] = path.string();
      append(file, i == kTrainFiles ? &test_ : i == next_ ? &train_ : &early_[i]);
      if (i == next_ && next_++ == 0) {  // the others are as long: the memory is taken once
        train_.pixels.reserve(kTrainFiles * train_.pixels.size());
        train_.labels.reserve(kTrainFiles * train_.labels.size());
      }
      for (; early_.contains(next_); ++next_) {
        const Records& held = early_[next_];
        train_.pixels.insert(train_.pixels.end(), held.pixels.begin(), held.pixels.end());
        train_.labels.insert(train_.labels.end(), held.labels.begin(), held.labels.end());
        early_.erase(next_);
      }
    }
  }

  std::pair<Dataset, Dataset> finish() {
    for (size_t i = 0; i < kFiles.size(); ++i) {
      if (!seen_[i]) throw DataError(concat(place_, ": ", kFiles[i], " is missing."));
    }
    const auto dataset = [](const char* name, Records& records) {
      return Dataset{.name = name,
                     .sample = {32, 32, 3},
                     .classes = kClasses,
                     .pixels = std::move(records.pixels),
                     .points = {},
                     .labels = std::move(records.labels),
                     .class_names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog",
                                     "horse", "ship", "truck"}};
    };
    return {dataset("cifar10 train", train_), dataset("cifar10 test", test_)};
  }

 private:
  std::string place_;
  std::array<bool, kFiles.size()> seen_{};
  std::array<std::string, kFiles.size()> paths_;
  Records train_, test_;
  size_t next_ = 0;  // training batch
  std::map<size_t, Records> early_;
};

}  // namespace

std::pair<Dataset, Dataset> read_cifar10(const std::filesystem::path& place) {
  Collector collector(place.string());
  if (std::filesystem::is_directory(place)) {
    for (const char* name : kFiles) {
      const std::filesystem::path path = place / name;
      if (std::filesystem::exists(path)) collector.take(path, *open_file(path));
    }
  } else {
    const auto archive = open_file(place);
    TarReader tar(*archive);
    while (ByteStream* file = tar.next()) collector.take(tar.path(), *file);
  }
  return collector.finish();
}

}  // namespace slope::nn
