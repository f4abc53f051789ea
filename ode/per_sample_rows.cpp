#include "ode/per_sample_rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "ode/jumps.h"
#include "ode/step.h"

namespace slope::ode {
namespace {

bool in_order(const std::vector<int64_t>& rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

}  // namespace

Tensor row_values(const std::vector<double>& values, const Tensor& y) {
  Shape shape = Shape::filled(y.rank(), 1);
  shape[0] = static_cast<int64_t>(values.size());
  return tensor(values, shape, y.dtype(), y.device());
}

Tensor row_indices(const std::vector<int64_t>& rows, Device device) {
  return from_host(std::vector<int32_t>(rows.begin(), rows.end()),
                   {static_cast<int64_t>(rows.size())}, device);
}

Tensor row_clock(const Tableau& m, const std::vector<double>& jumps,
                 const std::vector<double>& from, const std::vector<double>& to, const Tensor& y) {
  const size_t entries = m.c.size() + 1, n = from.size();
  std::vector<double> values(entries * n);
  // step_times() of each row, all rows of an entry at a time.
  for (size_t row = 0; row < n; ++row) values[row] = to[row] - from[row];
  for (size_t i = 1; i < entries; ++i) {
    const double c = m.c[i - 1];
    double* const times = values.data() + i * n;
    for (size_t row = 0; row < n; ++row) times[row] = from[row] + c * values[row];
    if (c == 1) std::copy(to.begin(), to.end(), times);
  }
  std::vector<double> clock(entries);
  for (size_t row = 0; !jumps.empty() && row < n; ++row) {
    for (size_t i = 0; i < entries; ++i) clock[i] = values[i * n + row];
    take_sides(jumps, from[row], to[row], y.dtype(), clock);
    for (size_t i = 0; i < entries; ++i) values[i * n + row] = clock[i];
  }
  Shape shape = Shape::filled(y.rank() + 1, 1);
  shape[0] = static_cast<int64_t>(entries);
  shape[1] = static_cast<int64_t>(n);
  return tensor(values, shape, y.dtype(), y.device());
}

std::vector<double> finite_rows(const Tensor& x) {
  const MuteTapes quiet;
  Axes axes;
  for (int i = 1; i < x.rank(); ++i) axes.push_back(i);
  const Tensor finite = is_finite(x);
  return (axes.rank() == 0 ? finite : min(finite, axes)).values();
}

Tensors gathered_context(const Field& field, const Tensors& context, const Tensor& rows) {
  Tensors gathered = context;
  for (size_t place : field.per_sample_context) {
    gathered.at(place) = gather_rows(context.at(place), rows);
  }
  return gathered;
}

void RowPieces::add(const Tensor& y, const std::vector<int64_t>& rows,
                    const std::vector<int64_t>& samples) {
  if (!like_.defined()) like_ = y.without_data();
  if (rows.empty()) return;
  const bool all = static_cast<int64_t>(rows.size()) == y.dim(0) && in_order(rows);
  parts_.push_back(all ? y : gather_rows(y, row_indices(rows, y.device())));
  for (int64_t row : rows) samples_.push_back(samples[static_cast<size_t>(row)]);
}

Tensor RowPieces::assembled(int64_t count, const Tensor& rest) const {
  Tensors parts = parts_;
  std::vector<int64_t> samples = samples_, place(static_cast<size_t>(count), -1), missing;
  for (int64_t sample : samples) place[static_cast<size_t>(sample)] = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (place[static_cast<size_t>(i)] < 0) missing.push_back(i);
  }
  if (!missing.empty()) {
    Shape shape = like_.shape();
    shape[0] = static_cast<int64_t>(missing.size());
    parts.push_back(rest.defined() ? gather_rows(rest, row_indices(missing, rest.device()))
                                   : full(shape, NAN, like_.dtype(), like_.device()));
    samples.insert(samples.end(), missing.begin(), missing.end());
  }
  const Tensor all = parts.size() == 1 ? parts[0] : concatenate(parts, 0);
  if (in_order(samples)) return all;
  for (size_t i = 0; i < samples.size(); ++i) {
    place[static_cast<size_t>(samples[i])] = static_cast<int64_t>(i);
  }
  return gather_rows(all, row_indices(place, like_.device()));
}

}  // namespace slope::ode
