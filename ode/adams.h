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

// Variable order and variable steps: at each step the order from 2 to 8 that promises the largest
// step for the tolerance, beginning at 2, so that no other method starts it (Hairer, Norsett,
// Wanner, section III.7). Adams-Bashforth of order k - 1 predicts, Adams-Moulton of order k
// corrects, the error estimate is the difference to Adams-Moulton of order k - 1: two evaluations
// per step. With fixed steps the orders are 2, 3, 4, 4, .., unless the grid brings them along
// (StepGrid::orders); the start makes that a method of order 3.
constexpr int kLeastVariableOrder = 2;
constexpr int kMostVariableOrder = 8;
Method variable_adams();

}  // namespace slope::ode
