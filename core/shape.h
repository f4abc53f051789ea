// Shape: a short list of axis lengths (or strides, or axis numbers) that lives without allocation.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>
#include <string>

#include "core/error.h"

namespace slope {

constexpr int kMaxRank = 8;
// Far beyond any memory, and small enough that offsets in bytes and sums of a few lengths fit.
constexpr int64_t kMaxSize = int64_t{1} << 56;

// Trivially copyable, so that it can stand inside an op's attributes. Unused places are zero.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> values) : Shape(std::span(values.begin(), values.size())) {}
  explicit Shape(std::span<const int64_t> values) {
    for (int64_t v : values) push_back(v);
  }
  // n places, all `value`.
  static Shape filled(int n, int64_t value) {
    Shape s;
    for (int i = 0; i < n; ++i) s.push_back(value);
    return s;
  }

  int rank() const { return static_cast<int>(rank_); }
  int64_t operator[](int i) const { return values_[static_cast<size_t>(i)]; }
  int64_t& operator[](int i) { return values_[static_cast<size_t>(i)]; }
  const int64_t* begin() const { return values_.data(); }
  const int64_t* end() const { return values_.data() + rank_; }
  int64_t back() const { return values_[static_cast<size_t>(rank_ - 1)]; }
  void push_back(int64_t value) {
    if (rank_ == kMaxRank) throw ShapeError(concat("shape: more than ", kMaxRank, " axes"));
    values_[static_cast<size_t>(rank_++)] = value;
  }
  bool operator==(const Shape& other) const = default;

  // Product of all lengths; 1 for (). ShapeError where it, or one length, is beyond kMaxSize.
  int64_t size() const {
    int64_t n = 1;
    for (int64_t v : *this) {
      if (__builtin_mul_overflow(n, v, &n) || n > kMaxSize || v > kMaxSize) throw_too_large();
    }
    return n;
  }

 private:
  [[noreturn]] void throw_too_large() const;

  int64_t rank_ = 0;
  std::array<int64_t, kMaxRank> values_{};
};

using Axes = Shape;     // axis numbers
using Strides = Shape;  // in values, not bytes

// "(2, 3)", "(5,)" is written "(5)", a scalar "()".
inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '(';
  for (int i = 0; i < shape.rank(); ++i) out << (i ? ", " : "") << shape[i];
  return out << ')';
}
inline std::string to_string(const Shape& shape) { return concat(shape); }

inline void Shape::throw_too_large() const {
  throw ShapeError(concat("shape: ", *this, " has more values than any memory: at most 2^56."));
}

// Row-major strides of a contiguous tensor.
inline Strides contiguous_strides(const Shape& shape) {
  Strides strides = Shape::filled(shape.rank(), 1);
  for (int i = shape.rank() - 2; i >= 0; --i) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

// The common shape of two shapes under broadcasting (axes aligned at the right, 1 stretches).
// Returns false when they do not fit; then `*bad_a`, `*bad_b` are the axes that clash.
inline bool broadcast(const Shape& a, const Shape& b, Shape* result, int* bad_a, int* bad_b) {
  const int rank = std::max(a.rank(), b.rank());
  *result = Shape::filled(rank, 1);
  for (int i = 1; i <= rank; ++i) {
    const int64_t x = i <= a.rank() ? a[a.rank() - i] : 1;
    const int64_t y = i <= b.rank() ? b[b.rank() - i] : 1;
    if (x != y && x != 1 && y != 1) {
      *bad_a = a.rank() - i;
      *bad_b = b.rank() - i;
      return false;
    }
    (*result)[rank - i] = x == 1 ? y : x;
  }
  return true;
}

}  // namespace slope
