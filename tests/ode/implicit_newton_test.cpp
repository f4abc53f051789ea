// Newton's method without a matrix, and the gradient of its solution.
#include "ode/implicit_newton.h"

#include <doctest/doctest.h>

#include <cmath>
#include <optional>

#include "autograd/functions.h"
#include "autograd/gradcheck.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "ode/implicit_jacobian.h"

using namespace slope;
using namespace slope::ode;

namespace {

Tensor wave(const Shape& shape, double phase) {
  std::vector<double> values;
  for (int64_t i = 0; i < shape.size(); ++i) {
    values.push_back(std::sin(1.3 * static_cast<double>(i) + phase));
  }
  return tensor(values, shape, Dtype::f64);
}

std::shared_ptr<NewtonReport> fresh() { return std::make_shared<NewtonReport>(); }

NewtonOptions tight() { return {.tolerances = {1e-14}, .rounding = 1e-12}; }

// x = tanh(x w^T) + b: samples of their own. x: (N, n), w: (n, n), b: (N, n)
Tensors layer(const Tensors& x, const Tensors& p) { return {tanh(linear(x[0], p[0])) + p[1]}; }

double largest(const Tensor& x) { return max(abs(x)).item(); }

}  // namespace

TEST_CASE("linearized: both products with the Jacobian") {
  const Tensor x = wave({2, 3}, 0.2), w = wave({3, 3}, 1.0), b = wave({2, 3}, 2.0);
  Linearized at(layer, {x}, {w, b}, {true, false});
  CHECK(at.value()[0].values() == layer({x}, {w, b})[0].values());
  const Tensor u = wave({2, 3}, 0.7), v = wave({2, 3}, 1.9);
  const double h = 1e-6;
  const Tensor quotient = (layer({x + h * v}, {w, b})[0] - layer({x - h * v}, {w, b})[0]) / (2 * h);
  for (int repeat = 0; repeat < 2; ++repeat) {
    const Tensor jv = at.jacobian_vector({v})[0], uj = at.vector_jacobian({u})[0];
    CHECK(largest(jv - quotient) < 1e-9);
    CHECK(sum(u * jv).item() == doctest::Approx(sum(uj * v).item()).epsilon(1e-12));
  }
  CHECK(at.seen());
  CHECK(at.seen_twice());
  const Tensors d = at.gradients({u});
  CHECK(d[0].shape() == Shape{3, 3});
  CHECK(!d[1].defined());
}

TEST_CASE("newton: solves, each sample for itself, in few iterations") {
  const Tensor w = 0.4 * wave({4, 4}, 1.0), b = wave({5, 4}, 2.0);
  const auto report = fresh();
  const Tensor x = fixed_point("x", layer, {zeros_like(b)}, {w, b}, tight(), report)[0];
  CHECK(largest(x - layer({x}, {w, b})[0]) < 1e-14);
  CHECK(report->converged);
  CHECK(report->newton <= 7);
  CHECK(report->samples == NewtonReport::Samples::apart);
  for (int64_t i = 0; i < 5; ++i) {
    const Tensor bi = slice(b, 0, i, i + 1);
    const Tensor alone = fixed_point("x", layer, {zeros_like(bi)}, {w, bi}, tight(), fresh())[0];
    CHECK(alone.values() == slice(x, 0, i, i + 1).values());
  }
}

TEST_CASE("newton: samples that depend on each other are found out and solved together") {
  const auto coupled = [](const Tensors& x, const Tensors& p) {
    return Tensors{tanh(linear(x[0] - mean(x[0], {0}, true), p[0])) + p[1]};
  };
  for (int64_t samples : {2, 3, 6}) {
    const Tensor w = 0.5 * wave({4, 4}, 1.0), b = wave({samples, 4}, 2.0);
    const auto report = fresh();
    const Tensor x = fixed_point("x", coupled, {zeros_like(b)}, {w, b}, tight(), report)[0];
    CHECK(report->samples == NewtonReport::Samples::coupled);
    CHECK(report->converged);
    CHECK(largest(x - coupled({x}, {w, b})[0]) < 1e-14);
    const Tensor guess = zeros_like(b);
    const GradcheckResult check = gradcheck(
        [&](const Tensors& p) { return fixed_point("x", coupled, {guess}, p, tight(), fresh()); },
        {w, b});
    CHECK_MESSAGE(check.passed, check.message);
  }
}

