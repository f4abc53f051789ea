// CIFAR-10 in its binary version: records of a label and 32 x 32 pixels in three colour planes.
#pragma once

#include <filesystem>
#include <utility>

#include "nn/data/byte_stream.h"
#include "nn/data/dataset.h"

namespace slope::nn {

// The files data_batch_1.bin .. data_batch_5.bin and test_batch.bin, in a folder or in a tar
// archive
// (.tar, .tar.gz, .tar.xz; in any folder of it, in any order), which is read as a stream. Batches
// may hold any number of records from 1 to 100,000. -> the training and the test set, samples (32,
// 32, 3), named "cifar10 train" and "cifar10 test". Errors, all DataError with the file and the
// offset: a file that is missing, comes twice, is cut off or too long, a label above 9; and those
// of the archive (nn/data/tar.h).
std::pair<Dataset, Dataset> read_cifar10(const std::filesystem::path& place);

}  // namespace slope::nn
