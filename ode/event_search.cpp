#include "ode/event_search.h"

#include <algorithm>
#include <cmath>

#include "autograd/functions.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "ode/dense.h"
#include "ode/methods.h"
#include "ode/number_text.h"
#include "ode/root.h"
#include "ode/stiffness.h"

namespace slope::ode {
namespace {

int sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

bool wanted(Crossing crossing, int side_before) {
  if (crossing == Crossing::any) return true;
  return (crossing == Crossing::rising) == (side_before < 0);
}

// A step whose ends, or points inside, lie on different sides of an event.
struct Suspect {
  size_t event;
  int side;      // before the crossing
  double a, b;   // fractions of the step between which it lies
  double gb;     // the condition at b
  double x = 0;  // where the interpolant has it
};

class Search {
 public:
  Search(const Field& field, const std::vector<double>& times, const Solver& solver,
         const std::vector<Event>& events, const EventOptions& options)
      : field_(without_side_effects(field)),
        times_(times),
        solver_(solver),
        events_(events),
        options_(options),
        direction_(times.back() < times.front() ? -1 : 1),
        counts_(events.size(), 0) {
    if (!std::holds_alternative<Adaptive>(solver.stepping)) {
      grid_ = step_grid(solver.stepping, times, field.jumps);
    }
  }

  EventSearch run(const Tensor& y0);

 private:
  Tensor time(double t, const Tensor& y) const { return scalar(t, y.dtype(), y.device()); }
  std::vector<double> conditions(double t, const Tensor& y) const;
  int side_after(size_t event, double t, const Tensor& y) const;
  Stepping stepping_from(double t) const;
  bool repeated_at_once() const;
  std::string out_of_steps(const Solution& s) const;
  Solution solve_piece(double t, const Tensor& y, Piece& piece);

  bool look(double t, const Tensor& y, double t1, const Tensor& y1, Piece& piece);
  void guess(Suspect& s, const Interpolant& inside, double t, double t1) const;
  FoundHit locate(const Suspect& s, const Interpolant& inside, double t, const Tensor& y,
                  double t1);