TEST_CASE("newton: two samples that know of each other alone are found out") {
  for (const auto& [i, k] : {std::pair(0, 1), std::pair(0, 3), std::pair(2, 5), std::pair(1, 7)}) {
    std::vector<double> swapped(64, 0);  // y_i = 3 x_k + .., y_k = -2 x_i + ..: Newton's own work
    swapped[static_cast<size_t>(8 * i + k)] = 3;
    swapped[static_cast<size_t>(8 * k + i)] = -2;
    const Tensor pair = tensor(swapped, {8, 8}, Dtype::f64), b = wave({8, 3}, 0.4);
    const auto g = [&](const Tensors& x, const Tensors& p) {
      return Tensors{matmul(pair, x[0]) + 0.3 * sin(x[0]) + p[0]};
    };
    const auto report = fresh();
    const Tensor x = fixed_point("x", g, {zeros_like(b)}, {b}, tight(), report)[0];
    CHECK(report->samples == NewtonReport::Samples::coupled);
    CHECK(report->converged);
    CHECK(largest(x - g({x}, {b})[0]) < 1e-13);
  }
}

TEST_CASE("newton: samples that depend on each other a little have the gradient of that too") {
  for (double little : {1e-9, 1e-5, 1e-4, 1e-2}) {
    const auto g = [=](const Tensors& x, const Tensors& p) {
      return Tensors{tanh(linear(x[0], p[0])) + little * mean(x[0], {0}, true) + p[1]};
    };
    const Tensor w = 0.4 * wave({4, 4}, 1.0), b = wave({5, 4}, 2.0);
    // One sample's loss: what the others get of it is all by that little.
    const Tensor only = tensor({1, 0, 0, 0, 0}, {5, 1}, Dtype::f64);
    for (const Tensor& c : {wave({5, 4}, 0.3), only * wave({5, 4}, 0.3)}) {
      std::vector<Tensors> found;
      for (auto samples : {NewtonReport::Samples::unknown, NewtonReport::Samples::coupled}) {
        const auto report = fresh();
        report->samples = samples;
        Tape outer({w, b});
        Tensors d;
        {
          Tape tape({w, b});
          const Tensor x = fixed_point("x", g, {zeros_like(b)}, {w, b}, tight(), report)[0];
          d = tape.gradient(sum(x * c), {w, b});
        }
        for (const Tensor& second : outer.gradient(sum(square(d[1])), {w, b})) d.push_back(second);
        found.push_back(d);
        Tape plain({w, b});
        const Tensor x = fixed_point("x", g, {zeros_like(b)}, {w, b}, tight(), report)[0];
        for (const Tensor& first : plain.gradient(sum(x * c), {w, b}))
          found.back().push_back(first);
      }
      for (size_t i = 0; i < 6; ++i) {
        INFO(little, ", ", i);
        CHECK(largest(found[0][i] - found[1][i]) < 1e-12);
      }
    }
  }
}

TEST_CASE("newton: several unknowns of one shape") {
  // x0 = sin(x1) / 2 + p, x1 = cos(x0 + t)
  const auto g = [](const Tensors& x, const Tensors& p) {
    return Tensors{0.5 * sin(x[1]) + p[0], cos(x[0] + p[1])};
  };
  const Tensors p = {wave({3, 2}, 0.3), tensor({0.7}, {}, Dtype::f64)};
  const Tensor zero = zeros({3, 2}, Dtype::f64);
  const auto solve = [&](const Tensors& parameters) {
    return fixed_point("x", g, {zero, zero}, parameters, tight(), fresh());
  };
  const Tensors x = solve(p);
  CHECK(largest(x[0] - g(x, p)[0]) < 1e-14);
  CHECK(largest(x[1] - g(x, p)[1]) < 1e-14);
  const GradcheckResult first = gradcheck(solve, p), second = gradcheck_second(solve, p);
  CHECK_MESSAGE(first.passed, first.message);
  CHECK_MESSAGE(second.passed, second.message);
}

