// Both ways to include an installed header work, linking needs nothing but the two targets, and
// what is linked computes.
#include <slope.h>
#include <slope/slope.h>

#include <slope/nn/data/embedded.h>
#include <cmath>
#include <cstdio>
#include <vector>

#include "core/tensor.h"

int main() {
  using namespace slope;
  const ode::Field decay{
      .evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return -y; }};
  const Tensor y0 = tensor({1}, {1}, Dtype::f64);
  const auto solution =
      ode::solve(decay, y0, std::vector<double>{0, 1}, ode::parse_solver("rk4:64"));
  const double y1 = solution.ys.back().item();
  std::printf("exp(-1) = %.9f\n", y1);
  const bool right = std::fabs(y1 - std::exp(-1.0)) < 1e-8;
  return right && nn::embedded_file("no such file").empty() ? 0 : 1;
}