  const Field field_;
  const std::vector<double>& times_;
  const Solver& solver_;
  const std::vector<Event>& events_;
  const EventOptions& options_;
  const double direction_;
  std::vector<double> grid_;     // of fixed steps
  std::vector<int> sides_;       // of zero, that each condition is on; 0: not known yet
  std::vector<int64_t> counts_;  // hits of each event
  size_t steps_ = 0;             // accepted in this piece
  std::string trouble_;          // a condition that is NaN
  bool ended_ = false;
  EventSearch result_;
};

// The values of all conditions. Reads the device once.
std::vector<double> Search::conditions(double t, const Tensor& y) const {
  Tensors all;
  for (const Event& e : events_) {
    all.push_back(e.condition(time(t, y), y, field_.context));
    if (all.back().rank() != 0) {
      throw ShapeError(concat("solve: the condition of event ", all.size() - 1, " returned ",
                              describe(all.back()),
                              "; it must be one number. Reduce it, e.g. with sum or min."));
    }
  }
  return all.empty() ? std::vector<double>{} : stack(all).values();
}

// The side that a condition which is zero at t moves to: the sign of dg/dt along the solution.
int Search::side_after(size_t event, double t, const Tensor& y) const {
  const auto g = [&](const Tensors& in) {
    return Tensors{events_[event].condition(in[0], in[1], field_.context)};
  };
  const Tensor now = time(t, y);
  const Tensors d = vjp(g, {now, y.alias()}, {time(1, y)}).gradients;
  const Tensor rate = d[0] + sum(d[1] * field_(now, y));
  return sign_of(rate.item() * direction_);
}

// Steps for the rest of the way: fixed ones keep their times.
Stepping Search::stepping_from(double t) const {
  if (const auto* how = std::get_if<Adaptive>(&solver_.stepping)) {
    Adaptive rest = *how;
    const Statistics& used = *result_.found.solution.statistics;
    rest.max_steps -= used.accepted + used.rejected;
    return rest;
  }
  StepGrid rest{.times = {t}};
  for (size_t i = 1; i < grid_.size(); ++i) {
    const double margin = i + 1 == grid_.size() ? 0 : 1e-9 * std::abs(grid_[i] - grid_[i - 1]);
    if ((grid_[i] - t) * direction_ > margin) rest.times.push_back(grid_[i]);
  }
  return rest;
}

Solution Search::solve_piece(double t, const Tensor& y, Piece& piece) {
  std::vector<double> times = {t};
  for (double time : times_) {
    if ((time - t) * direction_ > 0) times.push_back(time);
  }
  steps_ = 0;
  const SolveOptions options{
      .plans = options_.plans,
      .keep_states = options_.keep_states,
      .stop_before = [&](double from, const Tensor& y_from, double to, const Tensor& y_to) {
        return look(from, y_from, to, y_to, piece);
      }};
  Solution s =
      solve(field_, y, times, {.method = solver_.method, .stepping = stepping_from(t)}, options);
  piece.grid = s.grid;
  piece.orders = s.orders;
  return s;
}

// A step is about to be taken: which events happen in it? True: one of them interrupts the solve.
bool Search::look(double t, const Tensor& y, double t1, const Tensor& y1, Piece& piece) {
  const size_t step = steps_++;
  std::optional<Interpolant> inside;
  const auto interpolant = [&]() -> const Interpolant& {
    if (!inside) inside.emplace(solver_.method, field_, t, t1, y, y1);
    return *inside;
  };
  std::vector<Suspect> suspects;
  std::vector<int> sides = sides_;
  for (int k = 1; k <= options_.looks + 1; ++k) {
    const double before = static_cast<double>(k - 1) / (options_.looks + 1);
    const double x = static_cast<double>(k) / (options_.looks + 1);
    const bool at_end = k == options_.looks + 1;
    const std::vector<double> g =
        at_end ? conditions(t1, y1) : conditions(t + x * (t1 - t), interpolant().value(time(x, y)));
    for (size_t i = 0; i < events_.size(); ++i) {
      if (std::isnan(g[i])) {
        trouble_ = concat("solve: the condition of event ", i,
                          " is NaN after the step from t = ", rounded_text(t),
                          ". The last good state is there.");
        return true;
      }
      const int side = sign_of(g[i]);
      if (sides[i] != 0 && side != sides[i] && wanted(events_[i].crossing, sides[i])) {
        suspects.push_back({.event = i, .side = sides[i], .a = before, .b = x, .gb = g[i]});
      }
      sides[i] = side == 0 && at_end ? side_after(i, t1, y1) : side;
    }
  }
  for (Suspect& s : suspects) guess(s, interpolant(), t, t1);
  std::stable_sort(suspects.begin(), suspects.end(),
                   [](const Suspect& a, const Suspect& b) { return a.x < b.x; });

  for (const Suspect& s : suspects) {
    FoundHit hit = locate(s, interpolant(), t, y, t1);
    hit.step = step;
    if (piece.interrupted) {  // others at the same moment count, later ones do not happen
      const FoundHit& first = piece.hits.back();
      if ((hit.t - first.t) * direction_ > options_.tolerance) break;
      hit.t = first.t;
      hit.y = first.y_after;
      hit.y_after = hit.y;
    }
    const Event& event = events_[s.event];
    const bool ends = ++counts_[s.event] == event.stop_at;
    if (event.jump && !ends) {
      hit.y_after = event.jump(time(hit.t, y), hit.y, field_.context);
    }
    ended_ = ended_ || ends;
    piece.interrupted = piece.interrupted || ends || event.jump;
    piece.hits.push_back(std::move(hit));
  }
  sides_ = sides;
  return piece.interrupted;
}

// Where the interpolant crosses zero.
void Search::guess(Suspect& s, const Interpolant& inside, double t, double t1) const {
  const auto g = [&](double x) {
    const Tensor state = inside.at(t + x * (t1 - t));
    return events_[s.event].condition(time(t + x * (t1 - t), state), state, field_.context).item();
  };
  // At its beginning the condition may be zero, or on the other side by rounding.
  double a = s.a, ga = g(a);
  for (int k = 0; sign_of(ga) != s.side && k < 50; ++k) {
    a = s.a + (s.b - s.a) * std::exp2(-k - 1);
    ga = g(a);
  }
  s.x = sign_of(ga) == s.side ? find_root(g, {a, ga, s.b, s.gb}, 1e-9) : s.b;
}

// The time at which a step of the method from t ends on the event. From the interpolant's guess by
// secants, inside a bracket.
FoundHit Search::locate(const Suspect& s, const Interpolant& inside, double t, const Tensor& y,
                        double t1) {
  const auto g = [&](double to, const Tensor& state) {
    return events_[s.event].condition(time(to, y), state, field_.context).item();
  };
  const Solver one_step{.method = step_to_event(solver_.method), .stepping = Steps{1}};
  const double h = t1 - t, dx = 1e-4;
  const double left = std::max(0.0, s.x - dx), right = std::min(1.0, s.x + dx);
  double slope =
      (g(t + right * h, inside.at(t + right * h)) - g(t + left * h, inside.at(t + left * h))) /
      ((right - left) * h);
  double low = t, high = t1;  // before and behind the event
  double at = t + s.x * h, last = t, g_last = 0;
  FoundHit hit{.event = s.event};
  for (int iteration = 0; iteration < 100; ++iteration) {
    if (!((at - low) * direction_ > 0 && (high - at) * direction_ >= 0))
      at = low + (high - low) / 2;
    if (at == low) at = high;
    const Solution made = solve(field_, y, {t, at}, one_step, {.plans = options_.plans});
    result_.found.solution.statistics->evaluations += made.statistics->evaluations;
    const double value = g(at, made.y);
    hit.t = at;
    hit.y = hit.y_after = made.y;
    (sign_of(value) == s.side ? low : high) = at;
    if (iteration > 0 && at != last) slope = (value - g_last) / (at - last);
    const double next = at - value / slope;
    const double precise =
        std::max(options_.tolerance, 4 * std::numeric_limits<double>::epsilon() * std::abs(at));
    if (value == 0 || std::abs(next - at) <= precise || std::abs(high - low) <= precise) break;
    last = at;
    g_last = value;
    at = next;
  }
  return hit;
}

// In numbers of the whole solve: s is the piece that had what was left of the budget.
std::string Search::out_of_steps(const Solution& s) const {
  const auto& how = std::get<Adaptive>(solver_.stepping);
  const Statistics& all = *result_.found.solution.statistics;
  const auto steps = static_cast<double>(std::max<int64_t>(all.accepted, 1));
  return concat("solve: the budget of ", how.max_steps, " steps ended at t = ", rounded_text(s.t),
                " (from ", number_text(times_.front()), " to ", number_text(times_.back()), "; ",
                all.accepted, " accepted, ", all.rejected, " rejected, ", result_.found.hits.size(),
                " events). ",
                advice_when_out_of_steps(solver_.method, how, field_, s.t, s.y,
                                         std::abs(s.t - times_.front()) / steps));
}

// Has the last event happened before, at a time that cannot be told from this one? The side of zero
// to which it leads is a matter of rounding by then.
bool Search::repeated_at_once() const {
  const std::vector<EventHit>& hits = result_.found.hits;
  for (size_t i = hits.size() - 1; i-- > 0;) {
    if (std::abs(hits[i].time - hits.back().time) > options_.tolerance) return false;
    if (hits[i].event == hits.back().event) return true;
  }
  return false;
}

EventSearch Search::run(const Tensor& y0) {
  EventSolution& found = result_.found;
  Solution& all = found.solution;
  double t = times_.front();
  Tensor y = y0;
  std::vector<size_t> zero;  // events that are zero now because they have just happened
  all.grid = {t};
  while (true) {
    const std::vector<double> g = conditions(t, y);
    sides_.assign(events_.size(), 0);
    for (size_t i = 0; i < events_.size(); ++i) {
      const bool happened = std::find(zero.begin(), zero.end(), i) != zero.end();
      sides_[i] = happened || g[i] == 0 ? side_after(i, t, y) : sign_of(g[i]);
    }
    Piece& piece = result_.pieces.emplace_back();
    const Solution s = solve_piece(t, y, piece);
    *all.statistics += *s.statistics;
    all.grid.insert(all.grid.end(), s.grid.begin() + 1, s.grid.end());
    const size_t first = result_.pieces.size() == 1 ? 0 : 1;  // the piece's start is no output
    for (size_t i = first; i < s.times.size(); ++i) {
      all.times.push_back(s.times[i]);
      all.ys.push_back(s.ys[i]);
    }
    all.t = s.t;
    all.y = s.y;
    all.state = s.state;
    if (options_.keep_states) {
      all.states.insert(all.states.end(), s.states.begin() + static_cast<std::ptrdiff_t>(first),
                        s.states.end());
    }
    for (const std::string& warning : s.warnings) {
      if (std::find(all.warnings.begin(), all.warnings.end(), warning) == all.warnings.end())
        all.warnings.push_back(warning);
    }
    all.status = s.status;
    all.message = s.message;
    if (s.status == Status::step_limit) all.message = out_of_steps(s);
    all.next_step = s.next_step;
    for (const FoundHit& hit : piece.hits) {
      found.hits.push_back(
          {hit.event, hit.t, scalar(hit.t, Dtype::f64, y.device()), hit.y, hit.y_after});
    }
    if (!trouble_.empty()) {
      all.status = Status::not_finite;
      all.message = trouble_;
    }
    if (!piece.interrupted) break;

    const double when = piece.hits.back().t;
    zero.clear();
    for (const FoundHit& hit : piece.hits) {
      if (hit.t == when) zero.push_back(hit.event);
    }
    const auto at_once = std::find_if(piece.hits.begin(), piece.hits.end(),
                                      [&](const FoundHit& hit) { return hit.t == when; });
    t = all.t = when;
    all.y = at_once->y;
    all.state = {all.y};
    y = piece.hits.back().y_after;
    all.grid.push_back(t);
    if (options_.keep_states) all.states.push_back(all.state);
    ++all.statistics->accepted;
    while (all.times.size() < times_.size() && times_[all.times.size()] == t) {
      all.times.push_back(t);
      all.ys.push_back(all.y);
    }
    found.ended = ended_;
    if (ended_ || t == times_.back()) break;
    const bool too_many = static_cast<int64_t>(found.hits.size()) >= options_.most_hits;
    if (too_many || repeated_at_once()) {
      all.status = Status::step_limit;
      all.message =
          concat("solve: events happened ", found.hits.size(), " times up to t = ", rounded_text(t),
                 too_many ? "" : ", the last two closer than their tolerance",
                 ". They may come faster and faster without end. Give the event a "
                 "stop_at, or ",
                 too_many ? "raise most_hits." : "end the solve before.");
      break;
    }
  }
  return std::move(result_);
}

}  // namespace

Method step_to_event(const Method& m) { return m.facts().multistep ? method("dopri8") : m; }

EventSearch search_events(const Field& field, const Tensor& y0, const std::vector<double>& times,
                          const Solver& solver, const std::vector<Event>& events,
                          const EventOptions& options) {
  check_state(y0);
  check_times(times);
  check_stepping(solver);
  for (const Event& e : events) {
    if (!e.condition)
      throw ValueError("solve: an event has no condition. Write Event{.condition = ..}.");
  }
  return Search(field, times, solver, events, options).run(y0);
}

}  // namespace slope::ode
