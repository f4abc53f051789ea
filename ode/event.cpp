#include "ode/event.h"

#include <algorithm>

#include "autograd/functions.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "ode/event_search.h"

namespace slope::ode {
namespace {

// A time that may carry a gradient.
struct Moment {
  double value = 0;
  Tensor tensor = {};  // () float64, or undefined: a constant

  Tensor as_tensor(Device device) const {
    return tensor.defined() ? tensor : scalar(value, Dtype::f64, device);
  }
};

// The solve once more, on the tapes that listen, along the steps that the search has found.
class Replay {
 public:
  Replay(const Field& field, const Solver& solver, const std::vector<Event>& events,
         const EventOptions& options)
      : field_(field), method_(solver.method), events_(events), options_(options) {}

  EventSolution run(EventSearch search, const Tensor& y0);

 private:
  Tensors states(const Piece& piece, const Moment& start, const Tensor& y) const;
  Moment event_time(const FoundHit& hit, const Moment& from, const Tensor& y) const;
  Tensor step(const Moment& from, const Moment& to, const Tensor& y) const;

  const Field& field_;
  const Method& method_;
  const std::vector<Event>& events_;
  const EventOptions& options_;
};

// The states at all times of the piece's grid. Only the start may move with an event time.
Tensors Replay::states(const Piece& piece, const Moment& start, const Tensor& y) const {
  if (piece.grid.size() < 2) return {y};
  const Solver solver{.method = method_, .stepping = StepGrid{piece.grid, piece.orders}};
  if (!start.tensor.defined()) {
    return solve_differentiable(field_, y, piece.grid, solver, options_.gradient, options_.plans)
        .ys;
  }
  Tensors times = {start.tensor};
  for (size_t i = 1; i < piece.grid.size(); ++i) {
    times.push_back(scalar(piece.grid[i], Dtype::f64, y.device()));
  }
  return solve_differentiable(field_, y, stack(times), solver, options_.gradient, options_.plans)
      .ys;
}

// One step of the method, differentiable in both times.
Tensor Replay::step(const Moment& from, const Moment& to, const Tensor& y) const {
  const Tensor times = stack({from.as_tensor(y.device()), to.as_tensor(y.device())});
  const Solver one_step{.method = step_to_event(method_), .stepping = Steps{1}};
  return solve_differentiable(field_, y, times, one_step, options_.gradient, options_.plans)
      .ys.back();
}

// The time T at which g(T, step from `from` to T) = 0. By the implicit function theorem
//   dT/dx = -(dg/dx) / (dg/dT)    x: y, the time of departure, the context,
// with both derivatives through the step.
Moment Replay::event_time(const FoundHit& hit, const Moment& from, const Tensor& y) const {
  Tensors inputs = {y, from.as_tensor(y.device())};
  inputs.insert(inputs.end(), field_.context.begin(), field_.context.end());
  const auto forward = [&](const Tensors&) {
    return Tensors{scalar(hit.t, Dtype::f64, y.device())};
  };
  const auto rule = [code = with_context(without_side_effects(field_), {}),
                     method = step_to_event(method_),
                     condition = events_[hit.event].condition](const CustomVjp& v) {
    // Everything that g depends on: y, the time of departure, T, and floats of the context.
    Tensors xs = {v.inputs[0], v.inputs[1], v.outputs[0]};
    std::vector<size_t> places = {0, 1};
    for (size_t i = 2; i < v.inputs.size(); ++i) {
      if (!v.inputs[i].defined() || !is_float(v.inputs[i].dtype())) continue;
      xs.push_back(v.inputs[i]);
      places.push_back(i);
    }
    const auto g = [&](const Tensors& in) {
      Tensors context(v.inputs.begin() + 2, v.inputs.end());
      for (size_t k = 2; k < places.size(); ++k) context[places[k] - 2] = in[k + 1];
      const Solver one_step{.method = method, .stepping = Steps{1}};
      const Tensor state = solve_differentiable(with_context(code, context), in[0],
                                                stack({in[1], in[2]}), one_step, Gradient::through)
                               .ys.back();
      return Tensors{condition(cast(in[2], state.dtype()), state, context)};
    };
    const Tensor& y = v.inputs[0];
    const Tensors d = vjp(g, xs, {scalar(1, y.dtype(), y.device())}).gradients;
    const Tensor scale = neg(v.cotangents[0]) / d[2];
    Tensors gradients(v.inputs.size());
    for (size_t k = 0; k < places.size(); ++k) {
      const Tensor& partial = d[k < 2 ? k : k + 1];
      if (v.wanted[places[k]]) gradients[places[k]] = cast(scale, partial.dtype()) * partial;
    }
    return gradients;
  };
  return {hit.t, custom("event time", inputs, forward, rule)[0]};
}

EventSolution Replay::run(EventSearch search, const Tensor& y0) {
  EventSolution& found = search.found;
  Solution& all = found.solution;
  Moment start{.value = all.grid.front()};
  Tensor y = y0;
  size_t output = 0, number = 0;
  const auto reach = [&](double t, const Tensor& state) {
    while (output < all.times.size() && all.times[output] == t) all.ys[output++] = state;
    all.y = state;
  };
  for (size_t p = 0; p < search.pieces.size(); ++p) {
    const Piece& piece = search.pieces[p];
    const Tensors ys = states(piece, start, y);
    for (size_t i = p == 0 ? 0 : 1; i < ys.size(); ++i) reach(piece.grid[i], ys[i]);
    y = ys.back();
    for (size_t k = 0; k < piece.hits.size(); ++k) {
      const FoundHit& hit = piece.hits[k];
      EventHit& out = found.hits[number++];
      const bool together = k > 0 && piece.interrupted && hit.t == piece.hits[k - 1].t;
      if (together) {  // with the event that has interrupted the piece
        out.t = found.hits[number - 2].t;
        out.y = found.hits[number - 2].y_after;
      } else {
        const Moment from = hit.step == 0 ? start : Moment{.value = piece.grid[hit.step]};
        const Moment when = event_time(hit, from, ys[hit.step]);
        out.t = when.tensor;
        out.y = step(from, when, ys[hit.step]);
        if (piece.interrupted && hit.t == piece.hits.back().t) reach(hit.t, out.y);
      }
      const Event& event = events_[hit.event];
      const bool jumped = event.jump && hit.y_after.id() != hit.y.id();
      out.y_after = jumped ? event.jump(cast(out.t, y.dtype()), out.y, field_.context) : out.y;
      if (piece.interrupted) {
        start = {hit.t, out.t};
        y = out.y_after;
      }
    }
  }
  all.state = {all.y};
  return std::move(found);
}

}  // namespace

EventSolution solve_events(const Field& field, const Tensor& y0, const std::vector<double>& times,
                           const Solver& solver, const std::vector<Event>& events,
                           const EventOptions& options) {
  const bool differentiable = tape_listens();
  EventSearch search;
  {
    const MuteTapes quiet;
    search = search_events(field, y0, times, solver, events, options);
  }
  if (!differentiable) return std::move(search.found);
  return Replay(field, solver, events, options).run(std::move(search), y0);
}

}  // namespace slope::ode
