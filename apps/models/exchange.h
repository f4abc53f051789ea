// Exchange with PyTorch: the tensors of a network in the layout of a state_dict, and back.
//
// Convolution weights are (K, R, S, C) here and (K, C, R, S) there, (K, S, C) and (K, C, S) in one
// dimension; everything else is the same. A linear layer behind Flatten needs no change: Flatten
// emits (C, H, W) order.
#pragma once

#include <map>

#include "nn/checkpoint.h"
#include "nn/module.h"

namespace slope::models {

enum class Layout { torch, slope };

// The shape of a parameter in PyTorch's layout.
Shape torch_shape(const Shape& shape);
Tensor to_torch(const Tensor& parameter);
Tensor from_torch(const Tensor& parameter);

// BatchNorm's count of batches, which PyTorch keeps and slope does not need.
bool is_batch_counter(const std::string& name);

// Parameters, then buffers, as a state_dict has them; beside each running mean a counter of
// batches, int32, with this value.
std::vector<nn::NamedTensor> torch_state(const nn::Module& model, int64_t batches);

// Which tensor of a file belongs to which of the model: source name by target name.
struct Assignment {
  std::map<std::string, std::string> source_of;
  bool by_order = false;
};
// By name, after `renamed` (source name -> slope name) and without a common "module." or
// "_orig_mod." in front. Where no name fits at all: by order, module by module, among modules with
// the same names and shapes of tensors; the order is that of the file, or, where the file is sorted
// by name (as Python's package writes it), that of numbers (nn.Sequential) and of the sections of
// published code; where neither says, it is an error. Every mismatch is listed in one DataError.
// targets: the model's parameters and buffers; sources: the file's, without counters, with shapes
// in `layout`.
Assignment assign(const std::vector<nn::NamedTensor>& sources,
                  const std::vector<nn::NamedTensor>& targets, Layout layout,
                  const std::map<std::string, std::string>& renamed, const std::string& file);

// Overwrites the targets with the sources assigned to them, cast to their dtype.
void import_state(const std::vector<nn::NamedTensor>& sources,
                  const std::vector<nn::NamedTensor>& targets, const Assignment& assignment,
                  Layout layout);

}  // namespace slope::models
