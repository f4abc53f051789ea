// Exact kernels: a scope, what is recorded in one, and the solves that ask for them.
#include "core/exact.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/tape.h"
#include "core/ops.h"
#include "ode/gradient.h"
#include "ode/gradient_per_sample.h"
#include "ode/solver_word.h"

using namespace slope;

namespace {

// A convolution that the cpu backend computes by Winograd's method, unless it has to be exact.
struct Images {
  Tensor x, w;
  Images() : x(values({2, 6, 6, 64}, 1, 1)), w(values({64, 3, 3, 64}, 2, 0.04)) {}

  static Tensor values(const Shape& shape, int seed, double size) {
    std::vector<double> values;
    for (int64_t i = 0; i < shape.size(); ++i) {
      values.push_back(size * std::sin(static_cast<double>((i * 7919 + seed * 104729) % 100003)));
    }
    return tensor(values, shape, Dtype::f32, device("cpu"));
  }
  static Tensor convolve(const Tensor& x, const Tensor& w) {
    return conv2d(x, w, {}, {.padding = {1, 1}});
  }
  ode::Field field() const {
    return {.context = {w}, .evaluate = [](const Tensor&, const Tensor& y, const Tensors& context) {
              return tanh(convolve(y, context[0]));
            }};
  }
};

bool same(const Tensor& a, const Tensor& b) { return a.values() == b.values(); }

TEST_CASE("exact scope: convolutions keep to direct kernels, and nests") {
  const Images im;
  CHECK_FALSE(exact_kernels());
  const Tensor fast = Images::convolve(im.x, im.w);
  Tensor exact;
  {
    const ExactScope scope;
    CHECK(exact_kernels());
    {
      const ExactScope inner(false);
      CHECK(exact_kernels());
    }
    CHECK(exact_kernels());
    exact = Images::convolve(im.x, im.w);
  }
  CHECK_FALSE(exact_kernels());
  CHECK_FALSE(same(fast, exact));
  CHECK(max(abs(fast - exact)).item() < 1e-4 * max(abs(exact)).item());
  CHECK(same(Images::convolve(im.x, im.w), fast));  // what was prepared in the scope is not used
}

TEST_CASE("exact scope: the gradients of what is recorded in one are exact") {
  const Images im;
  const Tensor g = Images::values({2, 6, 6, 64}, 3, 1);
  Tensor fast, exact, expected;
  {
    Tape tape({im.x});
    const Tensor y = Images::convolve(im.x, im.w);
    fast = tape.gradient(y, {im.x}, g)[0];
  }
  {
    Tape tape({im.x});
    Tensor y;
    {
      const ExactScope scope;
      y = Images::convolve(im.x, im.w);
    }
    exact = tape.gradient(y, {im.x}, g)[0];
  }
  {
    const ExactScope scope;
    expected = conv2d_data_gradient(g, im.w, im.x.shape(), {.padding = {1, 1}});
  }
  CHECK(same(exact, expected));
  CHECK_FALSE(same(fast, expected));
}

struct Solved {
  Tensor y, dx, dw;
};

// The end of a solve, and its gradient.
Solved solve_once(const Images& im, const std::string& solver, ode::Gradient gradient,
                  bool per_sample, ode::StepPlans* plans) {
  Tape tape({im.x, im.w});
  const ode::Solver by = ode::parse_solver(solver);
  Tensor y;
  if (per_sample) {
    y = ode::solve_per_sample_differentiable(im.field(), im.x, {{0, 0.3}}, by, gradient, plans)
            .ys.back();
  } else {
    y = ode::solve_differentiable(im.field(), im.x, {0, 0.3}, by, gradient, plans).ys.back();
  }
  const Tensors d = tape.gradient(mean(square(y)), {im.x, im.w});
  return {y, d[0], d[1]};
}

TEST_CASE("adaptive solves below rtol 1e-5 use exact kernels, forward and backward") {
  const Images im;
  for (const ode::Gradient gradient :
       {ode::Gradient::through, ode::Gradient::checkpointed, ode::Gradient::adjoint}) {
    for (const bool per_sample : {false, true}) {
      INFO(ode::name(gradient), per_sample ? ", per sample" : "");
      ode::StepPlans plans;  // shared by both tolerances and both kinds of kernels
      for (const bool tight : {false, true}) {
        const std::string solver = tight ? "dopri5@9e-6,1e-5" : "dopri5@1e-4";
        const Solved found = solve_once(im, solver, gradient, per_sample, &plans);
        const ExactScope scope;
        const Solved exact = solve_once(im, solver, gradient, per_sample, &plans);
        CHECK(same(found.y, exact.y) == tight);
        CHECK(same(found.dx, exact.dx) == tight);
        CHECK(same(found.dw, exact.dw) == tight);
      }
    }
  }
}

}  // namespace
