// Rows of a batch whose samples have times of their own: what a per-sample solve and its gradient
// share.
#pragma once

#include <cstdint>
#include <vector>

#include "ode/field.h"
#include "ode/tableau.h"

namespace slope::ode {

// One number for each row of y: (n, ..) -> (n, 1, .., 1), in its dtype.
Tensor row_values(const std::vector<double>& values, const Tensor& y);
// (n) int32
Tensor row_indices(const std::vector<int64_t>& rows, Device device);
// The clocks (step.h) of the steps from[i] to to[i], one for each row of y: (1 + s, n, 1, .., 1).
Tensor row_clock(const Tableau& m, const std::vector<double>& jumps,
                 const std::vector<double>& from, const std::vector<double>& to, const Tensor& y);
// Whether all values of a row are finite: 1 or 0 for each row of x: (n, ..). Waits.
std::vector<double> finite_rows(const Tensor& x);
// The field's context for these rows of the batch: (n) int32.
Tensors gathered_context(const Field& field, const Tensors& context, const Tensor& rows);

// Rows of a result (N, ..) that come one after the other.
class RowPieces {
 public:
  // Some rows of y: (n, ..). samples: (n), whose each row of y is.
  void add(const Tensor& y, const std::vector<int64_t>& rows, const std::vector<int64_t>& samples);
  // All of them in the order of the samples: (N, ..). rest: (N, ..), where the others come from;
  // undefined: they are NaN.
  Tensor assembled(int64_t count, const Tensor& rest = {}) const;

 private:
  Tensor like_;
  Tensors parts_;
  std::vector<int64_t> samples_;
};

}  // namespace slope::ode
