// A recorder that counts the ops that run, by name.
#pragma once

#include <map>
#include <string>

#include "core/dispatch.h"

namespace slope::test {

class OpCounter final : public Recorder {
 public:
  OpCounter() : scope_(*this) {}
  void record(const Recorded& recorded) override { ++counts[recorded.call.op.name]; }
  int operator[](const std::string& name) const {
    const auto found = counts.find(name);
    return found == counts.end() ? 0 : found->second;
  }
  int total() const {
    int sum = 0;
    for (const auto& [name, count] : counts) sum += count;
    return sum;
  }
  std::map<std::string, int> counts;

 private:
  RecorderScope scope_;
};

}  // namespace slope::test
