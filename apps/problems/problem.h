// Problem: an initial value problem with a name, and what is known about its solution.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ode/event.h"

namespace slope::problems {

// y' = field(t, y), y(0) = y0, meant to be solved from t = 0 to `end`. The field takes any number
// of samples: y (N, n), t () or (N, 1).
struct Problem {
  std::string name;  // the word, with every parameter: "vanderpol,mu=5"
  std::string what;  // one line for people
  ode::Field field;
  Tensor y0;  // (1, n)
  double end = 1;
  std::vector<std::string> components;  // (n), what they are called

  // The solution where there is a formula: (n) at time t. Good to a few digits less than float64's.
  std::function<std::vector<double>(double t)> solution = {};
  // Elsewhere: states at some times, computed with other methods in higher precision
  // (scripts/problem_references.py), right to 1e-12 of the largest component.
  struct Reference {
    double time;
    std::vector<double> state;
  };
  std::vector<Reference> references = {};
  // What happens to the solution on its way. Such a problem is solved forward in time, one sample
  // at a time.
  struct Happening {
    std::string name;  // "bounce"
    ode::Event event;
  };
  std::vector<Happening> events = {};
  // Explicit methods need tiny steps for their stability alone.
  bool stiff = false;
};

// The solution at t, by formula or table; empty where it is not known.
std::vector<double> known_solution(const Problem& problem, double t);

struct ProblemEntry {
  std::string name;        // "kepler"
  std::string parameters;  // "e=0.3", the default; empty without
  std::string what;
};
// All problems, in the order in which they are listed; the 25 of DETEST singly.
const std::vector<ProblemEntry>& problem_list();

// word: NAME[,parameter=value]. Errors, all ValueError: an unknown problem (the nearest name is
// offered) or parameter, a value out of range.
Problem make_problem(const std::string& word, Dtype dtype = Dtype::f64);
// The problems a word stands for: the 25 of DETEST for "detest", else the one.
std::vector<Problem> make_problems(const std::string& word, Dtype dtype = Dtype::f64);

}  // namespace slope::problems
