#include "apps/slope/call_costs.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace slope::program {
namespace {

// Multiply-adds of a call, counted twice; 0 for what is bound by memory anyway.
double operations(const Recorded& r) {
  const Call& c = r.call;
  const auto is = [&](const char* name) { return std::strcmp(c.op.name, name) == 0; };
  const auto values = [](const Tensor& t) { return static_cast<double>(t.size()); };
  if (is("conv2d") || is("conv2d_data_gradient")) {
    // Every value of the small side meets one window of the weights.
    const Tensor& y = is("conv2d") ? r.outputs[0] : c.in(0);
    const Tensor& w = c.in(1);
    return 2 * values(y) * values(w) / static_cast<double>(w.dim(0));
  }
  if (is("conv2d_weight_gradient")) {
    const Tensor &g = c.in(1), &w = r.outputs[0];
    return 2 * values(g) * values(w) / static_cast<double>(w.dim(0));
  }
  if (is("linear")) return 2 * values(r.outputs[0]) * static_cast<double>(c.in(1).dim(1));
  if (is("matmul")) {
    const double left = values(c.in(0)), right = values(c.in(1)), out = values(r.outputs[0]);
    // (b m k) (b k n) (b m n) / b = (b m k n)^2: true where no operand broadcasts over b.
    const double batches = out / static_cast<double>(r.outputs[0].dim(-1) * r.outputs[0].dim(-2));
    return 2 * std::sqrt(left * right * out / batches) * std::sqrt(batches);
  }
  return 0;
}

double bytes_of(const Tensor& t) {
  return t.defined() ? static_cast<double>(t.size()) * static_cast<double>(size_of(t.dtype())) : 0;
}

}  // namespace

void CostCounter::record(const Recorded& r) {
  if (!r.prepared) return;
  double moved = 0;
  for (const Tensor& x : r.call.inputs) moved += bytes_of(x);
  for (const Tensor& y : r.outputs) moved += bytes_of(y);
  const double work = operations(r);
  ++costs.calls;
  costs.flops += work;
  costs.bytes += moved;
  costs.roofline_seconds += std::max(work / kH100.flops, moved / kH100.bandwidth);
}

}  // namespace slope::program
