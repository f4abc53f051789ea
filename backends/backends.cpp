// Which backends this build has. A new backend adds one line here.
#include "backends/cpu/cpu.h"
#include "backends/reference/reference.h"
#include "core/backend.h"

namespace slope {

std::vector<std::unique_ptr<Backend>> make_backends() {
  std::vector<std::unique_ptr<Backend>> all;
  all.push_back(cpu::make_backend());
  all.push_back(reference::make_backend());
  return all;
}

}  // namespace slope