TEST_CASE("newton: gradients by the implicit function theorem, and gradients of gradients") {
  const Tensor w = 1.2 * wave({3, 3}, 1.0), b = wave({2, 3}, 2.0);
  const auto solve = [&](const Tensors& p) {
    return fixed_point("x", layer, {zeros_like(b)}, p, tight(), fresh());
  };
  const GradcheckResult first = gradcheck(solve, {w, b}), second = gradcheck_second(solve, {w, b});
  CHECK_MESSAGE(first.passed, first.message);
  CHECK_MESSAGE(second.passed, second.message);
  // x = p x^2 + q near zero: dx/dp = x^2 / (1 - 2 p x).
  const auto quadratic = [](const Tensors& x, const Tensors& p) {
    return Tensors{p[0] * square(x[0]) + p[1]};
  };
  const Tensor p = tensor({0.4}, {1, 1}, Dtype::f64), q = tensor({0.3}, {1, 1}, Dtype::f64);
  const auto report = fresh();
  Tape tape({p, q});
  const Tensor x = fixed_point("x", quadratic, {zeros_like(q)}, {p, q}, tight(), report)[0];
  const double root = (1 - std::sqrt(1 - 4 * 0.4 * 0.3)) / (2 * 0.4);
  CHECK(x.item() == doctest::Approx(root).epsilon(1e-14));
  const Tensors d = tape.gradient(x, {p, q});
  CHECK(d[0].item() == doctest::Approx(root * root / (1 - 2 * 0.4 * root)).epsilon(1e-13));
  CHECK(d[1].item() == doctest::Approx(1 / (1 - 2 * 0.4 * root)).epsilon(1e-13));
  CHECK(report->backward > 0);
  // Nothing flows in: nothing flows out.
  CHECK(tape.gradient(sum(x * 0.0), {p})[0].item() == 0);
}

TEST_CASE("newton: a cotangent of any size has its gradient to the bit") {
  const Tensor w = 0.4 * wave({3, 3}, 1.0), b = wave({2, 3}, 2.0);
  const auto gradients = [&](double first, double second, bool twice) {
    const Tensor c = tensor({first, second}, {2, 1}, Dtype::f64) * wave({2, 3}, 0.3);
    Tape outer({b});
    Tensors d;
    std::optional<MuteTapes> once;
    if (!twice) once.emplace();
    {
      Tape tape({b});
      const Tensor x = fixed_point("x", layer, {zeros_like(b)}, {w, b}, tight(), fresh())[0];
      d = tape.gradient(sum(x * c), {b});
    }
    once.reset();
    if (twice) d.push_back(outer.gradient(sum(d[0]), {b})[0]);
    return d;
  };
  const double huge = std::ldexp(1, 900), small = std::ldexp(1, -110), tiny = std::ldexp(1, -900);
  for (bool twice : {false, true}) {
    const Tensors ones = gradients(1, 1, twice);
    for (double size : {huge, small, tiny}) {
      const Tensors d = gradients(size, size, twice);
      for (size_t i = 0; i < d.size(); ++i) CHECK((d[i] / size).values() == ones[i].values());
    }
  }
  // Samples of different sizes: each has its own scale.
  const Tensor one = gradients(1, 1, false)[0], mixed = gradients(1, tiny, false)[0];
  CHECK(slice(mixed, 0, 0, 1).values() == slice(one, 0, 0, 1).values());
  CHECK((slice(mixed, 0, 1, 2) / tiny).values() == slice(one, 0, 1, 2).values());
}

TEST_CASE("newton: one parameter in two places") {
  const auto g = [](const Tensors& x, const Tensors& p) {
    return Tensors{0.3 * p[0] * sin(x[0]) + square(p[1])};
  };
  const Tensor p = wave({1, 3}, 0.4);
  const auto solve = [&](const Tensors& in) {
    return fixed_point("x", g, {zeros_like(p)}, {in[0], in[0]}, tight(), fresh());
  };
  const GradcheckResult first = gradcheck(solve, {p}), second = gradcheck_second(solve, {p});
  CHECK_MESSAGE(first.passed, first.message);
  CHECK_MESSAGE(second.passed, second.message);
}

