// What this build knows of devices beyond those that devices() lists.
#pragma once

#include <string>
#include <vector>

namespace slope {

struct GpuReport {
  std::string name;  // "cuda:0"; "cuda" when there is none
  bool available = false;
  std::string what;  // model, memory, capability, driver; or "not available: " and why
};
// Every GPU that the backends of this build see, usable or not, or one line that says why there is
// none. Never throws, never waits for a device to start.
std::vector<GpuReport> gpu_reports();

}  // namespace slope
