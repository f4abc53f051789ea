#include "tests/ops/golden_runs.h"

#include <doctest/doctest.h>

#include "nn/norm.h"

namespace slope::test {
namespace {

Run unary(Tensor (*f)(const Tensor&)) {
  return [f](const Case& c) { return Tensors{f(c[0])}; };
}

// Two tensors, a tensor and a number, or a number and a tensor.
template <typename F>
Run binary(F f) {
  return [f](const Case& c) {
    if (c.attributes.contains("right")) return Tensors{f(c[0], c.number("right"))};
    if (c.attributes.contains("left")) return Tensors{f(c.number("left"), c[0])};
    return Tensors{f(c[0], c[1])};
  };
}

// The words below are the ops of slope, for tensors and, where there is such a form, for numbers.
struct Unsupported {
  Tensor operator()(double, const Tensor& x) const {
    throw ValueError(concat("golden: no form with a number on the left of ", describe(x)));
  }
  Tensor operator()(const Tensor& x, double) const {
    throw ValueError(concat("golden: no form with a number on the right of ", describe(x)));
  }
};
template <typename... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <typename... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

// Comparisons with a number: the operators, or a tensor of one value.
template <typename F>
Run comparison(F f) {
  return [f](const Case& c) {
    if (!c.attributes.contains("right")) return Tensors{f(c[0], c[1])};
    return Tensors{f(c[0], scalar(c.number("right"), c.dtype, c[0].device()))};
  };
}

Run reduction(Tensor (*f)(const Tensor&, const Axes&, bool)) {
  return [f](const Case& c) { return Tensors{f(c[0], c.shape("axes"), c.flag("keepdims"))}; };
}

Run pool(Tensor (*f)(const Tensor&, const PoolOptions&)) {
  return [f](const Case& c) {
    return Tensors{f(c[0], {c.pair("kernel"), c.pair("stride"), c.pair("padding")})};
  };
}

Tensors run_layer_norm(const Case& c) {
  const int64_t axes = c.integer("axes");
  const NormOptions options{.epsilon = c.number("eps")};
  if (axes == 1) return {layer_norm(c[0], c.optional(1), c.optional(2), options)};
  // Several last axes: one row of all their values.
  const auto row = [](const Tensor& w) { return w.defined() ? w.reshape({-1}) : w; };
  Shape rows = c[0].shape();
  int64_t length = 1;
  Shape leading;
  for (int i = 0; i < rows.rank(); ++i) {
    if (i < rows.rank() - axes) {
      leading.push_back(rows[i]);
    } else {
      length *= rows[i];
    }
  }
  leading.push_back(length);
  return {layer_norm(c[0].reshape(leading), row(c.optional(1)), row(c.optional(2)), options)
              .reshape(rows)};
}

// In training: y, mean and variance of the batch, and the running statistics after the update.
Tensors run_batch_norm(const Case& c) {
  nn::BatchNorm layer({.channels = c[1].size(),
                       .epsilon = c.number("eps"),
                       .momentum = c.number("momentum"),
                       .parameters = {.dtype = c.dtype, .device = c[0].device()}});
  copy_into(layer.running_mean, c[3]);
  copy_into(layer.running_variance, c[4]);
  nn::Pass pass;
  pass.training = c.flag("training");
  Tensors outputs{layer.apply_to(c[0], c[1], c[2], pass, {})};
  if (!pass.training) return outputs;
  const BatchNormResult result = batch_norm(c[0], c[1], c[2], {.epsilon = c.number("eps")});
  outputs.push_back(result.mean);
  outputs.push_back(result.variance);
  REQUIRE(pass.updates.size() == 2);
  for (const auto& update : pass.updates) outputs.push_back(update.value);
  return outputs;
}

// The parameter after each of three steps.
Tensors run_optimizer(const Case& c,
                      const std::function<void(const Tensor&, const Tensor&, int)>& step) {
  const Tensor p = c[0].clone();
  Tensors after;
  for (int i = 1; i <= 3; ++i) {
    step(p, c[static_cast<size_t>(i)], i);
    after.push_back(p.clone());
  }
  return after;
}
Tensor number(const Case& c, double value) { return scalar(value, c.dtype, c[0].device()); }

Tensors run_sgd(const Case& c) {
  const double momentum = c.number("momentum");
  const Tensor velocity = momentum > 0 ? zeros_like(c[0]) : Tensor();
  const SgdOptions options{c.number("weight_decay"), c.flag("nesterov")};
  return run_optimizer(c, [&](const Tensor& p, const Tensor& g, int) {
    sgd_step(p, g, velocity, number(c, c.number("lr")),
             momentum > 0 ? number(c, momentum) : Tensor(), options);
  });
}

Run adam(bool decoupled) {
  return [decoupled](const Case& c) {
    const Tensor m = zeros_like(c[0]), v = zeros_like(c[0]);
    const AdamOptions options{.beta1 = c.number("beta1"),
                              .beta2 = c.number("beta2"),
                              .epsilon = c.number("eps"),
                              .weight_decay = c.number("weight_decay"),
                              .decoupled = decoupled};
    return run_optimizer(c, [&](const Tensor& p, const Tensor& g, int step) {
      adam_step(p, g, m, v, number(c, c.number("lr")), number(c, step), options);
    });
  };
}

Tensors run_rmsprop(const Case& c) {
  const double momentum = c.number("momentum");
  const Tensor squares = zeros_like(c[0]), velocity = momentum > 0 ? zeros_like(c[0]) : Tensor();
  const RmspropOptions options{c.number("alpha"), c.number("eps"), c.number("weight_decay")};
  return run_optimizer(c, [&](const Tensor& p, const Tensor& g, int) {
    rmsprop_step(p, g, squares, velocity, number(c, c.number("lr")),
                 momentum > 0 ? number(c, momentum) : Tensor(), options);
  });
}

Dtype cast_target(const Case& c) {
  const std::string word = c.attributes.at("dtype");
  if (word == "int32") return Dtype::i32;
  if (word == "float32") return Dtype::f32;
  if (word == "float64") return Dtype::f64;
  throw ValueError("golden: no dtype " + word);
}

}  // namespace

const std::map<std::string, Run>& runs() {
  using T = const Tensor&;
  static const std::map<std::string, Run> all = {
      {"neg", unary(neg)},
      {"abs", unary(abs)},
      {"sign", unary(sign)},
      {"floor", unary(floor)},
      {"exp", unary(exp)},
      {"expm1", unary(expm1)},
      {"log", unary(log)},
      {"log1p", unary(log1p)},
      {"sqrt", unary(sqrt)},
      {"rsqrt", unary(rsqrt)},
      {"square", unary(square)},
      {"reciprocal", unary(reciprocal)},
      {"sin", unary(sin)},
      {"cos", unary(cos)},
      {"tanh", unary(tanh)},
      {"sigmoid", unary(sigmoid)},
      {"softplus", unary(softplus)},
      {"relu", unary(relu)},
      {"silu", unary(silu)},
      {"gelu", unary(gelu)},
      {"erf", unary(erf)},
      {"leaky_relu", [](const Case& c) { return Tensors{leaky_relu(c[0], c.number("slope"))}; }},
      {"elu", [](const Case& c) { return Tensors{elu(c[0], c.number("alpha"))}; }},
      {"clamp",
       [](const Case& c) { return Tensors{clamp(c[0], c.number("low"), c.number("high"))}; }},
      {"add", binary([](const auto& a, const auto& b) { return a + b; })},
      {"sub", binary([](const auto& a, const auto& b) { return a - b; })},
      {"mul", binary([](const auto& a, const auto& b) { return a * b; })},
      {"div", binary([](const auto& a, const auto& b) { return a / b; })},
      {"pow", binary(Overloaded{[](T a, T b) { return pow(a, b); },
                                [](T a, double b) { return pow(a, b); },
                                [](double a, T b) { return Unsupported{}(a, b); }})},
      {"maximum", binary(Overloaded{[](T a, T b) { return maximum(a, b); }, Unsupported{}})},
      {"minimum", binary(Overloaded{[](T a, T b) { return minimum(a, b); }, Unsupported{}})},
      {"equal", comparison(equal)},
      {"not_equal", comparison(not_equal)},
      {"less", comparison(less)},
      {"less_equal", comparison(less_equal)},
      {"greater", comparison(greater)},
      {"greater_equal", comparison(greater_equal)},
      {"select",
       [](const Case& c) {
         if (c.attributes.contains("right")) return Tensors{select(c[0], c[1], c.number("right"))};
         return Tensors{select(c[0], c[1], c[2])};
       }},
      {"reshape",
       [](const Case& c) {
         if (!c.attributes.contains("axes")) return Tensors{reshape(c[0], c.shape("shape"))};
         return Tensors{reshape(permute(c[0], c.shape("axes")), c.shape("shape"))};
       }},
      {"permute", [](const Case& c) { return Tensors{permute(c[0], c.shape("axes"))}; }},
      {"expand", [](const Case& c) { return Tensors{expand(c[0], c.shape("shape"))}; }},
      {"squeeze", [](const Case& c) { return Tensors{squeeze(c[0], c.axis())}; }},
      {"unsqueeze", [](const Case& c) { return Tensors{unsqueeze(c[0], c.axis())}; }},
      {"slice",
       [](const Case& c) {
         return Tensors{
             slice(c[0], c.axis(), c.integer("start"), c.integer("stop"), c.integer("step"))};
       }},
      {"concatenate", [](const Case& c) { return Tensors{concatenate(c.in, c.axis())}; }},
      {"stack", [](const Case& c) { return Tensors{stack(c.in, c.axis())}; }},
      {"pad",
       [](const Case& c) {
         return Tensors{pad(c[0], c.shape("before"), c.shape("after"), c.number("value"))};
       }},
      {"gather_rows", [](const Case& c) { return Tensors{gather_rows(c[0], c[1])}; }},
      {"scatter_add_rows",
       [](const Case& c) { return Tensors{scatter_add_rows(c[0], c[1], c.integer("rows"))}; }},
      {"one_hot",
       [](const Case& c) { return Tensors{one_hot(c[0], c.integer("classes"), c.dtype)}; }},
      {"cast", [](const Case& c) { return Tensors{cast(c[0], cast_target(c))}; }},
      {"sum", reduction(sum)},
      {"mean", reduction(mean)},
      {"max", reduction(max)},
      {"min", reduction(min)},
      {"variance", reduction(variance)},
      {"norm", reduction(norm)},
      {"logsumexp",
       [](const Case& c) { return Tensors{logsumexp(c[0], c.axis(), c.flag("keepdims"))}; }},
      {"argmax", [](const Case& c) { return Tensors{argmax(c[0], c.axis())}; }},
      {"matmul",
       [](const Case& c) {
         return Tensors{matmul(c[0], c[1], {c.flag("transpose_a"), c.flag("transpose_b")})};
       }},
      {"linear", [](const Case& c) { return Tensors{linear(c[0], c[1], c.optional(2))}; }},
      {"conv2d",
       [](const Case& c) {
         return Tensors{conv2d(
             c[0], c[1], c.optional(2),
             {c.pair("stride"), c.pair("padding"), c.pair("dilation"), c.integer("groups")})};
       }},
      {"conv1d",
       [](const Case& c) {
         return Tensors{conv1d(c[0], c[1], c.optional(2),
                               {c.integer("stride"), c.integer("padding"), c.integer("dilation"),
                                c.integer("groups")})};
       }},
      {"max_pool2d", pool(max_pool2d)},
      {"average_pool2d", pool(average_pool2d)},
      {"global_average_pool", unary(global_average_pool)},
      {"batch_norm", run_batch_norm},
      {"group_norm",
       [](const Case& c) {
         return Tensors{group_norm(c[0], c.optional(1), c.optional(2), c.integer("groups"),
                                   {.epsilon = c.number("eps")})};
       }},
      {"instance_norm",
       [](const Case& c) {
         return Tensors{
             instance_norm(c[0], c.optional(1), c.optional(2), {.epsilon = c.number("eps")})};
       }},
      {"layer_norm", run_layer_norm},
      {"softmax", [](const Case& c) { return Tensors{softmax(c[0], c.axis())}; }},
      {"log_softmax", [](const Case& c) { return Tensors{log_softmax(c[0], c.axis())}; }},
      {"cross_entropy",
       [](const Case& c) {
         return Tensors{cross_entropy(c[0], c[1], {c.reduction(), c.number("label_smoothing")})};
       }},
      {"binary_cross_entropy_with_logits",
       [](const Case&
              c) { return Tensors{binary_cross_entropy_with_logits(c[0], c[1], c.reduction())}; }},
      {"mean_squared_error",
       [](const Case& c) { return Tensors{mean_squared_error(c[0], c[1], c.reduction())}; }},
      {"sgd", run_sgd},
      {"adam", adam(false)},
      {"adamw", adam(true)},
      {"rmsprop", run_rmsprop},
  };
  return all;
}

}  // namespace slope::test
