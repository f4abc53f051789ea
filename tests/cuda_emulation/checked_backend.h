// A backend that holds every kernel of another one to the contract of core/backend.h.
#pragma once

#include <memory>

#include "core/backend.h"

namespace slope::cuda::emulation {

// The same device, on which each call may touch its own arguments and scratch memory and nothing
// around them, to the byte, and finds only NaN in its results.
std::unique_ptr<Backend> make_checked_backend(std::unique_ptr<Backend> backend);

}  // namespace slope::cuda::emulation
