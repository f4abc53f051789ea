// Which CUDA devices this machine has, and which of them the kernels can run on.
#pragma once

#include <string>
#include <vector>

#include "backends/cuda/cuda.h"

namespace slope::cuda {

// The numbers of the devices that can be used. Never throws: a machine without a driver has none.
std::vector<int> usable_devices();

}  // namespace slope::cuda
