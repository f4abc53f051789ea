#include "nn/attack/rows.h"

#include <limits>

#include "core/ops.h"

namespace slope::nn {
namespace {

Tensor index_tensor(const std::vector<int64_t>& places, Device device) {
  return from_host(std::vector<int32_t>(places.begin(), places.end()),
                   {static_cast<int64_t>(places.size())}, device);
}

}  // namespace

Tensor take_rows(const Tensor& x, const std::vector<int64_t>& places) {
  return gather_rows(x, index_tensor(places, x.device()));
}

Tensor put_rows(const Tensor& x, const std::vector<int64_t>& places, const Tensor& rows) {
  if (places.empty()) return x;
  std::vector<int64_t> from(static_cast<size_t>(x.dim(0)), 0);
  std::vector<bool> replaced(from.size(), false);
  for (size_t i = 0; i < places.size(); ++i) {
    from[static_cast<size_t>(places[i])] = static_cast<int64_t>(i);
    replaced[static_cast<size_t>(places[i])] = true;
  }
  return choose_rows(replaced, take_rows(rows, from), x);
}

Tensor choose_rows(const std::vector<bool>& chosen, const Tensor& a, const Tensor& b) {
  return select(column(std::vector<double>(chosen.begin(), chosen.end()), a), a, b);
}

Tensor column(const std::vector<double>& values, const Tensor& x) {
  Shape shape{static_cast<int64_t>(values.size())};
  for (int i = 1; i < x.rank(); ++i) shape.push_back(1);
  return tensor(values, shape, x.dtype(), x.device());
}

std::vector<int64_t> places_without(const std::vector<bool>& chosen) {
  std::vector<int64_t> places;
  for (size_t i = 0; i < chosen.size(); ++i)
    if (!chosen[i]) places.push_back(static_cast<int64_t>(i));
  return places;
}

Found::Found(const Tensor& clean)
    : x_(clean),
      loss_(static_cast<size_t>(clean.dim(0)), -std::numeric_limits<double>::infinity()),
      fooled_(loss_.size(), false) {}

void Found::offer(const std::vector<int64_t>& places, const Tensor& x,
                  const std::vector<double>& loss, const std::vector<bool>& fooled) {
  std::vector<int64_t> from, to;
  for (size_t i = 0; i < places.size(); ++i) {
    const size_t at = static_cast<size_t>(places[i]);
    if (fooled[i] < fooled_[at] || (fooled[i] == fooled_[at] && !(loss[i] > loss_[at]))) continue;
    fooled_[at] = fooled[i];
    loss_[at] = loss[i];
    from.push_back(static_cast<int64_t>(i));
    to.push_back(places[i]);
  }
  if (to.empty()) return;
  x_ = put_rows(x_, to, take_rows(x, from));
}

}  // namespace slope::nn
