// The conformance suite: what every op has to do on every backend. A new backend is finished when
// it passes; nothing here knows which backend it looks at.
//
//   for (const Op* op : all_ops()) {
//     const Report report = check_conformance(*op, {.device = device("mine")});
//     for (const std::string& failure : report.failures) std::puts(failure.c_str());
//   }
//
// The modes, which conformance_modes() derives from each record:
//   value            every sample, float32 and float64, in four memory layouts, hidden outputs
//                    included, against the oracle in float64. Kernels that trade accuracy for speed
//                    have a wider band, but not in an ExactScope (core/exact.h)
//   decompose        the kernel against the record's decomposition
//   gradient         the tape against central differences in float64 along a random direction; then
//                    both dtypes in four layouts against the oracle's gradient
//   second-gradient  the gradient's own gradient against central differences
//   plan             a plan captured on some values and replayed on others equals an eager run bit
//                    for bit and allocates nothing; the gradient in a plan likewise
//   threads          the same bits on 1, 2 and 8 threads, also for inputs large enough to share out
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/op.h"

namespace slope::test {

// How far a float32 (float64) result may be from the oracle's float64 one, relative to the largest
// expected value of its tensor, or to 1 where that is smaller. Integers must be equal.
struct Tolerances {
  double value_f32 = 2e-6, value_f64 = 5e-15;
  double decompose_f32 = 4e-6, decompose_f64 = 1e-14;
  double gradient_f32 = 2e-5, gradient_f64 = 1e-13;
  // Of float32 results that are others than in an ExactScope: the rms error and the largest one,
  // both relative to the rms of the expected values.
  double fast_rms = 1e-5, fast_largest = 1e-4;
};

struct Conditions {
  Device device;                       // under test
  Device oracle = device_of_oracle();  // trusted
  // How the device is told its number of threads. Null: it has none, and runs are only repeated.
  std::function<void(int)> set_threads = nullptr;
  Tolerances tolerances = {};

  static Device device_of_oracle();  // "reference"
};

struct Report {
  int64_t checks = 0;
  std::vector<std::string> failures;  // each names op, mode, device, sample, and what differs
};

// One mode of one op. A mode that does not exist, an op without samples and a mode in which nothing
// could be checked are failures.
Report check_conformance(const Op& op, const std::string& mode, const Conditions& on);
// All modes that apply to the op.
Report check_conformance(const Op& op, const Conditions& on);

}  // namespace slope::test
