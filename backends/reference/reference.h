// The reference backend: every primitive as a plain loop on one thread. It is the specification of
// the ops, the oracle of the tests, and the folder to copy when you start a backend of your own.
#pragma once

#include <memory>

#include "backends/reference/table.h"

namespace slope::reference {

std::unique_ptr<Backend> make_backend();

// All kernels; other backends that use host memory start from this table.
const KernelTable& kernels();

// One function per family of ops, each in the file of that name.
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

}  // namespace slope::reference
