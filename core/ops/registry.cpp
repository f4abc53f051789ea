#include "core/ops/registry.h"

#include <algorithm>
#include <cstring>

namespace slope {

const std::vector<const Op*>& all_ops() {
  static const OpList all = [] {
    OpList list;
    for (const OpList& family :
         {pointwise_ops(), view_ops(), movement_ops(), index_ops(), reduce_ops(), contract_ops(),
          window_ops(), norm_ops(), loss_ops(), solver_ops(), optimizer_ops(), random_ops()}) {
      list.insert(list.end(), family.begin(), family.end());
    }
    std::sort(list.begin(), list.end(),
              [](const Op* a, const Op* b) { return std::strcmp(a->name, b->name) < 0; });
    return list;
  }();
  return all;
}

std::vector<std::string> conformance_modes(const Op& op) {
  std::vector<std::string> modes{"value"};
  const bool gradient = op.differentiable && !op.writes && (op.vjp || op.decompose);
  if (op.decompose) modes.push_back("decompose");
  if (gradient) modes.insert(modes.end(), {"gradient", "second-gradient"});
  modes.insert(modes.end(), {"plan", "threads"});
  return modes;
}

}  // namespace slope
