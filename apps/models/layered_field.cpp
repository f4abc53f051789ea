#include "apps/models/layered_field.h"

#include "core/ops/pointwise.h"

namespace slope::models {
namespace {

// Context holds defined tensors only; what takes them out again knows which are missing.
void put(Tensors& context, std::initializer_list<Tensor> tensors) {
  for (const Tensor& t : tensors) {
    if (t.defined()) context.push_back(t);
  }
}

}  // namespace

LayeredField& LayeredField::add(const std::string& name, std::unique_ptr<nn::NormLayer> norm) {
  has_statistics_ |= dynamic_cast<const nn::BatchNorm*>(norm.get()) != nullptr;
  add_child(name, *norm);
  parts_.push_back({.norm = std::move(norm)});
  return *this;
}

LayeredField& LayeredField::add(const std::string& name, std::unique_ptr<nn::Conv2d> conv) {
  add_child(name, *conv);
  parts_.push_back({.conv = std::move(conv)});
  return *this;
}

LayeredField& LayeredField::add(const std::string& name, std::unique_ptr<nn::TimeConv2d> conv) {
  add_child(name, *conv);
  parts_.push_back({.time_conv = std::move(conv)});
  return *this;
}

Tensor LayeredField::evaluate(const Tensor& t, const Tensor& y, const Tensors& context,
                              nn::Pass& pass) const {
  auto next = context.begin();
  const auto take = [&](const Tensor& wanted) { return wanted.defined() ? *next++ : Tensor(); };
  Tensor a = y;
  TimeTerm time;  // of the last convolution, where it is not added yet
  const auto add_time = [&] {
    if (time.map.defined()) a = a + time.t * time.map;
    time = {};
  };
  for (const Part& part : parts_) {
    if (part.norm) {
      const Tensor weight = take(part.norm->weight), bias = take(part.norm->bias);
      a = part.norm->apply_to(a, weight, bias, pass, time);
      time = {};
      continue;
    }
    add_time();
    if (part.conv) {
      const Tensor weight = take(part.conv->weight), bias = take(part.conv->bias);
      a = part.conv->apply_to(a, weight, bias);
    } else {
      const Tensor weight = take(part.time_conv->weight), bias = take(part.time_conv->bias);
      a = part.time_conv->convolve(a, weight, bias);
      time = {t, *next++};
    }
  }
  add_time();
  return a;
}

ode::Field LayeredField::field(const Shape& state, nn::Pass& pass) const {
  ode::Field field;
  for (const Part& part : parts_) {
    if (part.norm) put(field.context, {part.norm->weight, part.norm->bias});
    if (part.conv) put(field.context, {part.conv->weight_in(pass), part.conv->bias});
    if (part.time_conv) {
      const auto prepared = part.time_conv->prepare(state[1], state[2]);
      put(field.context, {prepared.weight, prepared.bias, prepared.time_map});
    }
  }
  const bool training = pass.training;
  const ode::FieldFunction pure = [this, training](const Tensor& t, const Tensor& y,
                                                   const Tensors& c) {
    nn::Pass unused{.training = training};
    return evaluate(t, y, c, unused);
  };
  field.evaluate = pure;
  if (training && has_statistics_) {
    field.evaluate = [this, &pass](const Tensor& t, const Tensor& y, const Tensors& c) {
      return evaluate(t, y, c, pass);
    };
    field.evaluate_again = pure;
  }
  return field;
}

}  // namespace slope::models
