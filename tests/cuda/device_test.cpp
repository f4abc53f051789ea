// The real CUDA backend, as it was built with nvcc: everything on a GPU where there is one, and a
// clear word where there is none.
#include <doctest/doctest.h>

#include <algorithm>

#include "backends/cuda/cuda.h"
#include "core/op.h"
#include "core/tensor.h"
#include "tests/conformance/conformance.h"
#include "tests/skip.h"

using namespace slope;

namespace {

std::string why_no_gpu() {
  for (const auto& report : cuda::describe_devices()) {
    if (!report.available) return report.what;
  }
  return "";
}

bool has_gpu() {
  const auto all = devices();
  return std::any_of(all.begin(), all.end(), [](Device d) { return d.name().starts_with("cuda"); });
}

}  // namespace

TEST_CASE("cuda: the report names every device, or says why there is none") {
  const auto reports = cuda::describe_devices();
  REQUIRE(!reports.empty());
  for (const auto& report : reports) {
    CHECK(report.name.starts_with("cuda"));
    CHECK(!report.what.empty());
    CHECK(report.available == (report.what.find("not available: ") == std::string::npos));
  }
  const bool any = std::any_of(reports.begin(), reports.end(),
                               [](const auto& report) { return report.available; });
  CHECK(any == has_gpu());
}

TEST_CASE("cuda: the cpu stays the default device") { CHECK(default_device().name() == "cpu"); }

TEST_CASE("cuda: conformance on the GPU of this machine") {
  if (!has_gpu()) SKIP_TEST(why_no_gpu());
  for (const Op* op : all_ops()) {
    const test::Report report =
        test::check_conformance(*op, test::Conditions{.device = device("cuda")});
    CHECK(report.checks > 0);
    for (const std::string& failure : report.failures) FAIL_CHECK(failure);
  }
}
