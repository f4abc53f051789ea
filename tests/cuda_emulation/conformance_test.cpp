// The conformance suite on the emulated device, threads ascending and then descending: every byte
// that comes back must be the same, and no kernel may do what a GPU would not forgive.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "core/op.h"
#include "tests/conformance/conformance.h"
#include "tests/cuda_emulation/emulator.h"

using namespace slope;
using test::Conditions;
using test::Report;
namespace emulation = slope::cuda::emulation;

namespace {

void report(const Op& op, const std::string& mode, const std::vector<std::string>& messages) {
  for (size_t i = 0; i < messages.size(); ++i) {
    if (i < 3) FAIL_CHECK(messages[i]);
  }
  if (messages.size() > 3) {
    MESSAGE(op.name, ": ", messages.size() - 3, " more failures in mode ", mode);
  }
}

struct Run {
  uint64_t hash;  // of what the device gave back
  int64_t checks;
};

// In one order of threads.
Run run(const Op& op, const std::string& mode, bool descending) {
  emulation::set_descending(descending);
  emulation::take_hash();
  const Report result = check_conformance(op, mode, Conditions{.device = device("cuda")});
  CHECK(result.checks > 0);
  report(op, mode, result.failures);
  report(op, mode, emulation::take_violations());
  emulation::set_descending(false);
  return {emulation::take_hash(), result.checks};
}

// Every op that has this mode. SLOPE_CONFORMANCE_TABLE names a file to which one line for each op
// is added: mode, op, and the number of checks, 0 where the op does not have the mode
// (scripts/cuda_conformance.sh).
void check_every_op(const std::string& mode) {
  const char* path = std::getenv("SLOPE_CONFORMANCE_TABLE");
  std::ofstream table;
  if (path) table.open(path, std::ios::app);
  for (const Op* op : all_ops()) {
    const std::vector<std::string> modes = conformance_modes(*op);
    int64_t checks = 0;
    if (std::find(modes.begin(), modes.end(), mode) != modes.end()) {
      CAPTURE(std::string(op->name));
      const Run ascending = run(*op, mode, false), descending = run(*op, mode, true);
      CHECK(ascending.hash == descending.hash);
      checks = ascending.checks + descending.checks;
    }
    if (path) table << mode << ' ' << op->name << ' ' << checks << std::endl;
  }
}

}  // namespace

TEST_CASE("cuda conformance: value") { check_every_op("value"); }
TEST_CASE("cuda conformance: decompose") { check_every_op("decompose"); }
TEST_CASE("cuda conformance: gradient") { check_every_op("gradient"); }
TEST_CASE("cuda conformance: second-gradient") { check_every_op("second-gradient"); }
TEST_CASE("cuda conformance: plan") { check_every_op("plan"); }
TEST_CASE("cuda conformance: threads") { check_every_op("threads"); }

TEST_CASE("cuda has a kernel wherever the reference has one") {
  int kernels = 0;
  for (const Op* op : all_ops()) {
    if (op->view) continue;
    for (const Sample& sample : op->samples()) {
      for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
        const auto prepares = [&](Device on) {
          Tensors inputs;
          for (const SampleInput& in : sample.inputs) {
            inputs.push_back(in.undefined ? Tensor()
                                          : empty(in.shape, in.integer ? Dtype::i32 : dtype, on));
          }
          const DeviceScope here(on);
          return on->prepare({*op, inputs, sample.attributes}) != nullptr;
        };
        if (!prepares(device("reference"))) continue;
        CAPTURE(std::string(op->name));
        CHECK(prepares(device("cuda")));
        ++kernels;
      }
    }
  }
  CHECK(kernels > 200);
}
