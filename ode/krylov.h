// GMRES: linear systems A x = b, where A is known only by what it does to a vector.
#pragma once

#include <functional>
#include <vector>

#include "core/tensor.h"

namespace slope::ode {

// Several independent systems of n unknowns at once, one in each row. x: (rows, n) -> A x,
// likewise; row r of the result depends on row r of x only.
using LinearMap = std::function<Tensor(const Tensor& x)>;

struct KrylovOptions {
  int restart = 40;          // vectors kept: memory is this many states
  int max_iterations = 200;  // products with A, in all
};

struct KrylovResult {
  Tensor x;                       // (rows, n)
  std::vector<double> left = {};  // |b_r - A x_r| as far as it is known
  // The largest |A v_r| of all v_r of length 1 that were tried: at most the norm of A.
  std::vector<double> stretch = {};
  bool converged = false;  // all rows have reached their goals
  int iterations = 0;
};

// b: (rows, n) on any device, float32 or float64; sizes: |b_r|, the 2-norm of each row; goals: the
// |b_r - A x_r| to reach. A row that has reached its goal stays as it is, so that its x does not
// depend on the rows beside it (as far as A does not).
//
// GMRES(m) of Saad and Schultz, SIAM J. Sci. Stat. Comput. 7 (1986). The basis is made orthogonal
// twice by classical Gram-Schmidt: all products of an iteration are one matrix product, and an
// iteration waits for the device once. The small least squares problems are solved on the host in
// float64. Never differentiated.
KrylovResult gmres(const LinearMap& a, const Tensor& b, const std::vector<double>& sizes,
                   const std::vector<double>& goals, const KrylovOptions& options = {});

}  // namespace slope::ode
