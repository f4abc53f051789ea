#include "ode/jumps.h"

#include <algorithm>
#include <cmath>

namespace slope::ode {
namespace {

bool contains(const std::vector<double>& jumps, double t) {
  return std::find(jumps.begin(), jumps.end(), t) != jumps.end();
}

// The value next to t in the dtype, towards larger times if direction is positive.
double neighbour(double t, double direction, Dtype dtype) {
  const double far = direction * HUGE_VAL;
  if (dtype == Dtype::f64) return std::nextafter(t, far);
  return static_cast<double>(std::nextafterf(static_cast<float>(t), static_cast<float>(far)));
}

}  // namespace

bool keeps_sides(const Method& method) { return method->tableau() != nullptr; }

double start_time(const std::vector<double>& jumps, double t, double direction, Dtype dtype) {
  return contains(jumps, t) ? neighbour(t, direction, dtype) : t;
}

void take_sides(const std::vector<double>& jumps, double t, double t1, Dtype dtype,
                std::vector<double>& clock) {
  if (jumps.empty() || t == t1) return;
  const double direction = t1 > t ? 1 : -1;
  const bool starts = contains(jumps, t), ends = contains(jumps, t1);
  if (!starts && !ends) return;
  const double first = start_time(jumps, t, direction, dtype);
  const double last = ends ? neighbour(t1, -direction, dtype) : t1;
  for (size_t i = 1; i < clock.size(); ++i) {
    if (starts && (first - clock[i]) * direction > 0) clock[i] = first;
    if (ends && (clock[i] - last) * direction > 0) clock[i] = last;
  }
}

Clock sided_clock(const Method& method, const Field& field, std::span<const double> before,
                  double t1, int order, Dtype dtype) {
  Clock clock = method->clock_at_order(before, t1, order);
  const Tableau* m = method->tableau();
  if (m && clock.values.size() == m->c.size() + 1) {
    take_sides(field.jumps, before.back(), t1, dtype, clock.values);
  }
  return clock;
}

}  // namespace slope::ode