TEST_CASE("newton: without convergence the report says so; a second guess may help") {
  const Tensor zero = zeros({1, 1}, Dtype::f64);
  const auto none = [](const Tensors& x, const Tensors&) {
    return Tensors{x[0] + 1.0 + square(x[0])};  // 1 + x^2 = 0
  };
  const auto lost = fresh();
  fixed_point("x", none, {zero + 0.3}, {}, tight(), lost);
  CHECK(!lost->converged);
  CHECK(lost->residual > 1);

  // tanh x = 0: Newton's method runs away from 2, where the slope is small, and settles from 1/2.
  const auto flat = [](const Tensors& x, const Tensors&) { return Tensors{x[0] - tanh(x[0])}; };
  const auto alone = fresh(), helped = fresh();
  fixed_point("x", flat, {zero + 2.0}, {}, tight(), alone);
  CHECK(!alone->converged);
  NewtonOptions options = tight();
  options.second_guess = {zero + 0.5};
  const Tensor x = fixed_point("x", flat, {zero + 2.0}, {}, options, helped)[0];
  CHECK(helped->converged);
  CHECK(std::abs(x.item()) < 1e-14);
}

TEST_CASE("newton: a sample whose g is not a number becomes NaN, the others are solved") {
  const auto g = [](const Tensors& x, const Tensors& p) {
    return Tensors{sqrt(p[0]) + 0.3 * sin(x[0])};
  };
  const auto report = fresh();
  const Tensor p = tensor({1, 2, -1, 3}, {2, 2}, Dtype::f64);
  const Tensor x = fixed_point("x", g, {zeros_like(p)}, {p}, tight(), report)[0];
  const std::vector<double> values = x.values();
  CHECK(values[0] == doctest::Approx(1 + 0.3 * std::sin(values[0])).epsilon(1e-14));
  CHECK(values[1] == doctest::Approx(std::sqrt(2) + 0.3 * std::sin(values[1])).epsilon(1e-14));
  CHECK(std::isnan(values[2]));
}

TEST_CASE("newton: a function without gradient is an error, unless it does not depend on x") {
  const Tensor guess = zeros({1, 2}, Dtype::f64), p = ones({1, 2}, Dtype::f64);
  const auto host = [](const Tensors& x) {  // the tape cannot see through host numbers
    std::vector<double> values = x[0].values();
    for (double& v : values) v = 0.3 * std::cos(v);
    return Tensors{tensor(values, x[0].shape(), Dtype::f64)};
  };
  const auto message = [&](const FixedPointMap& g) -> std::string {
    try {
      fixed_point("x", g, {guess}, {p}, tight(), fresh());
    } catch (const ValueError& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK(message([&](const Tensors& x, const Tensors&) { return host(x); }) ==
        "solve: an implicit method needs the field's gradient, but the tape does not see how this "
        "field's value depends on y. Compute the field from y with slope's ops, or take an "
        "explicit method, as in dopri5.");
  CHECK(message([&](const Tensors& x, const Tensors&) {
          return custom("host", x, host, [](const CustomVjp& v) {
            std::vector<double> d = v.inputs[0].values();
            const std::vector<double> c = v.cotangents[0].values();
            for (size_t i = 0; i < d.size(); ++i) d[i] = -0.3 * std::sin(d[i]) * c[i];
            return Tensors{tensor(d, v.inputs[0].shape(), Dtype::f64)};
          });
        }).find("the gradient of this field has no gradient itself") != std::string::npos);
  // What does not depend on x at all is its own solution.
  CHECK(message([&](const Tensors&, const Tensors& in) { return Tensors{sin(in[0])}; }) ==
        "no error");
  CHECK(message([&](const Tensors& x, const Tensors& in) {
          return Tensors{in[0] + 0.0 * floor(x[0])};
        }) == "no error");
}
