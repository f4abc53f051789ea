// IDX files, the format of MNIST and Fashion-MNIST: big-endian header, then bytes.
#pragma once

#include "nn/data/byte_stream.h"
#include "nn/data/dataset.h"

namespace slope::nn {

// images: (n, h, w) bytes, labels: (n) bytes in 0..classes-1. Errors, all DataError with the file
// and the offset: truncated or longer than its header says, another magic number, another number of
// labels than images, a label out of range.
Dataset read_idx(ByteStream& images, ByteStream& labels, int64_t classes, const std::string& name);
// The same from files, packed (.gz, .xz) or not. Missing: DataError.
Dataset read_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
                 int64_t classes, const std::string& name);

}  // namespace slope::nn
