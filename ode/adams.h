// Adams methods: the slopes of earlier steps, and the polynomial through them.
//
//   y1 = y + integral from t to t1 of P(s) ds
// Adams-Bashforth: P is the polynomial through f_n, f_(n-1), .., f_(n-k+1), of order k.
// Adams-Moulton:   P is the one through f(t1, y1), f_n, .., f_(n-k+2), of order k too; y1 on the
//                  right comes from Adams-Bashforth, and its slope is evaluated twice (PECE).
// (Hairer, Norsett, Wanner, Solving ODEs I, sections III.1 and III.5.)
//
// The weights are those of the steps as they really are: a clipped last step, an irregular grid or
// adaptive steps keep the order. The first k - 1 steps, where slopes are still missing, are those
// of a Runge-Kutta method of order k or higher.
#pragma once

#include "ode/scheme.h"

namespace slope::ode {

constexpr int kMaxAdamsOrder = 6;
constexpr int kDefaultAdamsOrder = 4;

// order: 1 to 6. Without error estimate.
Method explicit_adams(int order = kDefaultAdamsOrder);
// order: 2 to 6. The error estimate is the difference to Adams-Moulton of order - 1.
Method implicit_adams(int order = kDefaultAdamsOrder);

// What the weights w of one step multiply: y1 = y + h (w_0 f_0 + w_1 f_1 + ..), where f_j belongs
// to nodes[j] = (t_j - t) / h. They integrate the polynomial through the nodes from 0 to 1.
std::vector<double> adams_weights(const std::vector<double>& nodes);

}  // namespace slope::ode
