#include "nn/train.h"

#include "autograd/tape.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"

namespace slope::nn {
namespace {

// logits: (N, classes), labels: int32 (N) -> () of the logits' dtype: how many are right.
Tensor count_correct(const Tensor& logits, const Tensor& labels) {
  return sum(equal(cast(argmax(logits, 1), logits.dtype()), cast(labels, logits.dtype())));
}

// The plan of this batch size, made by capturing f on first use; its results.
const Tensors& replay(std::map<int64_t, std::unique_ptr<Plan>>& plans, const Tensors& inputs,
                      const Plan::Function& f) {
  const int64_t batch = inputs[0].dim(0);
  const auto found = plans.find(batch);
  if (found != plans.end()) return found->second->run(inputs);
  auto plan = std::make_unique<Plan>(inputs, f);  // may throw: nothing is left behind then
  return plans.emplace(batch, std::move(plan)).first->second->results();
}

constexpr uint32_t kStepStream = 0xd0;

}  // namespace

Tensors step_keys(uint64_t seed, int64_t count, int64_t step) {
  Tensors keys;
  for (int64_t i = 0; i < count; ++i)
    keys.push_back(
        make_key(seed, kStepStream + static_cast<uint32_t>(i), static_cast<uint32_t>(step)));
  return keys;
}

TrainStep::TrainStep(Logits logits, Optimizer& optimizer, const StepOptions& options)
    : logits_(std::move(logits)), optimizer_(optimizer), options_(options) {
  for (const NamedTensor& p : optimizer.parameters()) parameters_.push_back(p.tensor);
}

// A parameter that nobody but the optimizer holds is not the model's any more.
void TrainStep::check_parameters() const {
  // The optimizer's handle, the one in parameters_, and the average's.
  const long kept = options_.average ? 3 : 2;
  for (const NamedTensor& p : optimizer_.parameters()) {
    if (p.tensor.handles() > kept) continue;
    throw ValueError(concat("train: parameter ", p.name,
                            " has been replaced: only the optimizer holds it. Update it in place "
                            "(copy_into), or make optimizer and step anew."));
  }
}

// inputs: images, labels, numbers, then the keys -> loss (), correct () and, where there are any,
// penalties ()
Tensors TrainStep::compute(const Tensors& inputs) {
  Pass pass{.training = true, .keys = Tensors(inputs.begin() + 3, inputs.end())};
  Tensor loss, correct, penalty;
  Tensors gradients;
  {
    Tape tape(parameters_);
    const Tensor logits = logits_(inputs[0], pass);
    loss = cross_entropy(logits, inputs[1], {.label_smoothing = options_.label_smoothing});
    for (const Tensor& p : pass.penalties) penalty = penalty.defined() ? penalty + p : p;
    gradients = tape.gradient(penalty.defined() ? loss + penalty : loss, parameters_);
    correct = count_correct(logits, inputs[1]);
  }
  if (options_.clip_norm) gradients = clipped_by_norm(gradients, *options_.clip_norm);
  optimizer_.step(gradients, inputs[2]);
  for (const Pass::Update& update : pass.updates) copy_into(update.buffer, update.value);
  if (options_.average) options_.average->update(squeeze(slice(inputs[2], 0, 2, 3), 0));
  return penalty.defined() ? Tensors{loss, correct, penalty} : Tensors{loss, correct};
}

StepResult TrainStep::operator()(const Tensor& images, const Tensor& labels, const Tensor& numbers,
                                 const Tensors& keys) {
  Tensors inputs{images, labels, numbers};
  inputs.insert(inputs.end(), keys.begin(), keys.end());
  check_parameters();
  const auto f = [this](const Tensors& in) { return compute(in); };
  const Tensors results = options_.plan ? replay(plans_, inputs, f) : f(inputs);
  return {.loss = results[0].item(),
          .penalty = results.size() > 2 ? results[2].item() : 0,
          .correct = static_cast<int64_t>(results[1].item())};
}

size_t TrainStep::plan_bytes() const {
  size_t bytes = 0;
  for (const auto& [size, plan] : plans_) bytes += plan->pool_bytes();
  return bytes;
}

int64_t TrainStep::plan_allocations() const {
  int64_t count = 0;
  for (const auto& [size, plan] : plans_) count += plan->pool_allocations();
  return count;
}

EvaluationStep::EvaluationStep(Logits logits, bool plan)
    : logits_(std::move(logits)), plan_(plan) {}

// inputs: images, labels -> loss sum (), correct (), logits
Tensors EvaluationStep::compute(const Tensors& inputs) const {
  Pass pass;
  const Tensor logits = logits_(inputs[0], pass);
  return {cross_entropy(logits, inputs[1], {.reduction = Reduction::sum}),
          count_correct(logits, inputs[1]), logits};
}

EvaluationStep::Result EvaluationStep::operator()(const Tensor& images, const Tensor& labels) {
  const Tensors inputs{images, labels};
  const auto f = [this](const Tensors& in) { return compute(in); };
  const Tensors results = plan_ ? replay(plans_, inputs, f) : f(inputs);
  return {results[0].item(), static_cast<int64_t>(results[1].item()), results[2]};
}

}  // namespace slope::nn
