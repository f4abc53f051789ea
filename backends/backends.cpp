// Which backends this build has. A new backend adds one line here.
#include "backends/backends.h"

#include "backends/cpu/cpu.h"
#include "backends/reference/reference.h"
#include "core/backend.h"
#ifdef SLOPE_WITH_CUDA
#include "backends/cuda/cuda.h"
#endif

namespace slope {

std::vector<std::unique_ptr<Backend>> make_backends() {
  std::vector<std::unique_ptr<Backend>> all;
  all.push_back(cpu::make_backend());
  all.push_back(reference::make_backend());
#ifdef SLOPE_WITH_CUDA
  for (auto& backend : cuda::make_backends()) all.push_back(std::move(backend));
#endif
  return all;
}

std::vector<GpuReport> gpu_reports() {
#ifdef SLOPE_WITH_CUDA
  std::vector<GpuReport> reports;
  for (auto& d : cuda::describe_devices()) {
    reports.push_back({std::move(d.name), d.available, std::move(d.what)});
  }
  return reports;
#else
  return {{"cuda", false, "not available: not in this build"}};
#endif
}

}  // namespace slope
