// Order conditions: which order a Runge-Kutta method really has, by algebra.
//
// Butcher's theorem: weights w give order p if and only if for every rooted tree T with n <= p
// nodes
//   sum_i w_i u_i(T) = 1 / density(T),
// where u(leaf) = (1, .., 1) and u_i([T1, .., Tm]) = prod_k (A u(Tk))_i. (Hairer, Norsett, Wanner,
// Solving ODEs I, section II.2.) There are 1, 1, 2, 4, 9, 20, 48, 115, 286 trees of order 1 to 9.
#pragma once

#include <vector>

#include "ode/tableau.h"

namespace slope::ode {

struct RootedTree {
  int order = 1;                   // nodes
  double density = 1;              // order times the densities of the children
  double symmetry = 1;             // ways to map the tree onto itself
  std::vector<int> children = {};  // indices in the list, not falling
};

constexpr int kMaxTreeOrder = 9;
// All rooted trees of up to 9 nodes, by order; children stand before their parents.
const std::vector<RootedTree>& rooted_trees();

// What is left of the conditions of the trees with n nodes: sum_i w_i u_i - x^n / density, the
// local error's coefficients at t + x h. weights: (s), those of y1 (m.b), of the embedded solution,
// or of an interpolant at x.
std::vector<double> order_defects(const Tableau& m, const std::vector<double>& weights, int n,
                                  double x = 1);
// The highest p <= kMaxTreeOrder whose conditions, and all before, hold to rounding.
int proven_order(const Tableau& m, const std::vector<double>& weights, double x = 1);

// Euclidean norm of the principal error coefficients: of defect / symmetry over the trees of order
// m.order + 1. Methods of equal order compare by it.
double error_constant(const Tableau& m);

// The interpolant's weights d_i(x), one for each row of m.dense.
std::vector<double> dense_weights(const Tableau& m, double x);
// The method with f(t1, y1) as one more stage of weight zero, unless it has it already: the stages
// that the rows of m.dense belong to.
Tableau with_last_slope(const Tableau& m);

}  // namespace slope::ode
