// Devices by name, and the pool of each.
#include <map>
#include <memory>
#include <mutex>

#include "core/backend.h"
#include "core/error.h"
#include "core/storage.h"

namespace slope {
namespace {

struct Registry {
  std::vector<std::unique_ptr<Backend>> backends = make_backends();
  std::map<Backend*, std::shared_ptr<Pool>> pools;
  Registry() {
    for (const auto& b : backends) pools[b.get()] = std::make_shared<Pool>(Device(b.get()));
  }
};

// Never destroyed: tensors in static variables may outlive every other static.
Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}

thread_local Device current_device;

}  // namespace

std::vector<Device> devices() {
  std::vector<Device> all;
  for (const auto& b : registry().backends) all.emplace_back(b.get());
  return all;
}

Device device(const std::string& name) {
  std::string known;
  for (const Device d : devices()) {
    if (d.name() == name || d.name() == name + ":0") return d;
    known += (known.empty() ? "" : ", ") + d.name();
  }
  throw DeviceError(concat("device: \"", name, "\" is not one of ", known, "."));
}

Device default_device() {
  return current_device ? current_device : Device(registry().backends.front().get());
}

DeviceScope::DeviceScope(Device device) : previous_(current_device) { current_device = device; }

DeviceScope::~DeviceScope() { current_device = previous_; }

Pool& device_pool(Device device) {
  const auto& listed = registry().pools;
  if (const auto found = listed.find(&device.backend()); found != listed.end()) {
    return *found->second;
  }
  // A backend that make_backends() does not list, e.g. one under test: its pool comes with its
  // first tensor.
  static std::mutex mutex;
  static auto& unlisted = *new std::map<Backend*, std::shared_ptr<Pool>>;
  const std::lock_guard lock(mutex);
  std::shared_ptr<Pool>& pool = unlisted[&device.backend()];
  if (!pool) pool = std::make_shared<Pool>(device);
  return *pool;
}

}  // namespace slope
