// The cpu backend: the reference's table with the kernels overridden that pay: threads, vector
// instructions, oneDNN.
#pragma once

#include <memory>

#include "backends/reference/table.h"

namespace slope::cpu {

std::unique_ptr<Backend> make_backend();

// One function per family; each overrides entries of the reference's table.
void add_pointwise(KernelTable& table);
void add_movement(KernelTable& table);
void add_reduce(KernelTable& table);
void add_contract(KernelTable& table);
void add_window(KernelTable& table);
void add_norm(KernelTable& table);
void add_loss(KernelTable& table);
void add_solver(KernelTable& table);
void add_optimizer(KernelTable& table);
void add_random(KernelTable& table);

}  // namespace slope::cpu
