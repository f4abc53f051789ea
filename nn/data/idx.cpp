#include "nn/data/idx.h"

#include <array>

namespace slope::nn {
namespace {

// The largest IDX file that makes sense here: four times Fashion-MNIST's images.
constexpr size_t kLargestFile = size_t{256} << 20;

// The values of an IDX file of bytes with this many axes; their lengths in `dims`.
std::vector<uint8_t> read_array(ByteStream& file, size_t rank, std::vector<size_t>* dims) {
  std::array<uint8_t, 16> header;
  const size_t header_size = 4 + 4 * rank, got = file.read(std::span(header).first(header_size));
  if (got < header_size) {
    throw DataError(concat(file.name(), ": truncated: ", got, " bytes, the header alone has ",
                           header_size, "."));
  }
  const auto big_endian = [&](size_t at) {
    return uint32_t{header[at]} << 24 | uint32_t{header[at + 1]} << 16 |
           uint32_t{header[at + 2]} << 8 | header[at + 3];
  };
  const uint32_t magic = 0x0800 + static_cast<uint32_t>(rank);  // 08: unsigned bytes
  if (big_endian(0) != magic) {
    throw DataError(concat(file.name(), ": not an IDX file of ", rank == 1 ? "labels" : "images",
                           ": magic number ", big_endian(0), " at offset 0, expected ", magic,
                           "."));
  }
  size_t size = 1;
  for (size_t i = 0; i < rank; ++i) {
    dims->push_back(big_endian(4 + 4 * i));
    if (dims->back() > kLargestFile || (size *= dims->back()) > kLargestFile) {
      throw DataError(concat(file.name(), ": absurd length ", dims->back(), " of axis ", i,
                             " at offset ", 4 + 4 * i, "."));
    }
  }
  std::vector<uint8_t> values = file.read_up_to(size);
  if (values.size() < size || !file.at_end()) {
    throw DataError(concat(file.name(), ": the header at offset 4 promises ", size,
                           " bytes of data, the file has ",
                           values.size() < size ? std::to_string(values.size()) : "more", "."));
  }
  return values;
}

}  // namespace

Dataset read_idx(ByteStream& images, ByteStream& labels, int64_t classes, const std::string& name) {
  std::vector<size_t> image_dims, label_dims;
  Dataset data{
      .name = name, .sample = {}, .classes = classes, .pixels = {}, .points = {}, .labels = {}};
  data.pixels = read_array(images, 3, &image_dims);
  const std::vector<uint8_t> bytes = read_array(labels, 1, &label_dims);
  if (image_dims[0] != label_dims[0]) {
    throw DataError(concat(labels.name(), ": ", label_dims[0], " labels for the ", image_dims[0],
                           " images of ", images.name(), "."));
  }
  if (image_dims[0] == 0 || image_dims[1] == 0 || image_dims[2] == 0)
    throw DataError(images.name() + ": no images.");
  data.sample = {static_cast<int64_t>(image_dims[1]), static_cast<int64_t>(image_dims[2]), 1};
  data.labels.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] >= classes) {
      throw DataError(concat(labels.name(), ": label ", int{bytes[i]}, " at offset ", 8 + i,
                             " is not in 0..", classes - 1, "."));
    }
    data.labels.push_back(bytes[i]);
  }
  return data;
}

Dataset read_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
                 int64_t classes, const std::string& name) {
  const auto image_file = open_file(images), label_file = open_file(labels);
  return read_idx(*image_file, *label_file, classes, name);
}

}  // namespace slope::nn
