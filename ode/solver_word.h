// Solver words: how people write a solver in one word that needs no quoting in a shell.
//
//   METHOD[,name=value]...[:STEPS | :h=SIZE | @RTOL[,ATOL]][~CONTROLLER]
//
//   euler:64            64 equal steps                     dopri5@1e-3         rtol = atol = 1e-3
//   rk4                 one step                           tsit5@1e-6,1e-8     rtol, atol
//   rk2,u=0.3:8         parametric, 8 steps                rk3,u=1/3,v=2/3:4
//   rk4:h=0.25          a step size, last step clipped     dopri5@1e-6~pid,0.4,0.3,0
//   explicit_adams,order=3:20                              alf,eta=0.9:10
//
// A bare adaptive method means @1e-3, a bare fixed one a single step. Controllers: ~i (default),
// ~pi, ~pid,P,I,D.
#pragma once

#include <string>

#include "ode/solver.h"

namespace slope::ode {

// Errors, all ValueError with the word: unknown method (the nearest name is offered), unknown or
// singular parameters, steps below 1, sizes and tolerances that are not positive numbers, a
// tolerance for a method without error estimate, a controller for fixed steps.
Solver parse_solver(const std::string& word);

// The canonical word: slope's own method name, parameters, and always the steps or the tolerance.
// parse_solver(solver_word(s)) is s again. (A StepGrid has no word: only its method is written.)
std::string solver_word(const Solver& solver);

}  // namespace slope::ode
