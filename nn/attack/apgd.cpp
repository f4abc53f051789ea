#include "nn/attack/apgd.h"

#include <algorithm>
#include <numeric>

#include "core/ops.h"

namespace slope::nn {
namespace {

constexpr double kMomentum = 0.75;  // weight of the new step against the last movement
constexpr double kRising = 0.75;    // share of rising losses below which a step counts as too large

// The state of one run over the samples that are still attacked, row by row.
struct State {
  std::vector<int64_t> places;  // in the batch
  AttackSamples samples;
  std::vector<int32_t> targets;
  Tensor x, previous, gradient;  // the iterate, the one before, the loss's gradient at x
  Tensor best_x, best_gradient;  // where the loss was largest
  std::vector<double> best, best_at_checkpoint, step;
  std::vector<double> last_loss;
  std::vector<int64_t> rises;  // of the loss since the last checkpoint
  std::vector<bool> halved;    // at the last checkpoint

  void keep(const std::vector<int64_t>& rows) {
    places = take(places, rows);
    samples = samples.take(rows);
    if (!targets.empty()) targets = take(targets, rows);
    for (Tensor* t : {&x, &previous, &gradient, &best_x, &best_gradient}) *t = take_rows(*t, rows);
    for (std::vector<double>* v : {&best, &best_at_checkpoint, &step, &last_loss})
      *v = take(*v, rows);
    rises = take(rises, rows);
    halved = take(halved, rows);
  }
};

Ball ball_of(const ApgdOptions& o) { return {.eps = o.eps, .norm = o.norm, .range = o.range}; }

void check(const ApgdOptions& o) {
  ball_of(o).check("apgd");
  if (o.iterations < 1)
    throw ValueError(concat("apgd: iterations must be at least 1, got ", o.iterations, "."));
  if (o.restarts < 1)
    throw ValueError(concat("apgd: restarts must be at least 1, got ", o.restarts, "."));
}

// The step that the iterate has come to a checkpoint with: halved where the loss rose too rarely,
// or where nothing better was found since the last checkpoint at which the step was kept. Then the
// run goes on from the best that was seen.
void review(State& s, int64_t window) {
  const size_t n = s.places.size();
  std::vector<bool> halve(n);
  for (size_t i = 0; i < n; ++i) {
    const bool oscillates =
        static_cast<double>(s.rises[i]) <= kRising * static_cast<double>(window);
    const bool stuck = !s.halved[i] && s.best_at_checkpoint[i] >= s.best[i];
    halve[i] = oscillates || stuck;
    if (halve[i]) s.step[i] /= 2;
    s.rises[i] = 0;
  }
  s.best_at_checkpoint = s.best;
  s.halved = halve;
  if (std::find(halve.begin(), halve.end(), true) == halve.end()) return;
  s.x = choose_rows(halve, s.best_x, s.x);
  s.gradient = choose_rows(halve, s.best_gradient, s.gradient);
}

// One run from a random start over what has not fooled the model yet.
void run(Target& target, const AttackSamples& all, const std::vector<int32_t>& targets,
         const ApgdOptions& o, AttackLoss loss, uint32_t stream, Found& found) {
  const Ball ball = ball_of(o);
  const bool stop = target.options().stop_when_fooled;
  State s;
  s.places = places_without(stop ? found.fooled() : std::vector<bool>(found.fooled().size()));
  if (s.places.empty()) return;
  s.samples = all.take(s.places);
  if (!targets.empty()) s.targets = take(targets, s.places);
  s.x = s.previous = ball.random_surface(s.samples, o.seed, stream);

  // What is offered is compared by the untargeted margin, so that the targets of different runs
  // compare; a loss would not.
  const auto look = [&] {
    const Target::Evaluation e = target.evaluate(s.x, s.samples, loss, s.targets);
    s.gradient = e.gradient;
    const std::vector<int32_t> labels = s.samples.labels.to_vector<int32_t>();
    std::vector<double> margin;
    for (size_t i = 0; i < e.logits.size(); ++i) {
      std::vector<double> others = e.logits[i];
      const double own = others[static_cast<size_t>(labels[i])];
      others.erase(others.begin() + labels[i]);
      margin.push_back(*std::max_element(others.begin(), others.end()) - own);
    }
    found.offer(s.places, s.x, margin, e.fooled);
    return e;
  };
  Target::Evaluation e = look();
  const size_t n = s.places.size();
  s.best_x = s.x;
  s.best_gradient = s.gradient;
  s.best = s.best_at_checkpoint = e.loss;
  s.step.assign(n, 2 * o.eps);
  // The reference compares the first loss with a place that holds zero, not with the start's.
  s.last_loss.assign(n, 0.0);
  s.rises.assign(n, 0);
  s.halved.assign(n, true);
  const std::vector<int64_t> checkpoints = apgd_checkpoints(o.iterations);
  int64_t last_checkpoint = 0;
  size_t next = 0;
  for (int64_t k = 0; k < o.iterations; ++k) {
    if (stop) {
      const std::vector<int64_t> left = places_without(e.fooled);
      if (left.empty()) return;
      if (left.size() < s.places.size()) s.keep(left);
    }
    const double weight = k == 0 ? 1 : kMomentum;
    const Tensor z =
        ball.project(s.samples.x, s.x + column(s.step, s.x) * ball.direction(s.gradient));
    const Tensor moved = s.x + (z - s.x) * weight + (s.x - s.previous) * (1 - weight);
    s.previous = s.x;
    s.x = ball.project(s.samples.x, moved);
    e = look();
    std::vector<bool> better(e.loss.size());
    for (size_t i = 0; i < e.loss.size(); ++i) {
      s.rises[i] += e.loss[i] > s.last_loss[i];
      s.last_loss[i] = e.loss[i];
      better[i] = e.loss[i] > s.best[i];
      if (better[i]) s.best[i] = e.loss[i];
    }
    s.best_x = choose_rows(better, s.x, s.best_x);
    s.best_gradient = choose_rows(better, s.gradient, s.best_gradient);
    if (next < checkpoints.size() && k + 1 == checkpoints[next]) {
      review(s, checkpoints[next] - last_checkpoint);
      last_checkpoint = checkpoints[next++];
    }
  }
}

}  // namespace

std::vector<int64_t> apgd_checkpoints(int64_t iterations) {
  const auto share = [&](int64_t percent) { return iterations * percent / 100; };
  std::vector<int64_t> points;
  int64_t window = std::max<int64_t>(share(22), 1);
  for (int64_t at = window; at <= iterations; at += window) {
    points.push_back(at);
    window = std::max(window - std::max<int64_t>(share(3), 1), std::max<int64_t>(share(6), 1));
  }
  return points;
}

Tensor apgd(Target& target, const AttackSamples& samples, const ApgdOptions& o) {
  check(o);
  if (targeted(o.loss)) throw ValueError("apgd: a targeted loss belongs to apgd-t.");
  Found found(samples.x);
  for (int64_t restart = 0; restart < o.restarts; ++restart)
    run(target, samples, {}, o, o.loss, stream(AttackStream::apgd, restart), found);
  return found.x();
}

Tensor apgd_targeted(Target& target, const AttackSamples& samples, const ApgdOptions& o,
                     int64_t targets) {
  check(o);
  if (targets < 1)
    throw ValueError(concat("apgd-t: targets must be at least 1, got ", targets, "."));
  const Target::Evaluation clean = target.forward(samples.x, samples);
  const std::vector<int32_t> labels = samples.labels.to_vector<int32_t>();
  const size_t classes = clean.logits.empty() ? 0 : clean.logits[0].size();
  const AttackLoss loss = classes < 4 ? AttackLoss::targeted_margin : AttackLoss::targeted_dlr;
  Found found(samples.x);
  for (int64_t restart = 0; restart < o.restarts; ++restart) {
    for (size_t rank = 0; rank < std::min(static_cast<size_t>(targets), classes - 1); ++rank) {
      std::vector<int32_t> aim;
      for (size_t i = 0; i < labels.size(); ++i) {
        std::vector<int32_t> order;
        for (int32_t c = 0; c < static_cast<int32_t>(classes); ++c)
          if (c != labels[i]) order.push_back(c);
        std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
          return clean.logits[i][static_cast<size_t>(a)] > clean.logits[i][static_cast<size_t>(b)];
        });
        aim.push_back(order[rank]);
      }
      const int64_t number = 1000 + restart * 100 + static_cast<int64_t>(rank);
      run(target, samples, aim, o, loss, stream(AttackStream::apgd, number), found);
    }
  }
  return found.x();
}

}  // namespace slope::nn
