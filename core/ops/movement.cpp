// Copies: the same values in new memory, in another layout, dtype or place.
#include <algorithm>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/registry.h"
#include "core/storage.h"

namespace slope {
namespace {

const char* type_name(Dtype dtype) {
  return dtype == Dtype::f32 ? "Dtype::f32" : dtype == Dtype::f64 ? "Dtype::f64" : "Dtype::i32";
}

// ---- copy, cast, copy_into --------------------------------------------------------------------

// x: any -> the same, contiguous
const Op kCopy{
    .name = "copy",
    .shape =
        [](const Call& c) {
          return OutSpecs{{c.in(0).shape(), c.in(0).dtype()}};
        },
    .vjp = [](const Vjp& v) { return Tensors{v.g()}; },
    .samples =
        [] {
          return Samples{{{{{2, 3}}}}, {{{{}}}}, {{{{3, 1, 4}}}}, {{{{0, 2}}}}, {{{{17, 5}}}}};
        },
    .keeps = kNothing,
    .strided = true};

// x: any -> the same shape in another dtype
const Op kCast{
    .name = "cast",
    .shape =
        [](const Call& c) {
          return OutSpecs{{c.in(0).shape(), static_cast<Dtype>(c.as<CastAttributes>().dtype)}};
        },
    .vjp =
        [](const Vjp& v) {
          if (!is_float(v.g().dtype())) return Tensors(1);
          return Tensors{cast(v.g(), v.in(0).dtype())};
        },
    .samples =
        [] {
          const auto to = [](Dtype dtype) { return CastAttributes{static_cast<int64_t>(dtype)}; };
          return Samples{{{{{2, 3}}}, to(Dtype::f64)},
                         {{{{4, 5}, -9, 9, true}}, to(Dtype::f64)},
                         {{{{7}, -9, 9, true}}, to(Dtype::f32)},
                         {{{{3, 2}, 0.1, 0.9}}, to(Dtype::i32)},
                         {{{{}}}, to(Dtype::f64)},
                         {{{{2, 0}}}, to(Dtype::f64)}};
        },
    .keeps = kNothing,
    .strided = true};

// to: any, from: the same shape and dtype; writes `to`
const Op kCopyInto{
    .name = "copy_into",
    .shape =
        [](const Call& c) {
          const Tensor& to = c.in(0);
          check_same_dtype(c, {"to", "from"});
          SLOPE_ASSERT(to.shape() == c.in(1).shape());  // copy_into() has expanded it
          for (int i = 0; i < to.rank() && to.size() > 0; ++i) {
            if (to.strides()[i] == 0 && to.shape()[i] > 1) {
              throw ShapeError(concat("copy_into: to ", describe(to), " is an expanded view; axis ",
                                      i, " has ", to.shape()[i],
                                      " values in one place. Write into copy(to)."));
            }
          }
          return OutSpecs{};
        },
    .visible = 0,
    .samples =
        [] {
          return Samples{{{{{2, 3}}, {{2, 3}}}},
                         {{{{}}, {{}}}},
                         {{{{0, 2}}, {{0, 2}}}},
                         {{{{5, 1, 7}}, {{5, 1, 7}}}}};
        },
    .keeps = kNothing,
    .writes = input_bit(0),
    .strided = true,
    .differentiable = false};

// ---- concatenate ------------------------------------------------------------------------------

// More inputs than this are joined in groups: a record's masks have one bit for each input.
constexpr size_t kMaxJoined = 16;

OutSpecs concatenated_shape(const Call& c) {
  const int axis = static_cast<int>(c.as<ConcatenateAttributes>().axis);
  Shape shape = c.in(0).shape();
  for (int i = 1; i < c.count(); ++i) {
    const Tensor& x = c.in(i);
    if (x.dtype() != c.in(0).dtype()) {
      throw DtypeError(concat("concatenate: dtypes differ: xs[0] ", describe(c.in(0)), ", xs[", i,
                              "] ", describe(x), ". Nothing is converted silently; write cast(xs[",
                              i, "], ", type_name(c.in(0).dtype()), ")."));
    }
    if (x.rank() != shape.rank()) {
      throw ShapeError(concat("concatenate: ranks differ: xs[0] ", describe(c.in(0)), ", xs[", i,
                              "] ", describe(x), ". To join along a new axis, use stack."));
    }
    for (int k = 0; k < shape.rank(); ++k) {
      if (k != axis && x.shape()[k] != shape[k]) {
        throw ShapeError(concat("concatenate: shapes differ beside axis ", axis, ": xs[0] ",
                                describe(c.in(0)), ", xs[", i, "] ", describe(x), "; axis ", k,
                                " is ", shape[k], " and ", x.shape()[k], "."));
      }
    }
    shape[axis] += x.shape()[axis];
  }
  return {{shape, c.in(0).dtype()}};
}

// xs: equal shapes but for `axis` -> one after the other along `axis`
const Op kConcatenate{.name = "concatenate",
                      .shape = concatenated_shape,
                      .vjp =
                          [](const Vjp& v) {
                            const int axis = static_cast<int>(v.as<ConcatenateAttributes>().axis);
                            Tensors d(v.call.inputs.size());
                            int64_t begin = 0;
                            for (int i = 0; i < v.call.count(); ++i) {
                              const int64_t end = begin + v.in(i).shape()[axis];
                              if (v.wanted(i))
                                d[static_cast<size_t>(i)] = slice(v.g(), axis, begin, end);
                              begin = end;
                            }
                            return d;
                          },
                      .samples =
                          [] {
                            return Samples{
                                {{{{2, 3}}, {{1, 3}}, {{3, 3}}}, ConcatenateAttributes{0}},
                                {{{{2, 3}}, {{2, 1}}}, ConcatenateAttributes{1}},
                                {{{{2, 2, 3}}, {{2, 5, 3}}}, ConcatenateAttributes{1}},
                                {{{{4}}}, ConcatenateAttributes{0}},
                                {{{{0, 2}}, {{3, 2}}}, ConcatenateAttributes{0}},
                                {{{{2, 1}}, {{2, 0}}, {{2, 1}}}, ConcatenateAttributes{1}}};
                          },
                      .keeps = kNothing};

// ---- pad --------------------------------------------------------------------------------------

// x: any -> `value` around it, and between its values where a step is above 1
const Op kPad{
    .name = "pad",
    .shape =
        [](const Call& c) {
          const Tensor& x = c.in(0);
          const auto& p = c.as<PadAttributes>();
          if (p.before.rank() != x.rank() || p.after.rank() != x.rank()) {
            throw ShapeError(concat("pad: x ", describe(x), " has ", x.rank(), " axes, before ",
                                    p.before, " has ", p.before.rank(), ", after ", p.after,
                                    " has ", p.after.rank(), ". Give one amount for each axis."));
          }
          Shape shape = x.shape();
          for (int i = 0; i < x.rank(); ++i) {
            if (p.before[i] < 0 || p.after[i] < 0) {
              throw ShapeError(concat("pad: negative amount at axis ", i, ": x ", describe(x),
                                      ", before ", p.before, ", after ", p.after,
                                      ". To remove values, use slice."));
            }
            SLOPE_ASSERT(p.steps[i] >= 1);
            const int64_t covered = shape[i] == 0 ? 0 : (shape[i] - 1) * p.steps[i] + 1;
            shape[i] = p.before[i] + covered + p.after[i];
          }
          return OutSpecs{{shape, x.dtype()}};
        },
    .vjp =
        [](const Vjp& v) {
          const auto& p = v.as<PadAttributes>();
          Tensor d = v.g();
          for (int i = 0; i < d.rank(); ++i) {
            const int64_t end = d.shape()[i] - p.after[i];
            if (p.before[i] > 0 || p.after[i] > 0 || p.steps[i] > 1)
              d = slice(d, i, p.before[i], end, p.steps[i]);
          }
          return Tensors{d};
        },
    .samples =
        [] {
          return Samples{
              {{{{4}}}, PadAttributes{{1}, {2}, {1}, 0}},
              {{{{1, 3, 2, 2}}}, PadAttributes{{0, 1, 2, 0}, {0, 1, 1, 0}, {1, 1, 1, 1}, 0}},
              {{{{2, 3}}}, PadAttributes{{1, 0}, {0, 2}, {1, 1}, -1.5}},
              {{{{3, 2}}}, PadAttributes{{0, 1}, {2, 0}, {3, 2}, 0}},
              {{{{2, 0}}}, PadAttributes{{0, 1}, {0, 1}, {1, 1}, 2}},
              {{{{}}}, PadAttributes{{}, {}, {}, 0}}};
        },
    .keeps = kNothing};

}  // namespace

OpList movement_ops() { return {&kCopy, &kCast, &kCopyInto, &kConcatenate, &kPad}; }

Tensor contiguous(const Tensor& x) { return x.contiguous() ? x : copy(x); }

Tensor copy(const Tensor& x) { return apply(kCopy, {x}); }

Tensor cast(const Tensor& x, Dtype dtype) {
  if (x.dtype() == dtype) return x;
  return apply(kCast, {x}, CastAttributes{static_cast<int64_t>(dtype)});
}

void copy_into(const Tensor& to, const Tensor& from) {
  Shape common;
  int axis_to = 0, axis_from = 0;
  const bool fits = broadcast(to.shape(), from.shape(), &common, &axis_to, &axis_from);
  if (!fits || common != to.shape()) {
    throw ShapeError(concat("copy_into: from ", describe(from),
                            " does not broadcast to the shape of to ", describe(to),
                            ". Only axes of `from` with length 1 stretch."));
  }
  // Views of one storage may overlap; a kernel may copy in any order.
  const Tensor source = from.storage() == to.storage() ? copy(from) : from;
  apply_all(kCopyInto, {to, source.shape() == to.shape() ? source : expand(source, to.shape())});
}

Tensor concatenate(const Tensors& xs, int axis) {
  if (xs.empty()) throw ValueError("concatenate: no tensors given. Pass at least one.");
  const ConcatenateAttributes attributes{normalized_axis("concatenate", axis, xs[0].rank())};
  if (xs.size() <= kMaxJoined) return apply(kConcatenate, xs, attributes);
  Tensors groups;
  for (size_t i = 0; i < xs.size(); i += kMaxJoined) {
    const size_t n = std::min(kMaxJoined, xs.size() - i);
    groups.push_back(apply(kConcatenate, std::span(xs).subspan(i, n), attributes));
  }
  return concatenate(groups, axis);
}

Tensor stack(const Tensors& xs, int axis) {
  if (xs.empty()) throw ValueError("stack: no tensors given. Pass at least one.");
  Tensors rows;
  for (size_t i = 0; i < xs.size(); ++i) {
    if (xs[i].shape() != xs[0].shape()) {
      throw ShapeError(concat("stack: shapes differ: xs[0] ", describe(xs[0]), ", xs[", i, "] ",
                              describe(xs[i]),
                              ". To join along an axis that they have, use concatenate."));
    }
    rows.push_back(unsqueeze(xs[i], axis));
  }
  return concatenate(rows, normalized_axis("stack", axis, xs[0].rank() + 1));
}

Tensor pad(const Tensor& x, const Shape& before, const Shape& after, double value) {
  return pad(x, PadAttributes{before, after, Shape::filled(x.rank(), 1), value});
}

Tensor pad(const Tensor& x, const PadAttributes& attributes) {
  return apply(kPad, {x}, attributes);
}

}  // namespace slope
