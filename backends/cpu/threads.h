// The one thread runtime of the cpu backend: a parallel loop over tasks whose number never depends
// on the threads.
#pragma once

#include <cstdint>
#include <type_traits>

namespace slope::cpu {

// More than any machine has, and few enough that starting them all cannot bring a process down.
inline constexpr int kMostThreads = 1024;

// How many threads the parallel loops (and oneDNN) may use. Starts with what OpenMP finds:
// OMP_NUM_THREADS, else the processors this process may run on, at most kMostThreads. Throws
// ValueError for a count below 1 or above kMostThreads.
void set_threads(int count);
int threads();

// The most threads that any loop will use in this process: what scratch memory "per thread" is
// sized by. It is at least threads() and at least the number of processors, and does not shrink.
int thread_slots();

// A loop whose whole work takes less than this on one thread stays on one: opening a parallel
// region costs about a microsecond, so a second thread pays from 2-3 us on. Each further thread
// wants half as much again.
inline constexpr double kWorthThreads = 3000;  // nanoseconds

// Work estimates for the cost argument below: rough is good enough, what matters is the side of
// kWorthThreads.
inline constexpr double nanoseconds_for_bytes(double bytes) { return bytes / 16; }
inline constexpr double nanoseconds_for_multiply_adds(double count) { return count / 32; }

namespace detail {
using Range = void (*)(void* body, int64_t begin, int64_t end, int slot);
void run_ranges(int64_t tasks, double nanoseconds, int max_slots, Range range, void* body);
}  // namespace detail

// Calls body(task), or body(task, slot), for each task in [0, tasks). `nanoseconds` is a rough
// estimate of the whole work on one thread. Each thread gets one contiguous run of tasks, so that
// loops over the same tasks find their data in the same core's cache. `slot` counts the threads of
// this loop from 0 and picks their scratch memory; it is below max_slots (default: thread_slots()).
//
// Results may depend on the tasks but not on the threads: choose `tasks` from the problem's sizes
// only, let each task write its own output, and add partial sums up in task order afterwards. Runs
// serially, with slot 0, inside another parallel region, with one thread, and when the work is too
// small. An exception in a task is thrown again here.
template <typename Body>
void parallel_for(int64_t tasks, double nanoseconds, Body&& body, int max_slots = 0) {
  using Plain = std::remove_reference_t<Body>;
  const detail::Range range = [](void* erased, int64_t begin, int64_t end, int slot) {
    Plain& call = *static_cast<Plain*>(erased);
    for (int64_t task = begin; task < end; ++task) {
      if constexpr (std::is_invocable_v<Plain&, int64_t, int>) {
        call(task, slot);
      } else {
        call(task);
      }
    }
  };
  detail::run_ranges(tasks, nanoseconds, max_slots, range,
                     const_cast<void*>(static_cast<const volatile void*>(&body)));
}

}  // namespace slope::cpu
