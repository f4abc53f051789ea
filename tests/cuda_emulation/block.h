// Runs kernels: grids as blocks one after the other, blocks as fibres.
#pragma once

#include "tests/cuda_emulation/device_on_host.h"

namespace slope::cuda::emulation {

void run_grid(const Kernel& kernel, dim3 grid, dim3 block, bool descending);

}  // namespace slope::cuda::emulation
