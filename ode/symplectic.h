// Symplectic methods for separable fields: y is positions q and momenta p with q' = g(t, p) and
// p' = f(t, q) (Field::halves, separable_field). They keep the energy of a Hamiltonian system
// within O(h^order) over any number of steps, where Runge-Kutta methods drift. (Hairer, Lubich,
// Wanner, Geometric Numerical Integration, sections I.1 and VI.3.) Both can be undone.
//
// One evaluation is one of g and one of f.
#pragma once

#include "ode/scheme.h"

namespace slope::ode {

// Order 1: p1 = p + h f(t, q), then q1 = q + h g(t1, p1).
Method semi_implicit_euler();

// Order 2, velocity Verlet: half a kick, a drift, half a kick.
//   p' = p + h/2 f(t, q)     q1 = q + h g(t + h/2, p')     p1 = p' + h/2 f(t1, q1)
// The last f is the next step's first: it is carried along.
Method leapfrog();

}  // namespace slope::ode
