// Counts how often the host reads values from the device.
#pragma once

#include "core/dispatch.h"

namespace slope::ode {

class ReadCounter final : public Recorder {
 public:
  ReadCounter() : scope_(*this) {}
  void record(const Recorded&) override {}
  void host_read(const char*) override { ++reads; }
  int reads = 0;

 private:
  RecorderScope scope_;
};

}  // namespace slope::ode
