// The main function of every test executable: doctest's, plus the count line that test.sh adds up:
//   slope-tests: 12 passed, 0 failed, 1 skipped
// and one more rule: a test case that checks nothing and does not say why fails. SLOPE_TEST_DEVICE
// puts the tests' tensors on another device than the default one.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "core/backend.h"
#include "core/error.h"
#include "tests/skip.h"

namespace {

struct Counts {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
};

Counts counts;
std::string current_test;
bool current_skipped = false;

// Follows the run beside doctest's own reporter.
class Counter : public doctest::IReporter {
 public:
  explicit Counter(const doctest::ContextOptions&) {}

  void test_case_start(const doctest::TestCaseData& test) override {
    current_test = test.m_name;
    current_skipped = false;
  }

  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    const bool empty = stats.numAssertsCurrentTest == 0 && !current_skipped;
    if (stats.testCaseSuccess && empty) {
      std::printf("FAILED: %s: the test case checks nothing; a test must be able to fail.\n",
                  current_test.c_str());
    }
    if (!stats.testCaseSuccess || empty) {
      ++counts.failed;
    } else if (current_skipped) {
      ++counts.skipped;
    } else {
      ++counts.passed;
    }
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

}  // namespace

REGISTER_LISTENER("slope-tests", 1, Counter);

namespace slope::test {

void announce_skip(const std::string& reason) {
  current_skipped = true;
  std::printf("SKIPPED: %s: %s\n", current_test.c_str(), reason.c_str());
  std::fflush(stdout);
}

}  // namespace slope::test

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  context.setOption("no-breaks", true);
  std::optional<slope::DeviceScope> elsewhere;
  if (const char* name = std::getenv("SLOPE_TEST_DEVICE")) {
    try {
      elsewhere.emplace(slope::device(name));
    } catch (const slope::Error& error) {
      std::fprintf(stderr, "SLOPE_TEST_DEVICE: %s\n", error.what());
      return 1;
    }
  }
  const int status = context.run();
  if (context.shouldExit()) return status;  // a query such as --list-test-cases
  std::printf("slope-tests: %d passed, %d failed, %d skipped\n", counts.passed, counts.failed,
              counts.skipped);
  std::fflush(stdout);  // a sanitizer that finds a leak ends the process without flushing
  return counts.failed > 0 ? 1 : status;
}
