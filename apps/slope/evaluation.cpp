#include "apps/slope/evaluation.h"

#include <algorithm>
#include <cmath>

#include "apps/slope/output.h"

namespace slope::program {

void SolveMeter::end_pass(int64_t count) {
  if (!solves_.empty()) {
    last_forward_ = last_backward_ = 0;
    for (const auto& s : solves_) {
      const auto samples = static_cast<double>(s->samples * count);
      last_forward_ += static_cast<double>(s->evaluations) / samples;
      last_backward_ += static_cast<double>(s->evaluations_backward) / samples;
    }
    solves_.clear();
  }
  forward_ += last_forward_;
  backward_ += last_backward_;
  ++passes_;
}

std::string Accuracy::warning() const {
  if (std::isfinite(loss)) return {};
  return concat("the loss is ", shown(loss),
                ": the model's outputs are not finite, and the accuracy means nothing");
}

bool can_be_captured(const ode::Solver& solver) {
  return !std::holds_alternative<ode::Adaptive>(solver.stepping) && solver.method->replayable();
}

std::vector<std::string> with_steps(const std::vector<std::string>& words,
                                    const std::vector<int64_t>& steps) {
  if (steps.empty()) return words;
  std::vector<std::string> all;
  for (const std::string& word : words) {
    // A word's own step count or tolerance gives way: the sweep says how many steps.
    const std::string method = word.substr(0, word.find_first_of(":@"));
    for (int64_t n : steps) all.push_back(concat(method, ":", n));
  }
  return all;
}

Evaluator::Evaluator(nn::Logits logits, bool plan, SolveMeter& meter)
    : meter_(meter), step_(std::move(logits), plan) {}

Accuracy Evaluator::operator()(const nn::Dataset& data, int64_t batch, Dtype dtype,
                               std::vector<double>* logits,
                               const std::function<bool(int64_t)>& on_batch) {
  Accuracy result;
  meter_.clear();
  nn::Loader loader(data, std::min(batch, data.size()), false, 0, dtype);
  for (nn::Batch b; loader.next(&b);) {
    const auto r = step_(b.x, b.labels);
    meter_.end_pass();
    const std::vector<double> rows = r.logits.values();
    if (logits) logits->insert(logits->end(), rows.begin(), rows.end());
    const std::vector<int32_t> labels = b.labels.to_vector<int32_t>();
    const size_t classes = rows.size() / labels.size();
    for (size_t i = 0; i < labels.size(); ++i) {
      const auto row = rows.begin() + static_cast<ptrdiff_t>(i * classes),
                 end = row + static_cast<ptrdiff_t>(classes);
      const bool finite = std::all_of(row, end, [](double v) { return std::isfinite(v); });
      const bool right = finite && std::max_element(row, end) - row == labels[i];
      result.right.push_back(right);
      result.correct += right;
    }
    result.loss += r.loss_sum;
    result.examples += b.labels.size();
    if (on_batch && !on_batch(result.examples)) break;
  }
  result.loss /= static_cast<double>(result.examples);
  result.nfe = meter_.forward();
  return result;
}

}  // namespace slope::program
