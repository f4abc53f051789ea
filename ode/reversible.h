// Reversible methods: the state at t follows from the one at t1 exactly, up to rounding. Their
// gradient needs no stored states (Gradient::reversible).
#pragma once

#include "ode/scheme.h"

namespace slope::ode {

// Reversible Heun: order 2, one evaluation per step, with an error estimate. Beside y a second
// trajectory z, whose slope is the one that is evaluated:
//   z1 = 2 y - z + h f(t, z)      y1 = y + h/2 (f(t, z) + f(t1, z1))      error = h/2 (f1 - f)
// (Kidger, Foster, Li, Lyons, NeurIPS 2021.) Neutrally stable on the imaginary axis only: where
// solutions decay, z oscillates about y.
Method reversible_heun();

// Asynchronous leapfrog: one evaluation per step. Beside y a velocity v:
//   x = y + h/2 v     u = f(t + h/2, x)     v1 = v + 2 eta (u - v)     y1 = x + h/2 v1
// Order 2 for eta = 1. A smaller eta damps the oscillation of v, at the price of order 1: v then
// lags behind the slope by O(h). (Mutze 2013; damping: Zhuang et al., MALI, ICLR 2021.)
// eta: 0 < eta <= 1. At 1/2 v1 forgets v, and a step could not be undone: refused, as anything
// closer to it than 1e-3.
Method alf(double eta = 1);

}  // namespace slope::ode
