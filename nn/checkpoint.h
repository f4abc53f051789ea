// Checkpoints: safetensors files (https://github.com/huggingface/safetensors), readable from Python
// with the usual package.
//
// A file is 8 bytes of header length (little-endian), a JSON header that gives dtype, shape and
// place of each tensor and may carry text under "__metadata__", then the values, row-major,
// little-endian.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "nn/module.h"

namespace slope::nn {

using Metadata = std::map<std::string, std::string>;

struct Checkpoint {
  std::vector<NamedTensor> tensors;  // in the order of the file
  Metadata metadata;

  // ValueError-free look-up: undefined when there is none of that name.
  Tensor find(const std::string& name) const;
};

// Writes to a temporary name beside `path`, syncs, and renames: whatever happens, `path` holds the
// old file or the new one, whole. Errors, DataError: two tensors of one name, a disk that is full
// or not writable.
void save_checkpoint(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                     const Metadata& metadata = {});

// F32, F64 and I32 tensors become host tensors of `device`; F16, BF16 and integers of other widths
// are DataErrors that say so. Other errors, all DataError with the file and the offset: truncated,
// a header longer than the file or 100 MB, malformed JSON, a shape that does not fit its place,
// places that overlap or leave gaps, a name twice. Tensors whose names are `ignored` are left out,
// whatever their dtype.
Checkpoint load_checkpoint(const std::filesystem::path& path, Device device = default_device(),
                           const std::function<bool(const std::string&)>& ignored = {});

// What the header says of a tensor of whatever dtype.
struct TensorEntry {
  std::string name,
      dtype;  // "float32"; of those that slope has no tensors of as in the file: "I64"
  Shape shape;
};
struct CheckpointHeader {
  std::vector<TensorEntry> tensors;  // by where they lie
  Metadata metadata;
};
CheckpointHeader inspect_checkpoint(const std::filesystem::path& path);

// Overwrites `targets` in place with the tensors of the same names. Every mismatch (missing, left
// over, another shape or dtype) is listed in one DataError, and then nothing has been written.
// Names in the file that begin with one of `ignored_prefixes` are not left over.
void restore(const Checkpoint& checkpoint, const std::vector<NamedTensor>& targets,
             const std::string& file, const std::vector<std::string>& ignored_prefixes = {});

}  // namespace slope::nn
