// Stability of a method on y' = z y: how far its step may reach before it blows up.
#pragma once

#include <complex>
#include <vector>

#include "ode/tableau.h"

namespace slope::ode {

// R(z), the factor by which one step of size 1 multiplies y: 1 + z w^T (I - z A)^-1 (1, .., 1), a
// polynomial for explicit methods. weights: (s), m.b or those of the embedded solution. (Hairer,
// Wanner, Solving ODEs II, section IV.3.) Infinite at a pole.
std::complex<double> stability_function(const Tableau& m, const std::vector<double>& weights,
                                        std::complex<double> z);

// The boundary on the negative real and on the imaginary axis: the largest x with |R| <= 1 on all
// of [0, x]; infinite if it is not found up to 100, as of A-stable methods. A growth of 1e-7 a step
// is let pass: along the imaginary axis many good methods leave the unit disc at once, by a few
// digits in the eighth place (dopri8 up to 3.7).
double real_stability(const Tableau& m);
double imaginary_stability(const Tableau& m);

}  // namespace slope::ode
