// The methods by name, and every explicit Runge-Kutta method of slope as data.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ode/scheme.h"

namespace slope::ode {

// Parameters of a family as they stand in a solver word: {{"u", 0.3}, {"v", 0.6}}.
using MethodParameters = std::vector<std::pair<std::string, double>>;

// A method by name or alias ("dopri5", "bogacki-shampine", "adaptive_heun"), or a member of a
// family: rk2 {u}, rk3 {u, v}, rk4 {u1}, {u2}, {u3} or {u, v}. Bare rk2 has u = 1/2; bare rk4 is
// the classical method. rk2-clamped, rk3-clamped and rk4-clamped move their parameters first as the
// published meta-solvers do (published_clamp). explicit_adams and implicit_adams take {order}, alf
// takes {eta}. Errors: an unknown name (the nearest one is offered), parameters the method does not
// have, singular parameters.
Method method(const std::string& name, const MethodParameters& parameters = {});
// The same for Runge-Kutta methods. Other names: ValueError.
Tableau tableau(const std::string& name, const MethodParameters& parameters = {});

// slope's own name for a method, and whether that name or alias means adaptive steps by default.
struct MethodName {
  std::string name;
  bool adaptive = false;
};
MethodName canonical_method(const std::string& name);

// The explicit Runge-Kutta methods without parameters, lowest order first within fixed and adaptive
// ones.
std::vector<Tableau> explicit_methods();
// The implicit ones, likewise.
std::vector<Tableau> implicit_methods();
// One member of each family, for lists and tests.
std::vector<Tableau> family_examples();
// All of them, and the methods of other kinds.
std::vector<Method> all_methods();

struct MethodAlias {
  const char* alias;
  const char* name;
  bool adaptive;
};
std::span<const MethodAlias> method_aliases();

}  // namespace slope::ode
