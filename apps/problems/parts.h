// What the definitions of problems are written with.
#pragma once

#include <string>
#include <vector>

#include "apps/problems/problem.h"
#include "core/word.h"

namespace slope::problems {

// One row of numbers: (1, n).
Tensor row(const std::vector<double>& values, Dtype dtype);
// Component i of each sample. y: (N, n) -> (N, 1).
Tensor part(const Tensor& y, int64_t i);
// Components side by side. parts: (N, n_i) each -> (N, sum n_i).
Tensor join(const Tensors& parts);

// y' = A y as a field: A (n, n) by rows is its context.
ode::Field linear_field(const std::vector<double>& a, Dtype dtype);

// Position and velocity (x, y, x', y') of a body around a fixed one, eccentricity e, started at the
// perihelion at t = 0 with semi-major axis 1.
ode::Field two_body_field();
std::vector<double> two_body_start(double e);
std::vector<double> two_body_solution(double e, double t);

// The value of a parameter in a word, from low to below high; `standard` where it is not given.
double take_parameter(Word& word, const std::string& name, double standard, double low,
                      double high);

// The problems by family. Each takes the options it knows from the word.
Problem make_elementary(const std::string& name, Dtype dtype);
Problem make_kepler(Word& word, Dtype dtype);
Problem make_vanderpol(Word& word, Dtype dtype);
Problem make_bouncing_ball(Dtype dtype);
Problem make_nonlinear(const std::string& name, Dtype dtype);
// name: "a1" .. "e5".
Problem make_detest(const std::string& name, Dtype dtype);
ode::Field planets_field(Dtype dtype);
std::vector<double> planets_start();

}  // namespace slope::problems
