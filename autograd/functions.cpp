#include "autograd/functions.h"

#include <algorithm>
#include <unordered_set>

#include "core/storage.h"

namespace slope {
namespace {

struct CustomObject {
  std::string name;
  CustomRule rule;
};

const Op kCustom{
    .name = "custom",
    .shape = [](const Call&) { return OutSpecs{}; },
    .visible = 1 << 20,
    .vjp =
        [](const Vjp& v) {
          const auto& object = *static_cast<const CustomObject*>(v.call.attributes.object());
          const Tensors inputs(v.call.inputs.begin(), v.call.inputs.end());
          const Tensors outputs(v.outputs.begin(), v.outputs.end());
          const Tensors cotangents(v.cotangents.begin(), v.cotangents.end());
          Tensors d = object.rule({inputs, outputs, cotangents, v.wanted_inputs, v.differentiable});
          if (d.size() != inputs.size()) {
            throw ValueError(concat("custom ", object.name, ": the rule returned ", d.size(),
                                    " gradients for ", inputs.size(), " inputs."));
          }
          return d;
        },
    .keeps = ~0u};

// While a custom function computes its value, finds tensors that an outer tape tracks but that are
// not its inputs.
class LeakDetector final : public Recorder {
 public:
  LeakDetector(const std::string& name, const Tensors& inputs) : name_(name), scope_(*this) {
    for (const Tensor& x : inputs) {
      if (x.defined()) allowed_.insert(x.id());
    }
    for (Recorder* r : recorders()) {
      if (r->is_tape() && !r->deaf()) tapes_.push_back(static_cast<const Tape*>(r));
    }
  }
  void record(const Recorded& recorded) override {
    for (const Tensor& x : recorded.call.inputs) {
      if (!x.defined() || allowed_.contains(x.id())) continue;
      for (const Tape* tape : tapes_) {
        if (tape->tracks(x)) {
          const std::string label = x.has_data() ? x.storage()->label() : "";
          const std::string tensor = concat(x.shape(), label.empty() ? "" : " (" + label + ")");
          throw LeakError(concat(name_, ": uses a watched tensor ", tensor,
                                 " that is not among its inputs, so its gradient would be lost. "
                                 "Pass it as an input."),
                          tensor);
        }
      }
    }
  }

 private:
  std::string name_;
  std::unordered_set<uint64_t> allowed_;
  std::vector<const Tape*> tapes_;
  RecorderScope scope_;
};

}  // namespace

ValueAndGradient value_and_grad(const std::function<Tensor(const Tensors&)>& f, const Tensors& xs) {
  Tape tape(xs);
  const Tensor value = f(xs);
  return {value, tape.gradient(value, xs)};
}

VjpResult vjp(const Function& f, const Tensors& xs, const Tensors& cotangents) {
  Tape tape(xs);
  Tensors outputs = f(xs);
  Tensors gradients = tape.gradient(outputs, xs, cotangents);
  return {std::move(outputs), std::move(gradients)};
}

Tensors custom(const std::string& name, const Tensors& inputs, const Function& forward,
               const CustomRule& rule) {
  if (!tape_listens()) return forward(inputs);
  Tensors outputs;
  {
    const LeakDetector detector(name, inputs);
    const MuteTapes mute;
    for (const Tensor& y : forward(inputs))
      outputs.push_back(y.alias());  // also where forward returns an input
  }
  const Attributes object =
      Attributes::of_object(std::make_shared<const CustomObject>(CustomObject{name, rule}));
  announce({kCustom, inputs, object}, outputs);
  return outputs;
}

Tensors recompute(const Function& f, const Tensors& inputs) {
  return custom("recompute", inputs, f,
                [f](const CustomVjp& v) { return vjp(f, v.inputs, v.cotangents).gradients; });
}

}  // namespace slope
