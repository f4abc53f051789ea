// The implicit Runge-Kutta methods, as data.
#pragma once

#include <span>

#include "ode/tableau.h"

namespace slope::ode {

std::span<const TableauText> implicit_tableaus();

}  // namespace slope::ode
