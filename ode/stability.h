// Stability of a method on y' = z y: how far its step may reach before it blows up.
#pragma once

#include <vector>

#include "ode/tableau.h"

namespace slope::ode {

// R(z) = 1 + r1 z + r2 z^2 + .., the factor by which one step of size 1 multiplies y.
std::vector<double> stability_polynomial(const Tableau& m);

// The boundary on the negative real and on the imaginary axis: the largest x with |R| <= 1 on all
// of [0, x]. A growth of 1e-7 a step is let pass: along the imaginary axis many good methods leave
// the unit disc at once, by a few digits in the eighth place (dopri8 up to 3.7).
double real_stability(const Tableau& m);
double imaginary_stability(const Tableau& m);

}  // namespace slope::ode
