// IDX files, the format of MNIST and Fashion-MNIST: big-endian header, then bytes. Plain or .gz.
#pragma once

#include <filesystem>

#include "nn/data/dataset.h"

namespace slope::nn {

// images: (n, h, w) bytes, labels: (n) bytes in 0..classes-1. Each file may be missing its .gz or
// have it. Errors, all DataError with the file and the offset: missing, truncated or longer than
// its header says, another magic number, another number of labels than images, a label out of
// range.
Dataset read_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
                 int64_t classes, const std::string& name);

// A whole file, unpacked if its name ends in .gz. At most `limit` bytes come out; more is a
// DataError.
std::vector<uint8_t> read_file(const std::filesystem::path& path, size_t limit);

}  // namespace slope::nn
