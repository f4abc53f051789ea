// Problems without a formula, and Kepler's.
#include <algorithm>
#include <cmath>

#include "apps/problems/parts.h"
#include "core/ops.h"
#include "ode/number_text.h"

namespace slope::problems {
namespace {

Problem lotka_volterra(Dtype dtype) {
  return {.name = "lotka-volterra",
          .what = "prey and predators: x' = 1.5 x - x z, z' = x z - 3 z, from (10, 5)",
          .field = {.evaluate =
                        [](const Tensor&, const Tensor& y, const Tensors&) {
                          const Tensor prey = part(y, 0), predators = part(y, 1);
                          const Tensor meetings = prey * predators;
                          return join({1.5 * prey - meetings, meetings - 3.0 * predators});
                        }},
          .y0 = row({10, 5}, dtype),
          .end = 10,
          .components = {"prey", "predators"}};
}

// Robertson, The solution of a set of reaction rate equations (1966): rates 0.04, 1e4 and 3e7.
Problem robertson(Dtype dtype) {
  return {.name = "robertson",
          .what = "three chemical species, rates from 0.04 to 3e7; very stiff",
          .field = {.evaluate =
                        [](const Tensor&, const Tensor& y, const Tensors&) {
                          const Tensor a = part(y, 0), b = part(y, 1), c = part(y, 2);
                          const Tensor slow = 0.04 * a, back = 1e4 * b * c;
                          const Tensor fast = 3e7 * square(b);
                          return join({back - slow, slow - back - fast, fast});
                        }},
          .y0 = row({1, 0, 0}, dtype),
          .end = 1e5,
          .components = {"A", "B", "C"},
          .stiff = true};
}

Problem pendulum(Dtype dtype) {
  return {.name = "pendulum",
          .what = "angle'' = -sin(angle), let go at 2 radians",
          .field = ode::separable_field(
              {.position_slope = [](const Tensor&, const Tensor& velocity,
                                    const Tensors&) { return velocity; },
               .momentum_slope = [](const Tensor&, const Tensor& angle,
                                    const Tensors&) { return neg(sin(angle)); }}),
          .y0 = row({2, 0}, dtype),
          .end = 10,
          .components = {"angle", "velocity"}};
}

// The landscape whose minima the data set "minima" asks for: V = 0.2 x (x - 2) (x - 0.5) (x + 1)
// (x + 0.6) (x - 1.6), friction 0.2.
Problem minima(Dtype dtype) {
  return {.name = "minima",
          .what = "a ball with friction that comes to rest in one of three minima, from (2, 1.5)",
          .field = {.evaluate =
                        [](const Tensor&, const Tensor& y, const Tensors&) {
                          const Tensor x = part(y, 0), v = part(y, 1);
                          Tensor force = 1.2 * x - 2.5;  // V', by Horner's rule
                          for (double c : {-0.768, 2.364, 0.176, -0.192}) force = force * x + c;
                          return join({v, neg(force) - 0.2 * v});
                        }},
          .y0 = row({2, 1.5}, dtype),
          .end = 100,
          .components = {"x", "v"}};
}

}  // namespace

Problem make_kepler(Word& word, Dtype dtype) {
  // Above 0.999 the formula itself loses digits at the perihelion.
  const double e = take_parameter(word, "e", 0.3, 0, 0.999);
  return {.name = "kepler,e=" + ode::number_text(e),
          .what = "two bodies, eccentricity e, from the perihelion",
          .field = two_body_field(),
          .y0 = row(two_body_start(e), dtype),
          .end = 20,
          .components = {"x", "y", "x'", "y'"},
          .solution = [e](double t) { return two_body_solution(e, t); }};
}

Problem make_vanderpol(Word& word, Dtype dtype) {
  const double mu = take_parameter(word, "mu", 5, 0, HUGE_VAL);
  return {.name = "vanderpol,mu=" + ode::number_text(mu),
          .what = "x'' = mu (1 - x^2) x' - x, from (2, 0); stiff for large mu",
          .field = {.evaluate =
                        [mu](const Tensor&, const Tensor& y, const Tensors&) {
                          const Tensor x = part(y, 0), v = part(y, 1);
                          return join({v, mu * (1.0 - square(x)) * v - x});
                        }},
          .y0 = row({2, 0}, dtype),
          .end = std::max(20.0, 2 * mu),  // a period is about 1.6 mu
          .components = {"x", "x'"},
          .stiff = mu > 30};
}

Problem make_nonlinear(const std::string& name, Dtype dtype) {
  if (name == "lotka-volterra") return lotka_volterra(dtype);
  if (name == "robertson") return robertson(dtype);
  if (name == "pendulum") return pendulum(dtype);
  return minima(dtype);
}

}  // namespace slope::problems
