// Copies on the cpu. So far all of them run the reference's kernels.
#include "backends/cpu/cpu.h"

namespace slope::cpu {

void add_movement(KernelTable&) {}

}  // namespace slope::cpu
