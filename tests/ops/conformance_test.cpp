// Every op on every device of this build, mode by mode (tests/conformance).
#include <doctest/doctest.h>

#include <set>

#include "backends/cpu/threads.h"
#include "core/op.h"
#include "tests/conformance/conformance.h"

using namespace slope;
using test::Conditions;
using test::Report;

namespace {

// Every op that has this mode.
void check_every_op(const std::string& mode) {
  const int threads_before = cpu::threads();
  for (const Device device : devices()) {
    Conditions on{.device = device};
    if (device.name() == "cpu") on.set_threads = cpu::set_threads;
    for (const Op* op : all_ops()) {
      const std::vector<std::string> modes = conformance_modes(*op);
      if (std::find(modes.begin(), modes.end(), mode) == modes.end()) continue;
      const Report report = check_conformance(*op, mode, on);
      CHECK(report.checks > 0);
      for (size_t i = 0; i < report.failures.size(); ++i) {
        if (i < 3) FAIL_CHECK(report.failures[i]);
      }
      if (report.failures.size() > 3) {
        MESSAGE(op->name, ": ", report.failures.size() - 3, " more failures in mode ", mode);
      }
    }
  }
  cpu::set_threads(threads_before);
}

}  // namespace

TEST_CASE("conformance: value") { check_every_op("value"); }
TEST_CASE("conformance: decompose") { check_every_op("decompose"); }
TEST_CASE("conformance: gradient") { check_every_op("gradient"); }
TEST_CASE("conformance: second-gradient") { check_every_op("second-gradient"); }
TEST_CASE("conformance: plan") { check_every_op("plan"); }
TEST_CASE("conformance: threads") { check_every_op("threads"); }

TEST_CASE("every mode that a record names is one of those run here") {
  const std::set<std::string> run = {"value",           "decompose", "gradient",
                                     "second-gradient", "plan",      "threads"};
  for (const Op* op : all_ops()) {
    CAPTURE(std::string(op->name));
    const std::vector<std::string> modes = conformance_modes(*op);
    CHECK(modes.size() >= 3);
    for (const std::string& mode : modes) CHECK(run.contains(mode));
  }
}

TEST_CASE("every op has samples and a name of its own") {
  std::set<std::string> names;
  for (const Op* op : all_ops()) {
    CAPTURE(std::string(op->name));
    CHECK(names.insert(op->name).second);
    REQUIRE((op->samples != nullptr));
    CHECK(op->samples().size() >= 2);
    // Something must say what the op's gradient is, or that it has none.
    CHECK((op->vjp || op->decompose || op->writes || !op->differentiable));
  }
}
