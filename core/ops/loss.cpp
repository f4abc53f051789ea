#include "core/ops/loss.h"

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "core/ops/registry.h"
#include "core/random.h"

namespace slope {
namespace {

// ---- softmax ------------------------------------------------------------------------------------

OutSpecs softmax_shape(const Call& c) {
  check_float(c, {"x"});
  const Tensor& x = c.in(0);
  if (x.rank() == 0) {
    throw ShapeError(concat(c.op.name, ": x () has no axis. Write x.reshape({1})."));
  }
  return {{x.shape(), x.dtype()}};
}

Samples softmax_samples() {
  Samples all;
  for (const Shape& shape : {Shape{3, 5}, Shape{2, 3, 4}, Shape{1, 1}, Shape{37}, Shape{0, 4}}) {
    all.push_back({{{shape, -3, 3}}});
  }
  return all;
}

const Op kSoftmax{.name = "softmax",
                  .shape = softmax_shape,
                  .decompose =
                      [](const Call& c) {
                        const Tensor& x = c.in(0);
                        const Tensor e = exp(x - max(x, {-1}, true));
                        return Tensors{e / sum(e, {-1}, true)};
                      },
                  .vjp =
                      [](const Vjp& v) {
                        const Tensor& y = v.out();
                        return Tensors{y * (v.g() - sum(v.g() * y, {-1}, true))};
                      },
                  .samples = softmax_samples,
                  .keeps = kOutput};

const Op kLogSoftmax{
    .name = "log_softmax",
    .shape = softmax_shape,
    .decompose =
        [](const Call& c) {
          const Tensor centred = c.in(0) - max(c.in(0), {-1}, true);
          return Tensors{centred - log(sum(exp(centred), {-1}, true))};
        },
    .vjp = [](const Vjp& v) { return Tensors{v.g() - exp(v.out()) * sum(v.g(), {-1}, true)}; },
    .samples = softmax_samples,
    .keeps = kOutput};

// Applies an op of the last axis along any axis.
Tensor along(const Op& op, const Tensor& x, int axis) {
  const int place = normalized_axis(op.name, axis, x.rank());
  if (place == x.rank() - 1) return apply(op, {x});
  Axes swapped;
  for (int i = 0; i < x.rank(); ++i) swapped.push_back(i);
  std::swap(swapped[place], swapped[x.rank() - 1]);
  return permute(apply(op, {permute(x, swapped)}), swapped);
}

// ---- cross-entropy ------------------------------------------------------------------------------

void check_logits_and_labels(const Call& c, const Tensor& logits, const Tensor& labels) {
  const auto got = [&] {
    return concat(c.op.name, ": logits ", describe(logits), ", labels ", describe(labels));
  };
  if (!is_float(logits.dtype())) {
    throw DtypeError(concat(got(), "; logits must be float32 or float64."));
  }
  if (labels.dtype() != Dtype::i32) {
    throw DtypeError(concat(got(), "; labels must be int32: the number of a class for each row. ",
                            "Write cast(labels, Dtype::i32)."));
  }
  if (logits.rank() != 2) {
    throw ShapeError(
        concat(got(), "; logits must be (N, classes), it has ", logits.rank(), " axes."));
  }
  if (labels.rank() != 1) {
    throw ShapeError(concat(got(), "; labels must be (N), it has ", labels.rank(),
                            " axes. For one-hot labels write argmax(labels, 1)."));
  }
  if (labels.dim(0) != logits.dim(0)) {
    throw ShapeError(concat(got(), "; logits axis 0 is ", logits.dim(0), ", labels axis 0 is ",
                            labels.dim(0), ". Each row needs one label."));
  }
}

Shape loss_shape(const Tensor& logits, Reduction reduction) {
  return reduction == Reduction::none ? Shape{logits.dim(0)} : Shape{};
}

OutSpecs cross_entropy_shape(const Call& c) {
  check_logits_and_labels(c, c.in(0), c.in(1));
  const auto& options = c.as<CrossEntropyOptions>();
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1)) {
    throw ValueError(concat("cross_entropy: label_smoothing is ", options.label_smoothing,
                            ", it must lie in 0..1."));
  }
  return {{loss_shape(c.in(0), options.reduction), c.in(0).dtype()}};
}

OutSpecs cross_entropy_gradient_shape(const Call& c) {
  const Tensor& logits = c.in(1);
  check_logits_and_labels(c, logits, c.in(2));
  const Shape expected = loss_shape(logits, c.as<CrossEntropyOptions>().reduction);
  if (c.in(0).shape() != expected || c.in(0).dtype() != logits.dtype()) {
    throw ShapeError(concat(c.op.name, ": g ", describe(c.in(0)), " must be ", expected, ' ',
                            name(logits.dtype()), "."));
  }
  return {{logits.shape(), logits.dtype()}};
}

