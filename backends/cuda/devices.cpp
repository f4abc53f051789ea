#include "backends/cuda/devices.h"

#include "backends/cuda/api.h"
#include "core/error.h"

namespace slope::cuda {
namespace {

// The oldest compute capability there is device code for (CMAKE_CUDA_ARCHITECTURES: 80 and 90).
constexpr int kOldestMajor = 8;

std::string version_text(int version) { return concat(version / 1000, '.', version % 1000 / 10); }

int runtime_version() {
  int version = 0;
  cudaRuntimeGetVersion(&version);
  return version;
}
// 0 without a driver
int driver_version() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

// Why there is no device at all; empty when there is one.
std::string why_none(int* count) {
  *count = 0;
  const cudaError_t status = cudaGetDeviceCount(count);
  if (status == cudaSuccess && *count > 0) return "";
  cudaGetLastError();  // so that it does not show up elsewhere
  const int driver = driver_version();
  if (driver == 0) return "not available: no NVIDIA driver on this machine";
  if (driver / 1000 < runtime_version() / 1000) {
    return concat("not available: the driver is too old: it serves CUDA ", version_text(driver),
                  ", this build needs ", version_text(runtime_version()), ". Update the driver.");
  }
  if (status == cudaSuccess || status == cudaErrorNoDevice) {
    return "not available: there is a driver, but no GPU that it shows (CUDA_VISIBLE_DEVICES?)";
  }
  return concat("not available: ", cudaGetErrorString(status));
}

std::string why_unusable(int index, const cudaDeviceProp& properties) {
  if (properties.major < kOldestMajor) {
    return concat("compute capability ", properties.major, '.', properties.minor,
                  ", device code begins at ", kOldestMajor, ".0");
  }
  int pools = 0;
  cudaDeviceGetAttribute(&pools, cudaDevAttrMemoryPoolsSupported, index);
  if (!pools) return "its driver has no stream-ordered memory pools";
  return "";
}

DeviceReport describe(int index) {
  DeviceReport report{concat("cuda:", index), false, ""};
  cudaDeviceProp properties{};
  if (const cudaError_t status = cudaGetDeviceProperties(&properties, index);
      status != cudaSuccess) {
    cudaGetLastError();
    report.what = concat("not available: ", cudaGetErrorString(status));
    return report;
  }
  const std::string why = why_unusable(index, properties);
  report.available = why.empty();
  const double gib = static_cast<double>(properties.totalGlobalMem) / (1 << 30);
  report.what = concat(
      report.available ? "" : concat("not available: ", why, ": "), properties.name, ", ",
      static_cast<double>(static_cast<int>(gib * 10 + 0.5)) / 10, " GiB, compute capability ",
      properties.major, '.', properties.minor, ", driver for CUDA ", version_text(driver_version()),
      "; these kernels have been compiled, linked and emulated, never run on a GPU");
  return report;
}

}  // namespace

std::vector<DeviceReport> describe_devices() {
  int count = 0;
  const std::string none = why_none(&count);
  if (!none.empty()) return {{"cuda", false, none}};
  std::vector<DeviceReport> reports;
  for (int i = 0; i < count; ++i) reports.push_back(describe(i));
  return reports;
}

std::vector<int> usable_devices() {
  std::vector<int> usable;
  int count = 0;
  if (!why_none(&count).empty()) return usable;
  for (int i = 0; i < count; ++i) {
    if (describe(i).available) usable.push_back(i);
  }
  return usable;
}

}  // namespace slope::cuda
