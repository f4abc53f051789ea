// States that are several tensors: laid side by side in one, so that everything that solves and
// differentiates one tensor solves and differentiates them.
//
//   TupleLayout layout({position, velocity});                 // (N, 3) and (N, 2, 4)
//   Field field = layout.field([](const Tensor& t, const Tensors& ys, const Tensors& context) {
//     return Tensors{ys[1], ...}; });
//   Solution s = solve(field, layout.pack({position, velocity}), {0, 1}, solver);
//   Tensors ys = layout.unpack(s.y);
#pragma once

#include <vector>

#include "ode/field.h"

namespace slope::ode {

// The slopes of all parts, each of the shape of its part.
using TupleFunction =
    std::function<Tensors(const Tensor& t, const Tensors& ys, const Tensors& context)>;

// Parts whose first axis counts the same samples are packed sample by sample into (N, values), so
// that steps per sample and times of each sample mean what they mean for one tensor. The error norm
// of an adaptive solve is the root mean square over all values of all parts.
class TupleLayout {
 public:
  // like: the parts, (N, ..) each, of one dtype. Errors: no parts, different N or dtypes, a part
  // without axes.
  explicit TupleLayout(const Tensors& like);

  Tensor pack(const Tensors& parts) const;     // (N, ..) each -> (N, values)
  Tensors unpack(const Tensor& packed) const;  // (n, values), also of fewer samples -> (n, ..) each
  Field field(const TupleFunction& f, const Tensors& context = {}) const;
  int64_t values() const { return values_; }  // of one sample

 private:
  std::vector<Shape> shapes_;  // of the parts
  int64_t values_ = 0;
};

}  // namespace slope::ode
