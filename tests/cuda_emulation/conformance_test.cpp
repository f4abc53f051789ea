// The conformance suite on the emulated device, threads ascending and then descending: every byte
// that comes back must be the same, and no kernel may do what a GPU would not forgive.
#include <doctest/doctest.h>

#include <algorithm>

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

// What the device gave back, in one order of threads.
uint64_t hash_of_run(const Op& op, const std::string& mode, bool descending) {
  emulation::set_descending(descending);
  emulation::take_hash();
  const Report result = check_conformance(op, mode, Conditions{.device = device("cuda")});
  CHECK(result.checks > 0);
  report(op, mode, result.failures);
  report(op, mode, emulation::take_violations());
  emulation::set_descending(false);
  return emulation::take_hash();
}

// Every op that has this mode.
void check_every_op(const std::string& mode) {
  for (const Op* op : all_ops()) {
    const std::vector<std::string> modes = conformance_modes(*op);
    if (std::find(modes.begin(), modes.end(), mode) == modes.end()) continue;
    CAPTURE(std::string(op->name));
    CHECK(hash_of_run(*op, mode, false) == hash_of_run(*op, mode, true));
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
