// CIFAR-10: the same pictures from a folder and from every kind of archive; every kind of bad file.
#include "nn/data/cifar.h"

#include <algorithm>

#include "tests/nn/data/archives.h"
#include "tests/nn/message_of.h"
#include "tests/nn/scratch_folder.h"
#include "tests/paths.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

// A record whose pixel (row, column) is (row, column, label) in the three channels.
std::string record(int label) {
  std::string bytes(1, static_cast<char>(label));
  for (int channel = 0; channel < 3; ++channel) {
    for (int i = 0; i < 1024; ++i)
      bytes += static_cast<char>(channel == 0 ? i / 32 : channel == 1 ? i % 32 : label);
  }
  return bytes;
}

struct File {
  std::string name, bytes;
};
std::vector<File> six_files() {
  std::vector<File> files;
  for (int i = 1; i <= 5; ++i)
    files.push_back({"data_batch_" + std::to_string(i) + ".bin", record(i) + record(i - 1)});
  files.push_back({"test_batch.bin", record(9) + record(8) + record(7)});
  return files;
}

std::string archive_of(const std::vector<File>& files) {
  std::string bytes = tar_entry("cifar/", "", '5') + tar_entry("cifar/batches.meta.txt", "names");
  for (const File& f : files) bytes += tar_entry("cifar/" + f.name, f.bytes);
  return bytes + kTarEnd;
}

std::string refusal(const std::vector<File>& files) {
  const ScratchFolder folder;
  write_bytes(folder / "c.tar", archive_of(files));
  std::string text = message_of<DataError>([&] { read_cifar10(folder / "c.tar"); });
  const std::string place = (folder / "").string();
  for (size_t at; (at = text.find(place)) != std::string::npos;) text.erase(at, place.size());
  return text;
}

void check_six(const std::pair<Dataset, Dataset>& sets) {
  const auto& [train, test] = sets;
  CHECK(train.labels == std::vector<int32_t>{1, 0, 2, 1, 3, 2, 4, 3, 5, 4});
  CHECK(test.labels == std::vector<int32_t>{9, 8, 7});
  CHECK(train.sample == Shape{32, 32, 3});
  REQUIRE(train.pixels.size() == 10 * 3072);
  // Sample 4 (label 3), row 7, column 30.
  const auto at = static_cast<std::ptrdiff_t>(((4 * 32 + 7) * 32 + 30) * 3);
  CHECK(std::vector<int>(train.pixels.begin() + at, train.pixels.begin() + at + 3) ==
        std::vector<int>{7, 30, 3});
  CHECK(train.name == "cifar10 train");
  CHECK(test.name == "cifar10 test");
  CHECK(train.class_names[6] == "frog");
}

}  // namespace

TEST_CASE("cifar10: a folder, .tar, .tar.gz and .tar.xz, in any order") {
  const ScratchFolder folder;
  std::vector<File> files = six_files();
  for (const File& f : files) write_bytes(folder / f.name, f.bytes);
  check_six(read_cifar10(folder / ""));
  do {
    write_bytes(folder / "c.tar", archive_of(files));
    check_six(read_cifar10(folder / "c.tar"));
    std::rotate(files.begin(), files.begin() + 1, files.end());
  } while (files[0].name != "data_batch_1.bin");
  std::reverse(files.begin(), files.end());
  write_bytes(folder / "c.tar.gz", gzip(archive_of(files)));
  check_six(read_cifar10(folder / "c.tar.gz"));
  write_bytes(folder / "c.tar.xz", xz(archive_of(files)));
  check_six(read_cifar10(folder / "c.tar.xz"));
}

TEST_CASE("cifar10: the sample of this repository, the first photographs of the real files") {
  const auto [train, test] =
      read_cifar10(test::source_dir() + "/data/cifar10-sample/cifar-10-binary.tar.xz");
  CHECK(train.size() == 200);
  CHECK(test.size() == 100);
  const auto names = [](const Dataset& data, int64_t n) {
    std::string text;
    for (int64_t i = 0; i < n; ++i)
      text += data.class_names[static_cast<size_t>(data.labels[static_cast<size_t>(i)])] + " ";
    return text;
  };
  CHECK(names(train, 5) == "frog truck truck deer automobile ");
  CHECK(names(test, 5) == "cat ship ship airplane frog ");
  // The frog's first pixel, as published.
  CHECK(std::vector<int>(train.pixels.begin(), train.pixels.begin() + 3) ==
        std::vector<int>{59, 62, 63});
}

TEST_CASE("cifar10: bad files") {
  std::vector<File> files = six_files();
  files.erase(files.begin() + 3);
  CHECK(refusal(files) == "c.tar: data_batch_4.bin is missing.");
  files = six_files();
  files.push_back(files[1]);
  CHECK(refusal(files) ==
        "c.tar: data_batch_2.bin comes twice: in cifar/data_batch_2.bin and in "
        "cifar/data_batch_2.bin.");
  files = six_files();
  files[5].bytes.pop_back();
  CHECK(refusal(files) ==
        "c.tar: cifar/test_batch.bin: truncated: the record at offset 6146 has "
        "3072 of 3073 bytes.");
  files[5].bytes.clear();
  CHECK(refusal(files) ==
        "c.tar: cifar/test_batch.bin: truncated: the record at offset 0 has 0 of 3073 bytes.");
  files = six_files();
  files[2].bytes[3073] = 10;
  CHECK(refusal(files) == "c.tar: cifar/data_batch_3.bin: label 10 at offset 3073 is not in 0..9.");
  files[2].bytes[3073] = -1;
  CHECK(contains(refusal(files), "label 255 at offset 3073"));

  const ScratchFolder folder;
  CHECK(message_of<DataError>([&] {
          read_cifar10(folder / "");
        }).ends_with(": data_batch_1.bin is missing."));
  CHECK(contains(message_of<DataError>([&] { read_cifar10(folder / "none.tar"); }),
                 "cannot be opened"));
  write_bytes(folder / "c.tar.xz", xz("no archive"));
  CHECK(contains(message_of<DataError>([&] { read_cifar10(folder / "c.tar.xz"); }),
                 "not a tar archive"));
  const std::string packed = xz(archive_of(six_files()));
  for (size_t size = 6; size < packed.size(); size += 13) {
    CAPTURE(size);
    write_bytes(folder / "c.tar.xz", packed.substr(0, size));
    CHECK_THROWS_AS(read_cifar10(folder / "c.tar.xz"), DataError);
  }
}
