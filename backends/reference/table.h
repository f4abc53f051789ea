// A backend's table: for each op's name, the function that prepares a kernel for a call.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>

#include "core/op.h"
#include "core/prepared.h"

namespace slope {

// Null when this call's dtypes or shapes are not covered.
using PrepareFunction = std::unique_ptr<Prepared> (*)(const Call&);
using KernelTable = std::unordered_map<std::string_view, PrepareFunction>;

}  // namespace slope
