// States of several tensors.
#include "ode/tuple.h"

#include <doctest/doctest.h>

#include "autograd/functions.h"
#include "ode/gradient.h"
#include "ode/per_sample.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

TEST_CASE("tuple: packs and unpacks, of any ranks, differentiably") {
  const Tensor a = reshape(cast(arange(6), Dtype::f64), {2, 3});
  const Tensor b = reshape(cast(arange(8), Dtype::f64), {2, 2, 2}), c = ones({2}, Dtype::f64);
  const TupleLayout layout({a, b, c});
  CHECK(layout.values() == 8);
  const Tensor packed = layout.pack({a, b, c});
  CHECK(packed.shape() == Shape{2, 8});
  const Tensors back = layout.unpack(packed);
  CHECK(back[0].values() == a.values());
  CHECK(back[1].values() == b.values());
  CHECK(back[1].shape() == b.shape());
  CHECK(back[2].shape() == c.shape());
  CHECK(layout.unpack(slice(packed, 0, 1, 2))[1].shape() == Shape{1, 2, 2});

  CHECK_THROWS_AS(TupleLayout({}), ValueError);
  CHECK_THROWS_AS(TupleLayout({a, ones({3}, Dtype::f64)}), ShapeError);
  CHECK_THROWS_AS(TupleLayout({a, ones({2}, Dtype::f32)}), ShapeError);
  CHECK_THROWS_AS(TupleLayout({scalar(1)}), ShapeError);
  CHECK_THROWS_AS(layout.pack({a, b}), ValueError);
  CHECK_THROWS_AS(layout.pack({a, c, b}), ShapeError);
  CHECK_THROWS_AS(layout.unpack(a), ShapeError);
}

TEST_CASE("tuple: two bodies as position and velocity, and a matrix beside them") {
  const Problem whole = kepler_problem();
  const Tensor position = slice(whole.y0, 1, 0, 2), velocity = slice(whole.y0, 1, 2, 4);
  const Tensor m = reshape(tensor({1, 2, 3, 4}, {4}, Dtype::f64), {1, 2, 2});
  const TupleLayout layout({position, velocity, m});
  const Tensor rate = tensor({-0.5}, {1}, Dtype::f64);
  const Field field = layout.field(
      [](const Tensor&, const Tensors& ys, const Tensors& c) {
        const Tensor r2 = sum(square(ys[0]), {1}, true);
        return Tensors{ys[1], neg(ys[0]) * pow(r2, -1.5), ys[2] * c[0]};
      },
      {rate});
  const Tensor y0 = layout.pack({position, velocity, m});
  const Solution s = solve(field, y0, {0, 3}, parse_solver("dopri5@1e-9")).or_throw();
  const Tensors ys = layout.unpack(s.y);
  const std::vector<double> exact = whole.solution(3);
  CHECK(largest_difference(ys[0], {exact[0], exact[1]}) < 1e-7);
  CHECK(largest_difference(ys[1], {exact[2], exact[3]}) < 1e-7);
  CHECK(ys[2].values()[3] == doctest::Approx(4 * std::exp(-1.5)).epsilon(1e-8));
  CHECK(solve_per_sample(field, y0, {{0, 3}}, parse_solver("dopri5@1e-9")).y.values() ==
        s.y.values());

  Tape tape({rate, m});
  const Tensor packed = layout.pack({position, velocity, m});
  const Solution watched =
      solve_differentiable(field, packed, {0, 1}, parse_solver("rk4:20"), Gradient::checkpointed);
  const Tensor loss = sum(layout.unpack(watched.y)[2]);
  const Tensors d = tape.gradient(loss, {rate, m});
  CHECK(d[0].item() == doctest::Approx(10 * std::exp(-0.5)).epsilon(1e-6));
  CHECK(d[1].values()[0] == doctest::Approx(std::exp(-0.5)).epsilon(1e-6));
}
