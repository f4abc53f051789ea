// A root of a function of one variable inside a bracket.
#pragma once

#include <functional>

namespace slope::ode {

struct Bracket {
  double a, fa;  // f(a)
  double b, fb;  // f(b), of the other sign; a < b or b < a
};

// Shrinks the bracket until it is no wider than `width`, or no number lies between its ends, and
// returns the end with the smaller |f|. Never more than one evaluation beyond bisection, and
// superlinear on smooth functions: ITP (Oliveira and Takahashi, ACM Trans. Math. Softw. 47, 2021).
double find_root(const std::function<double(double)>& f, Bracket bracket, double width);

}  // namespace slope::ode
