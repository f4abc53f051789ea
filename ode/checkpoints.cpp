#include "ode/checkpoints.h"

#include <algorithm>
#include <limits>

namespace slope::ode {
namespace {

// (s + r)! / (s! r!), 0 for r < 0. Exact: each product of the loop is a multiple of i.
int64_t beta(int64_t s, int64_t r) {
  int64_t value = r < 0 ? 0 : 1;
  for (int64_t i = 1; i <= std::min(s, r); ++i) value = value * (std::max(s, r) + i) / i;
  return value;
}

}  // namespace

int64_t repeated_steps(int64_t steps, int64_t slots) {
  if (steps <= 1) return 0;
  if (slots == 1) return steps * (steps - 1) / 2;  // the sum below takes long: r is steps - 1
  int64_t r = 0;
  while (beta(slots, r) < steps) ++r;
  return r * steps - beta(slots + 1, r - 1);
}

// As if there were one step more, from the end on, that costs nothing: its way there is the sweep.
int64_t repeated_steps_after_a_sweep(int64_t steps, int64_t slots) {
  return repeated_steps(steps + 1, slots) - steps;
}

// The part of the steps before the second kept state will be walked back over with all slots, the
// next part with one less, and so on. Each further step of a part with c slots costs one
// repetition more as soon as there are beta(c, 0), beta(c, 1), .. of them. So the parts are filled
// up to the same number of repetitions.
std::vector<size_t> steps_to_keep(size_t steps, size_t slots) {
  const auto n = static_cast<int64_t>(steps), most = static_cast<int64_t>(std::min(slots, steps));
  int64_t r = 0;
  while (beta(most, r + 1) - 1 < n) ++r;  // the sum of beta(c, r) over c = 1 .. most
  int64_t rest = n - (beta(most, r) - 1);
  std::vector<size_t> kept;
  int64_t step = 0;
  for (int64_t c = most; c > 0 && step < n; --c) {
    const int64_t least = beta(c, r - 1), more = std::min(beta(c, r) - least, rest);
    if (least + more == 0) continue;
    kept.push_back(static_cast<size_t>(step));
    step += least + more;
    rest -= more;
  }
  return kept;
}

void KeptStates::expect(size_t steps) {
  known_ = true;
  if (most_ > 0) chosen_ = steps_to_keep(steps, most_);
}

bool KeptStates::wants(size_t step) const {
  return most_ == 0 || !known_ || std::binary_search(chosen_.begin(), chosen_.end(), step);
}

void KeptStates::offer(size_t step, const Tensors& state) {
  if (!wants(step)) return;
  if (most_ > 0 && kept_.size() == most_) {
    const size_t goes = most_dispensable(step + 1);
    if (goes == kept_.size()) return;
    kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(goes));
  }
  keep(step, state);
}

void KeptStates::keep(size_t step, const Tensors& state) {
  kept_.push_back({step, state});
  most_kept_ = std::max(most_kept_, kept_.size());
}

// Memory is full, and steps - 1 is offered. Which of the states, the offered one last, should go?
size_t KeptStates::most_dispensable(size_t steps) const {
  std::vector<int64_t> begins;
  for (const Kept& k : kept_) begins.push_back(static_cast<int64_t>(k.step));
  begins.push_back(static_cast<int64_t>(steps) - 1);
  begins.push_back(static_cast<int64_t>(steps));
  // Part i, from begins[i] to begins[i + 1], has all slots but those of the i states before it.
  const auto part = [&](size_t from, size_t to, size_t before) {
    return repeated_steps(begins[to] - begins[from], static_cast<int64_t>(most_ - before));
  };
  const size_t parts = begins.size() - 1;
  std::vector<int64_t> behind(parts + 1, 0);  // the cost of the parts from i on, one state less
  for (size_t i = parts - 1; i > 1; --i) behind[i] = behind[i + 1] + part(i, i + 1, i - 1);
  int64_t ahead = 0, least = std::numeric_limits<int64_t>::max();
  size_t best = parts - 1;
  for (size_t i = 1; i < parts; ++i) {  // the first state never goes
    const int64_t cost = ahead + part(i - 1, i + 1, i - 1) + behind[i + 1];
    if (cost < least) {
      least = cost;
      best = i;
    }
    ahead += part(i - 1, i, i - 1);
  }
  return best;
}

void KeptStates::cut(size_t steps) {
  std::erase_if(kept_, [&](const Kept& k) { return k.step >= steps; });
}

Tensors KeptStates::at(size_t step, const Advance& advance) {
  const auto later = std::upper_bound(kept_.begin(), kept_.end(), step,
                                      [](size_t s, const Kept& k) { return s < k.step; });
  if (most_ == 0) return std::prev(later)->state;
  kept_.erase(later, kept_.end());
  const size_t begin = kept_.back().step, slots = most_ - kept_.size() + 1;
  Tensors state = kept_.back().state;
  const std::vector<size_t> chosen = steps_to_keep(step - begin, slots);
  for (size_t n = begin; n < step; ++n) {
    const bool lasting = std::binary_search(chosen.begin(), chosen.end(), n + 1 - begin);
    state = advance(n, state, lasting);
    if (lasting) keep(n + 1, state);
    ++repeated_;
  }
  return state;
}

}  // namespace slope::ode
