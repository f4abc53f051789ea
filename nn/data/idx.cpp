#include "nn/data/idx.h"

#include <zlib.h>

#include <memory>

namespace slope::nn {
namespace {

// The largest IDX file that makes sense here: four times Fashion-MNIST's images.
constexpr size_t kLargestFile = size_t{256} << 20;

uint32_t big_endian(const std::vector<uint8_t>& bytes, size_t at) {
  return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 | uint32_t{bytes[at + 2]} << 8 |
         bytes[at + 3];
}

// The values of an IDX file of bytes with this many axes; their lengths in `dims`.
std::vector<uint8_t> read_array(const std::filesystem::path& path, size_t rank,
                                std::vector<size_t>* dims) {
  std::vector<uint8_t> bytes = read_file(path, kLargestFile);
  const size_t header = 4 + 4 * rank;
  const uint32_t magic = 0x0800 + static_cast<uint32_t>(rank);  // 08: unsigned bytes
  if (bytes.size() < header) {
    throw DataError(concat(path.string(), ": truncated: ", bytes.size(),
                           " bytes, the header alone has ", header, "."));
  }
  if (big_endian(bytes, 0) != magic) {
    throw DataError(concat(path.string(), ": not an IDX file of ", rank == 1 ? "labels" : "images",
                           ": magic number ", big_endian(bytes, 0), " at offset 0, expected ",
                           magic, "."));
  }
  size_t size = 1;
  for (size_t i = 0; i < rank; ++i) {
    dims->push_back(big_endian(bytes, 4 + 4 * i));
    if (dims->back() > kLargestFile || (size *= dims->back()) > kLargestFile) {
      throw DataError(concat(path.string(), ": absurd length ", dims->back(), " of axis ", i,
                             " at offset ", 4 + 4 * i, "."));
    }
  }
  if (bytes.size() != header + size) {
    throw DataError(concat(path.string(), ": the header at offset 4 promises ", size,
                           " bytes of data, the file has ", bytes.size() - header, "."));
  }
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(header));
  return bytes;
}

}  // namespace

std::vector<uint8_t> read_file(const std::filesystem::path& path, size_t limit) {
  // zlib reads plain files through the same calls.
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file)
    throw DataError(
        concat(path.string(), ": cannot be opened: ", std::generic_category().message(errno), "."));
  std::vector<uint8_t> bytes;
  constexpr size_t kChunk = size_t{1} << 20;
  for (;;) {
    const size_t at = bytes.size();
    bytes.resize(at + kChunk);
    const int got = gzread(file.get(), bytes.data() + at, kChunk);
    int code = Z_OK;
    const char* reason = gzerror(file.get(), &code);
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      throw DataError(concat(path.string(), ": damaged after ", at,
                             " bytes: ", code == Z_BUF_ERROR ? "truncated" : reason, "."));
    }
    bytes.resize(at + static_cast<size_t>(got));
    if (bytes.size() > limit)
      throw DataError(concat(path.string(), ": unpacks to more than ", limit, " bytes."));
    if (got == 0) return bytes;
  }
}

Dataset read_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
                 int64_t classes, const std::string& name) {
  std::vector<size_t> image_dims, label_dims;
  Dataset data{
      .name = name, .sample = {}, .classes = classes, .pixels = {}, .points = {}, .labels = {}};
  data.pixels = read_array(images, 3, &image_dims);
  const std::vector<uint8_t> bytes = read_array(labels, 1, &label_dims);
  if (image_dims[0] != label_dims[0]) {
    throw DataError(concat(labels.string(), ": ", label_dims[0], " labels for the ", image_dims[0],
                           " images of ", images.string(), "."));
  }
  if (image_dims[0] == 0 || image_dims[1] == 0 || image_dims[2] == 0)
    throw DataError(images.string() + ": no images.");
  data.sample = {static_cast<int64_t>(image_dims[1]), static_cast<int64_t>(image_dims[2]), 1};
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] >= classes) {
      throw DataError(concat(labels.string(), ": label ", int{bytes[i]}, " at offset ", 8 + i,
                             " is not in 0..", classes - 1, "."));
    }
    data.labels.push_back(bytes[i]);
  }
  return data;
}

}  // namespace slope::nn
