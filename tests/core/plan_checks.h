// Sets SLOPE_CHECK_PLANS for a scope: checked plans compare replays with eager runs and poison old
// results, and so run and allocate more than a plan should.
#pragma once

#include <cstdlib>
#include <string>

namespace slope::test {

class PlanChecks {
 public:
  explicit PlanChecks(bool on) {
    if (const char* old = std::getenv("SLOPE_CHECK_PLANS")) old_ = old;
    setenv("SLOPE_CHECK_PLANS", on ? "1" : "0", 1);
  }
  ~PlanChecks() {
    if (old_.empty()) {
      unsetenv("SLOPE_CHECK_PLANS");
    } else {
      setenv("SLOPE_CHECK_PLANS", old_.c_str(), 1);
    }
  }
  PlanChecks(const PlanChecks&) = delete;
  PlanChecks& operator=(const PlanChecks&) = delete;

 private:
  std::string old_;
};

}  // namespace slope::test
