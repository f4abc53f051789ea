#include "ode/tuple.h"

#include "core/ops/movement.h"

namespace slope::ode {
namespace {

int64_t values_of_sample(const Shape& shape) {
  int64_t count = 1;
  for (int i = 1; i < shape.rank(); ++i) count *= shape[i];
  return count;
}

}  // namespace

TupleLayout::TupleLayout(const Tensors& like) {
  if (like.empty()) throw ValueError("tuple: there are no parts. Pass one tensor at least.");
  for (size_t i = 0; i < like.size(); ++i) {
    const Tensor &part = like[i], &first = like[0];
    if (part.rank() == 0) {
      throw ShapeError(concat("tuple: part ", i, " ", describe(part),
                              " has no axis for samples. Write reshape(x, {1, 1})."));
    }
    if (part.dim(0) != first.dim(0) || part.dtype() != first.dtype()) {
      throw ShapeError(concat("tuple: part ", i, " ", describe(part), ", part 0 ", describe(first),
                              "; all parts need the same number of samples and the same dtype."));
    }
    shapes_.push_back(part.shape());
    values_ += values_of_sample(part.shape());
  }
}

Tensor TupleLayout::pack(const Tensors& parts) const {
  if (parts.size() != shapes_.size()) {
    throw ValueError(concat("tuple: got ", parts.size(), " parts, expected ", shapes_.size(), "."));
  }
  Tensors rows;
  for (size_t i = 0; i < parts.size(); ++i) {
    Shape expected = shapes_[i];
    if (parts[i].rank() > 0) expected[0] = parts[0].rank() > 0 ? parts[0].dim(0) : 0;
    if (parts[i].shape() != expected) {
      throw ShapeError(concat("tuple: part ", i, " is ", describe(parts[i]), ", expected shape ",
                              expected, "."));
    }
    rows.push_back(reshape(parts[i], {parts[i].dim(0), values_of_sample(shapes_[i])}));
  }
  return rows.size() == 1 ? rows[0] : concatenate(rows, 1);
}

Tensors TupleLayout::unpack(const Tensor& packed) const {
  if (packed.rank() != 2 || packed.dim(1) != values_) {
    throw ShapeError(concat("tuple: packed ", describe(packed), " must be (N, ", values_, ")."));
  }
  Tensors parts;
  int64_t begin = 0;
  for (Shape shape : shapes_) {
    const int64_t end = begin + values_of_sample(shape);
    shape[0] = packed.dim(0);
    parts.push_back(reshape(slice(packed, 1, begin, end), shape));
    begin = end;
  }
  return parts;
}

Field TupleLayout::field(const TupleFunction& f, const Tensors& context) const {
  return {.context = context,
          .evaluate = [layout = *this, f](const Tensor& t, const Tensor& y, const Tensors& c) {
            return layout.pack(f(t, layout.unpack(y), c));
          }};
}

}  // namespace slope::ode
