// The records of each family, listed by hand: no static self-registration.
#pragma once

#include "core/op.h"

namespace slope {

using OpList = std::vector<const Op*>;
OpList pointwise_ops();
OpList view_ops();
OpList movement_ops();
OpList index_ops();
OpList reduce_ops();
OpList contract_ops();
OpList window_ops();
OpList norm_ops();
OpList loss_ops();
OpList solver_ops();
OpList optimizer_ops();
OpList random_ops();

}  // namespace slope
