// Finding events: the solve without gradients, in pieces between the events that interrupt it.
#pragma once

#include <vector>

#include "ode/event.h"

namespace slope::ode {

// An event as it was found: inside the step that begins at grid[step] of its piece.
struct FoundHit {
  size_t event = 0;
  size_t step = 0;
  double t = 0;
  Tensor y = {}, y_after = {};
};

// What lies between two interruptions.
struct Piece {
  std::vector<double> grid;  // the ends of the steps; a step to an interrupting event not included
  std::vector<int> orders;   // Solution::orders
  std::vector<FoundHit> hits;
  bool interrupted = false;  // by the last of the hits, and those at the same time
};

struct EventSearch {
  EventSolution found;
  std::vector<Piece> pieces;
};

// What steps to an event inside a step: the method itself, or dopri8 in place of a multistep
// method, which would have to start anew, at a low order or with small steps.
Method step_to_event(const Method& method);

EventSearch search_events(const Field& field, const Tensor& y0, const std::vector<double>& times,
                          const Solver& solver, const std::vector<Event>& events,
                          const EventOptions& options);

}  // namespace slope::ode
