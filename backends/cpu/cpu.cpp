#include "backends/cpu/cpu.h"

#include "backends/reference/host_memory.h"
#include "backends/reference/reference.h"

namespace slope::cpu {
namespace {

class CpuBackend final : public HostBackend {
 public:
  CpuBackend() : table_(reference::kernels()) {
    add_pointwise(table_);
    add_movement(table_);
    add_reduce(table_);
    add_contract(table_);
    add_window(table_);
    add_norm(table_);
    add_loss(table_);
    add_solver(table_);
    add_optimizer(table_);
    add_random(table_);
  }
  std::string name() const override { return "cpu"; }
  // A kernel of this backend may decline a call (null): then the reference's kernel takes it.
  std::unique_ptr<Prepared> prepare(const Call& call) override {
    if (const auto found = table_.find(call.op.name); found != table_.end()) {
      if (auto prepared = found->second(call)) return prepared;
    }
    const auto fallback = reference::kernels().find(call.op.name);
    return fallback == reference::kernels().end() ? nullptr : fallback->second(call);
  }

 private:
  KernelTable table_;
};

}  // namespace

std::unique_ptr<Backend> make_backend() { return std::make_unique<CpuBackend>(); }

}  // namespace slope::cpu
