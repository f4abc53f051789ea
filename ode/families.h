// Families of Runge-Kutta methods: all methods of order 2 with two stages, of order 3 with three
// and of order 4 with four, by their nodes u and v. (Butcher, Numerical Methods for ODEs,
// section 3.2.)
//
// Where a formula divides by zero there is no method: such a parameter, and any closer to it than
// kPoleDistance, is refused with its value and the reason.
#pragma once

#include "ode/tableau.h"

namespace slope::ode {

constexpr double kPoleDistance = 1e-6;

// Order 2, c = (0, u). u = 1/2 midpoint, 2/3 Ralston, 1 Heun. Pole: u = 0.
Tableau rk2(double u);

// Order 3, c = (0, u, v). (1/3, 2/3) Heun, (1/2, 1) Kutta, (1/2, 3/4) Ralston, (1, 1/2) SSP.
// Poles: u = 0, v = 0, u = v, u = 2/3.
Tableau rk3(double u, double v);

// Order 4, the cases with a free weight u.
Tableau rk4_u1(double u);  // c = (0, 1/2, 0, 1),   b = (1/6 - u, 2/3, u, 1/6). Pole: u = 0
Tableau rk4_u2(double u);  // c = (0, 1/2, 1/2, 1), b = (1/6, 2/3 - u, u, 1/6); u = 1/3 is the
                           // classical method, (2 + sqrt 2)/6 Gill's. Pole: u = 0
Tableau rk4_u3(double u);  // c = (0, 1, 1/2, 1),   b = (1/6, 1/6 - u, 2/3, u). Pole: u = 0

// Order 4, c = (0, u, v, 1). (1/3, 2/3) is the 3/8 rule.
// Poles: u = 0, u = 1/2, u = 1, v = 0, v = 1, u = v, and b4 = 0, which is 6uv - 4u - 4v + 3 = 0.
Tableau rk4(double u, double v);

// Parameters as the published meta-solvers move them away from poles: into [eps, 1], [eps, 1 -
// eps], off u = 1/2 and u = v by eps. (It leaves out u = 2/3 of rk3 and b4 = 0 of rk4, which are
// refused here as everywhere.) family: "rk2" and "rk3", "rk4" with u and v, or "rk4_u" for the
// three with one parameter.
constexpr double kPublishedEps = 9.765625e-4;          // for parameters in float32
constexpr double kPublishedEpsFloat64 = 1.1920929e-7;  // for parameters in float64
struct FamilyParameters {
  double u = 0, v = 0;
};
FamilyParameters published_clamp(const std::string& family, FamilyParameters p,
                                 double eps = kPublishedEps);

}  // namespace slope::ode
