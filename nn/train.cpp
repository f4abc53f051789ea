#include "nn/train.h"

#include "autograd/tape.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "nn/norm.h"

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

// inputs: images, labels, numbers, the versions, then the keys -> loss (), correct (), penalties ()
// where there are any, and the gradient of the images where it is wanted
Tensors TrainStep::compute(const Tensors& inputs, size_t versions) {
  const auto keys = inputs.begin() + 3 + static_cast<std::ptrdiff_t>(versions);
  Pass pass{.training = true, .keys = Tensors(keys, inputs.end())};
  Tensors watched = parameters_;
  if (options_.input_gradient) watched.push_back(inputs[0]);
  Tensors results, gradients;
  {
    Tape tape(watched);
    Tensors logits = {logits_(inputs[0], pass)};
    for (size_t i = 0; i < versions; ++i) {
      pass.keys_used = 0;
      logits.push_back(logits_(inputs[3 + i], pass));
    }
    const Tensor loss =
        options_.objective
            ? options_.objective(logits, inputs[1])
            : cross_entropy(logits[0], inputs[1], {.label_smoothing = options_.label_smoothing});
    Tensor penalty;
    for (const Tensor& p : pass.penalties) penalty = penalty.defined() ? penalty + p : p;
    if (penalty.defined() && versions > 0) penalty = penalty / static_cast<double>(1 + versions);
    gradients = tape.gradient(penalty.defined() ? loss + penalty : loss, watched);
    results = {loss, count_correct(logits[0], inputs[1])};
    if (penalty.defined()) results.push_back(penalty);
  }
  if (options_.input_gradient) {
    results.push_back(gradients.back());
    gradients.pop_back();
  }
  if (options_.clip_norm) gradients = clipped_by_norm(gradients, *options_.clip_norm);
  optimizer_.step(gradients, inputs[2]);
  for (const Pass::Update& update : pass.updates) copy_into(update.buffer, update.value);
  if (options_.average) options_.average->update(squeeze(slice(inputs[2], 0, 2, 3), 0));
  return results;
}

StepResult TrainStep::operator()(const Tensor& images, const Tensor& labels, const Tensor& numbers,
                                 const Tensors& keys, const Tensors& versions) {
  Tensors inputs{images, labels, numbers};
  inputs.insert(inputs.end(), versions.begin(), versions.end());
  inputs.insert(inputs.end(), keys.begin(), keys.end());
  check_parameters();
  const auto f = [this, count = versions.size()](const Tensors& in) { return compute(in, count); };
  const Tensors results = options_.plan ? replay(plans_, inputs, f) : f(inputs);
  const size_t always = options_.input_gradient ? 3 : 2;
  return {.loss = results[0].item(),
          .penalty = results.size() > always ? results[2].item() : 0,
          .correct = static_cast<int64_t>(results[1].item()),
          .input_gradient = options_.input_gradient ? results.back() : Tensor()};
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

StatisticsStep::StatisticsStep(Logits logits, const Module& model, bool plan)
    : logits_(std::move(logits)), plan_(plan) {
  for (const BatchNorm* norm : batch_norms(model)) {
    for (const Tensor& buffer : {norm->running_mean, norm->running_variance})
      means_.push_back({buffer, zeros_like(buffer), zeros({}, buffer.dtype(), buffer.device())});
  }
  if (means_.empty())
    throw ValueError(concat("statistics: ", model.describe(), " has no BatchNorm."));
}

void StatisticsStep::clear() {
  for (const Mean& m : means_) {
    copy_into(m.value, zeros_like(m.value));
    copy_into(m.calls, zeros_like(m.calls));
  }
}

// inputs: images, then the keys -> nothing; the means move
Tensors StatisticsStep::compute(const Tensors& inputs) {
  Pass pass{.training = true,
            .keys = Tensors(inputs.begin() + 1, inputs.end()),
            .batch_statistics = true};
  logits_(inputs[0], pass);
  for (const Pass::Update& update : pass.updates) {
    for (const Mean& m : means_) {
      if (m.buffer.id() != update.buffer.id()) continue;
      copy_into(m.calls, m.calls + 1);
      copy_into(m.value, m.value + (update.value - m.value) / m.calls);
    }
  }
  return {};
}

void StatisticsStep::operator()(const Tensor& images, const Tensors& keys) {
  Tensors inputs{images};
  inputs.insert(inputs.end(), keys.begin(), keys.end());
  const auto f = [this](const Tensors& in) { return compute(in); };
  if (plan_)
    replay(plans_, inputs, f);
  else
    f(inputs);
}

void StatisticsStep::write() const {
  for (const Mean& m : means_) {
    if (m.calls.item() > 0) copy_into(m.buffer, m.value);
  }
}

}  // namespace slope::nn
