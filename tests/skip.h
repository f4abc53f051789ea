// How a test says that it cannot run here. A skipped test is counted and its reason is shown; it
// never passes quietly.
#pragma once

#include <string>

namespace slope::test {

// Prints `SKIPPED: <test case>: <reason>` and counts the running test case as skipped.
void announce_skip(const std::string& reason);

}  // namespace slope::test

// Ends the running test case: SKIP_TEST("no CUDA device");
#define SKIP_TEST(reason)                 \
  do {                                    \
    ::slope::test::announce_skip(reason); \
    return;                               \
  } while (false)
