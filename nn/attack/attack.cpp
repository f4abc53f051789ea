#include "nn/attack/attack.h"

#include <algorithm>
#include <cmath>

#include "autograd/tape.h"
#include "core/ops.h"
#include "nn/attack/rows.h"

namespace slope::nn {
namespace {

// x, labels (, what the loss compares with) -> loss (N), logits (N, classes) (, gradient like x,
// its largest value (N)).
Tensors compute(const AttackedModel& model, AttackLoss loss, bool with_gradient,
                const Tensors& in) {
  const Tensor& x = in[0];
  const Tensor other = in.size() > 2 ? in[2] : Tensor();
  if (!with_gradient) {
    const Tensor logits = model(x);
    return {attack_loss(logits, in[1], loss, other), logits};
  }
  Tape tape({x});
  const Tensor logits = model(x);
  const Tensor losses = attack_loss(logits, in[1], loss, other);
  const Tensor gradient = tape.gradient(losses, {x}, ones_like(losses))[0];
  Axes axes;
  for (int i = 1; i < x.rank(); ++i) axes.push_back(i);
  return {losses, logits, gradient, max(abs(gradient), axes)};
}

}  // namespace

AttackSamples AttackSamples::take(const std::vector<int64_t>& places) const {
  AttackSamples taken{
      .x = take_rows(x, places), .labels = take_rows(labels, places), .numbers = {}};
  for (const int64_t i : places) taken.numbers.push_back(number(i));
  if (clean_logits.defined()) taken.clean_logits = take_rows(clean_logits, places);
  return taken;
}

Target::Target(AttackedModel model, const TargetOptions& options)
    : model_(std::move(model)), options_(options) {
  if (options.draws < 1)
    throw ValueError(concat("attack: draws must be at least 1, got ", options.draws, "."));
}

// Plans exist for the largest batch halved again and again, so that survivors, which become fewer
// and fewer, need few of them.
int64_t Target::capacity(int64_t n) {
  largest_ = std::max(largest_, n);
  int64_t c = largest_;
  while ((c + 1) / 2 >= n && c > 1) c = (c + 1) / 2;
  return c;
}

Tensors Target::pass(const Key& key, const Tensors& inputs) {
  const Plan::Function f = [this, key](const Tensors& in) {
    return compute(model_, key.loss, key.with_gradient, in);
  };
  if (!options_.plan) return f(inputs);
  // Plans of one loss at a time: each holds the memory of a forward and a backward pass.
  if (!plans_.empty() && plans_.begin()->first.loss != key.loss) plans_.clear();
  std::unique_ptr<Plan>& plan = plans_[key];
  if (plan) return plan->run(inputs);
  plan = std::make_unique<Plan>(inputs, f);
  return plan->results();
}

Target::Evaluation Target::evaluate(const Tensor& x, const AttackSamples& samples, AttackLoss loss,
                                    const std::vector<int32_t>& targets, bool with_gradient) {
  const int64_t n = x.dim(0), size = options_.plan ? capacity(n) : n;
  Tensors inputs{x, samples.labels};
  if (targeted(loss)) inputs.push_back(from_host(targets, {n}, x.device()));
  if (loss == AttackLoss::kl) {
    if (!samples.clean_logits.defined())
      throw ValueError("attack: kl compares with the clean logits, which are missing. Use pgd.");
    inputs.push_back(samples.clean_logits);
  }
  if (size != n) {  // the first sample fills what is left
    std::vector<int64_t> places(static_cast<size_t>(size), 0);
    for (int64_t i = 0; i < n; ++i) places[static_cast<size_t>(i)] = i;
    for (Tensor& input : inputs) input = take_rows(input, places);
  }

  Evaluation result;
  const size_t count = static_cast<size_t>(n);
  std::vector<double> logits, largest(count, 0.0);
  for (int64_t draw = 0; draw < options_.draws; ++draw) {
    const Tensors out = pass({loss, with_gradient, size}, inputs);
    const auto add = [](std::vector<double>& sum, const Tensor& values) {
      const std::vector<double> v = values.values();
      sum.resize(v.size());
      for (size_t i = 0; i < v.size(); ++i) sum[i] += v[i];
    };
    add(result.loss, out[0]);
    add(logits, out[1]);
    ++(with_gradient ? notes_.gradients : notes_.forwards);
    if (options_.tell) options_.tell(part_, notes_.gradients + notes_.forwards, n);
    if (!with_gradient) continue;
    const std::vector<double> peak = out[3].values();
    for (size_t i = 0; i < count; ++i) {
      if (!std::isfinite(peak[i]))
        notes_.not_finite.insert(samples.number(static_cast<int64_t>(i)));
      largest[i] = std::max(largest[i], peak[i]);
    }
    const Tensor g = slice(out[2], 0, 0, n);
    const Tensor finite = select(is_finite(g), g, 0.0);
    result.gradient = draw == 0 ? finite : result.gradient + finite;
  }
  const double draws = static_cast<double>(options_.draws);
  if (options_.draws > 1 && with_gradient) result.gradient = result.gradient / draws;
  result.loss.resize(count);
  for (double& value : result.loss) value /= draws;

  const size_t classes = logits.size() / static_cast<size_t>(size);
  const std::vector<int32_t> labels = samples.labels.to_vector<int32_t>();
  for (size_t i = 0; i < count; ++i) {
    std::vector<double> row(logits.begin() + static_cast<ptrdiff_t>(i * classes),
                            logits.begin() + static_cast<ptrdiff_t>((i + 1) * classes));
    for (double& value : row) value /= draws;
    const bool finite =
        std::all_of(row.begin(), row.end(), [](double v) { return std::isfinite(v); });
    const auto top = std::max_element(row.begin(), row.end()) - row.begin();
    result.fooled.push_back(!finite || top != labels[i]);
    const int64_t number = samples.number(static_cast<int64_t>(i));
    if (!finite) notes_.not_finite.insert(number);
    // A loss that is clipped has no gradient once the model is wrong: that is no sign of anything.
    if (with_gradient && largest[i] == 0 && !result.fooled[i]) notes_.zero_gradient.insert(number);
    result.logits.push_back(std::move(row));
  }
  return result;
}

Target::Evaluation Target::forward(const Tensor& x, const AttackSamples& samples, AttackLoss loss) {
  return evaluate(x, samples, loss, {}, false);
}

size_t Target::plan_bytes() const {
  size_t bytes = 0;
  for (const auto& [key, plan] : plans_) bytes += plan->pool_bytes();
  return bytes;
}

Tensor input_gradient(const AttackedModel& model, const Tensor& x, const Tensor& labels) {
  return compute(model, AttackLoss::cross_entropy, true, {x, labels})[2];
}

}  // namespace slope::nn
