// What a piece of work costs, counted call by call: operations, bytes, and from both the time that
// a device described by its data sheet would take at best.
#pragma once

#include "core/dispatch.h"

namespace slope::program {

// A device as its maker describes it, with two assumptions.
struct Roofline {
  double flops;           // float32 operations per second
  double bandwidth;       // bytes per second, from its main memory
  double launch_seconds;  // assumed: from one kernel of a graph to the next
  double read_seconds;    // assumed: until the host has a value and has queued what follows
};
// H100 SXM, from NVIDIA's data sheet: 132 multiprocessors with 128 float32 lanes each at 1.98 GHz,
// tensor cores not counted; HBM3.
constexpr Roofline kH100{66.9e12, 3.35e12, 1.5e-6, 15e-6};

struct CallCosts {
  int64_t calls = 0;
  int64_t host_reads = 0;
  double flops = 0;             // of products and convolutions, a multiply-add counted twice
  double bytes = 0;             // of all arguments and results, each read or written once
  double roofline_seconds = 0;  // each call as long as the slower of both takes on kH100

  double predicted_seconds() const {
    return roofline_seconds + static_cast<double>(calls) * kH100.launch_seconds +
           static_cast<double>(host_reads) * kH100.read_seconds;
  }
};

// Counts every call on this thread while it lives; what a plan replays it does not see.
class CostCounter final : public Recorder {
 public:
  CostCounter() : scope_(*this) {}
  void record(const Recorded& recorded) override;
  void host_read(const char*) override { ++costs.host_reads; }

  CallCosts costs;

 private:
  RecorderScope scope_;
};

}  // namespace slope::program
