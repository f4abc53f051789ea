// The cuda backend, seen from outside; nothing of CUDA itself shows.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"

namespace slope::cuda {

// One for each usable device, "cuda:0" first; none on a machine without a driver or a device.
std::vector<std::unique_ptr<Backend>> make_backends();

// What `slope info devices` shows: each device the driver knows, or one line that says why there is
// none.
struct DeviceReport {
  std::string name;
  bool available = false;
  std::string what;  // model, memory, compute capability, driver; or why it cannot be used
};
std::vector<DeviceReport> describe_devices();

}  // namespace slope::cuda
