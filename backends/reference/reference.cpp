#include "backends/reference/reference.h"

#include "backends/reference/host_memory.h"

namespace slope::reference {
namespace {

class ReferenceBackend final : public HostBackend {
 public:
  std::string name() const override { return "reference"; }
  std::unique_ptr<Prepared> prepare(const Call& call) override {
    const auto found = kernels().find(call.op.name);
    return found == kernels().end() ? nullptr : found->second(call);
  }
};

}  // namespace

std::unique_ptr<Backend> make_backend() { return std::make_unique<ReferenceBackend>(); }

const KernelTable& kernels() {
  static const KernelTable table = [] {
    KernelTable t;
    add_pointwise(t);
    add_movement(t);
    add_reduce(t);
    add_contract(t);
    add_window(t);
    add_norm(t);
    add_loss(t);
    add_solver(t);
    add_optimizer(t);
    add_random(t);
    return t;
  }();
  return table;
}

}  // namespace slope::reference
