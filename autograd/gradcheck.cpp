#include "autograd/gradcheck.h"

#include <cmath>

#include "core/random.h"

namespace slope {
namespace {

// Uniform in [-1, 1), float64.
Tensor random_like(const Tensor& x, Rng& rng) {
  std::vector<double> values(static_cast<size_t>(x.size()));
  for (double& v : values) v = 2 * rng.uniform() - 1;
  return tensor(values, x.shape(), Dtype::f64, x.device());
}

// x + step * u, on the host, so that no op under test takes part.
Tensor shifted(const Tensor& x, const Tensor& u, double step) {
  std::vector<double> values = x.values();
  const std::vector<double> direction = u.values();
  for (size_t i = 0; i < values.size(); ++i) values[i] += step * direction[i];
  return tensor(values, x.shape(), Dtype::f64, x.device());
}

struct Product {
  double sum = 0;
  double size = 0;  // sum of the absolute values of the terms
};

// sum_i a_i * b_i over all tensors; undefined ones count as zero.
Product inner(const Tensors& a, const Tensors& b) {
  Product product;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!a[i].defined() || !b[i].defined()) continue;
    const std::vector<double> x = a[i].values(), y = b[i].values();
    for (size_t j = 0; j < x.size(); ++j) {
      product.sum += x[j] * y[j];
      product.size += std::abs(x[j] * y[j]);
    }
  }
  return product;
}

// Cotangents for the outputs of f at xs; undefined for integer outputs.
Tensors random_cotangents(const Function& f, const Tensors& xs, Rng& rng) {
  Tensors cotangents;
  for (const Tensor& y : f(xs)) {
    if (y.dtype() == Dtype::f32) {
      throw DtypeError(concat("gradcheck: f returned ", describe(y),
                              "; central differences need float64 throughout."));
    }
    cotangents.push_back(y.dtype() == Dtype::f64 ? random_like(y, rng) : Tensor());
  }
  return cotangents;
}

void check_inputs(const Tensors& xs) {
  for (size_t i = 0; i < xs.size(); ++i) {
    if (xs[i].dtype() != Dtype::f64) {
      throw DtypeError(concat("gradcheck: x ", i, " is ", describe(xs[i]),
                              "; central differences need float64. Write cast(x, Dtype::f64)."));
    }
  }
}

}  // namespace

GradcheckResult gradcheck(const Function& f, const Tensors& xs, const GradcheckOptions& options) {
  check_inputs(xs);
  Rng rng(options.seed);
  const Tensors cotangents = random_cotangents(f, xs, rng);
  Tensors direction, above, below;
  for (const Tensor& x : xs) {
    direction.push_back(random_like(x, rng));
    above.push_back(shifted(x, direction.back(), options.step));
    below.push_back(shifted(x, direction.back(), -options.step));
  }

  const Product tape = inner(vjp(f, xs, cotangents).gradients, direction);
  const Product up = inner(f(above), cotangents), down = inner(f(below), cotangents);

  GradcheckResult result;
  result.tape = tape.sum;
  result.numeric = (up.sum - down.sum) / (2 * options.step);
  // The difference quotient loses some 1e-16 / step of the values that it subtracts.
  const double rounding = 1e-14 / options.step * (1 + up.size);
  result.allowed = options.tolerance * tape.size + rounding;
  // Written so that NaN fails.
  result.passed = std::abs(result.tape - result.numeric) <= result.allowed;
  result.message =
      concat("gradcheck: along a random direction the tape gives ", result.tape,
             ", central differences ", result.numeric, ", ", std::abs(result.tape - result.numeric),
             " apart; allowed ", result.allowed, ".");
  return result;
}

GradcheckResult gradcheck_second(const Function& f, const Tensors& xs,
                                 const GradcheckOptions& options) {
  check_inputs(xs);
  Rng rng(options.seed, 1);
  const Tensors cotangents = random_cotangents(f, xs, rng);
  Tensors all = xs;  // then the cotangents that are there
  for (const Tensor& g : cotangents) {
    if (g.defined()) all.push_back(g);
  }
  const Function gradients = [&](const Tensors& arguments) {
    const auto middle = arguments.begin() + static_cast<std::ptrdiff_t>(xs.size());
    Tensors gs;
    auto next = middle;
    for (const Tensor& g : cotangents) gs.push_back(g.defined() ? *next++ : Tensor());
    return vjp(f, Tensors(arguments.begin(), middle), gs).gradients;
  };
  return gradcheck(gradients, all, options);
}

}  // namespace slope
