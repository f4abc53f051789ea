// The number of threads: what is refused leaves the old one.
#include "backends/cpu/threads.h"

#include <doctest/doctest.h>

#include <atomic>

#include "core/error.h"

using namespace slope;

TEST_CASE("threads: a count below 1 or above what a process can carry is refused") {
  const int before = cpu::threads();
  for (const int count : {0, -3, cpu::kMostThreads + 1, 1'000'000}) {
    CHECK_THROWS_AS(cpu::set_threads(count), ValueError);
    CHECK(cpu::threads() == before);
  }
  // More than there are processors is allowed, and computes.
  cpu::set_threads(64);
  std::atomic<int> sum = 0;
  cpu::parallel_for(1000, 1e9, [&](int64_t task) { sum += static_cast<int>(task); });
  CHECK(sum == 499'500);
  cpu::set_threads(before);
}