// (N, classes): the distribution that each row of logits should be. A label outside of the classes
// has an empty one-hot row, and 0 / 0 makes its loss NaN.
Tensor target_of(const Tensor& logits, const Tensor& labels, double smoothing) {
  const int64_t classes = logits.dim(1);
  Tensor target = one_hot(labels, classes, logits.dtype());
  target = target / sum(target, {1}, true);
  if (smoothing == 0) return target;
  return target * (1 - smoothing) + smoothing / static_cast<double>(classes);
}

Tensor reduce(const Tensor& losses, Reduction reduction) {
  switch (reduction) {
    case Reduction::mean:
      return mean(losses);
    case Reduction::sum:
      return sum(losses);
    case Reduction::none:
      break;
  }
  return losses;
}

struct CrossEntropyCase {
  int64_t n, classes;
  CrossEntropyOptions options;
};
std::vector<CrossEntropyCase> cross_entropy_cases() {
  return {{3, 5, {}},
          {4, 2, {.reduction = Reduction::sum}},
          {3, 4, {.reduction = Reduction::none}},
          {5, 10, {.label_smoothing = 0.1}},
          {2, 3, {.reduction = Reduction::none, .label_smoothing = 0.25}},
          {1, 1, {}},
          {2, 37, {}}};
}

SampleInput labels_sample(int64_t n, int64_t classes) {
  return {{n}, 0, static_cast<double>(classes - 1), true};
}

Tensors cross_entropy_vjp(const Vjp& v);

const Op kCrossEntropy{
    .name = "cross_entropy",
    .shape = cross_entropy_shape,
    .decompose =
        [](const Call& c) {
          const auto& options = c.as<CrossEntropyOptions>();
          const Tensor target = target_of(c.in(0), c.in(1), options.label_smoothing);
          const Tensor losses = -sum(target * log_softmax(c.in(0)), {1});
          return Tensors{reduce(losses, options.reduction)};
        },
    .vjp = cross_entropy_vjp,
    .samples =
        [] {
          Samples all;
          for (const auto& [n, classes, options] : cross_entropy_cases()) {
            all.push_back({{{{n, classes}, -3, 3}, labels_sample(n, classes)}, options});
          }
          return all;
        }};

// Where a tape needs the gradient of this, it differentiates the decomposition.
const Op kCrossEntropyGradient{
    .name = "cross_entropy_gradient",
    .shape = cross_entropy_gradient_shape,
    .decompose =
        [](const Call& c) {
          const auto& options = c.as<CrossEntropyOptions>();
          const Tensor& logits = c.in(1);
          const Tensor difference =
              softmax(logits) - target_of(logits, c.in(2), options.label_smoothing);
          const Tensor g = options.reduction == Reduction::none ? unsqueeze(c.in(0), 1) : c.in(0);
          if (options.reduction != Reduction::mean) return Tensors{difference * g};
          return Tensors{difference * (g / static_cast<double>(logits.dim(0)))};
        },
    .samples =
        [] {
          Samples all;
          for (const auto& [n, classes, options] : cross_entropy_cases()) {
            const Shape g = options.reduction == Reduction::none ? Shape{n} : Shape{};
            all.push_back({{{g}, {{n, classes}, -3, 3}, labels_sample(n, classes)}, options});
          }
          return all;
        }};

Tensors cross_entropy_vjp(const Vjp& v) {
  return {apply(kCrossEntropyGradient, {v.g(), v.in(0), v.in(1)}, v.as<CrossEntropyOptions>()),
          Tensor()};
}

void check_same_shape(const char* where, const Tensor& x, const Tensor& target) {
  if (x.shape() == target.shape() && x.dtype() == target.dtype()) return;
  throw ShapeError(concat(where, ": x ", describe(x), ", target ", describe(target),
                          "; they must have the same shape and dtype."));
}

}  // namespace

Tensor softmax(const Tensor& x, int axis) { return along(kSoftmax, x, axis); }

Tensor log_softmax(const Tensor& x, int axis) { return along(kLogSoftmax, x, axis); }

Tensor cross_entropy(const Tensor& logits, const Tensor& labels,
                     const CrossEntropyOptions& options) {
  return apply(kCrossEntropy, {logits, labels}, options);
}

// -log(sigmoid(x)) = softplus(-x) and -log(1 - sigmoid(x)) = softplus(x): no difference of large
// numbers.
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target,
                                        Reduction reduction) {
  check_same_shape("binary_cross_entropy_with_logits", x, target);
  return reduce(target * softplus(-x) + (1 - target) * softplus(x), reduction);
}

Tensor mean_squared_error(const Tensor& x, const Tensor& target, Reduction reduction) {
  check_same_shape("mean_squared_error", x, target);
  return reduce(square(x - target), reduction);
}

Tensor dropout(const Tensor& x, double p, const Tensor& key) {
  if (!(p >= 0 && p < 1)) {
    throw ValueError(concat("dropout: p is ", p, ", it must lie in [0, 1)."));
  }
  if (p == 0) return x;
  const Tensor kept = uniform(key, x.shape(), x.dtype()) >= p;
  return x * (kept * (1 / (1 - p)));
}

OpList loss_ops() { return {&kSoftmax, &kLogSoftmax, &kCrossEntropy, &kCrossEntropyGradient}; }

}  // namespace slope
