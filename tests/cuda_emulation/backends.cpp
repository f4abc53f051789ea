// The backends of the emulated tests, instead of backends/backends.cpp.
#include "backends/cpu/cpu.h"
#include "backends/cuda/cuda.h"
#include "backends/reference/reference.h"
#include "tests/cuda_emulation/checked_backend.h"

namespace slope {

std::vector<std::unique_ptr<Backend>> make_backends() {
  std::vector<std::unique_ptr<Backend>> all;
  for (auto& backend : cuda::make_backends()) {
    all.push_back(cuda::emulation::make_checked_backend(std::move(backend)));
  }
  all.push_back(cpu::make_backend());
  all.push_back(reference::make_backend());
  return all;
}

}  // namespace slope
