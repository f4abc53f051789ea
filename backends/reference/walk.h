// A walk over all coordinates of a shape in row-major order, following any number of tensors at
// once.
#pragma once

#include <array>
#include <cstdint>

#include "core/shape.h"

namespace slope::reference {

// Calls f(places) for each coordinate; places[k] is the offset of tensor k there, in values, by its
// strides[k].
template <size_t n, typename F>
void walk(const Shape& shape, const std::array<Strides, n>& strides, F&& f) {
  if (shape.size() == 0) return;
  std::array<int64_t, n> places{};
  Shape coordinate = Shape::filled(shape.rank(), 0);
  while (true) {
    f(places);
    int axis = shape.rank() - 1;
    for (; axis >= 0; --axis) {  // count up like an odometer
      for (size_t k = 0; k < n; ++k) places[k] += strides[k][axis];
      if (++coordinate[axis] < shape[axis]) break;
      for (size_t k = 0; k < n; ++k) places[k] -= strides[k][axis] * shape[axis];
      coordinate[axis] = 0;
    }
    if (axis < 0) return;
  }
}

}  // namespace slope::reference
