// A walk over two strided tensors of one shape, cut into pieces of planes: what the copies of the
// cpu backend have in common.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cpu/threads.h"
#include "core/shape.h"

namespace slope::cpu {

// One axis of a plane: its length, and how far apart (in values) its neighbours are on both sides.
struct PlaneAxis {
  int64_t length = 1, from = 0, to = 0;
};

// Pairs each value of `from` with the place of the same coordinates in `to`. The order is free, so
// axes are sorted by the strides of `to` and merged, until memory is walked as straight as the
// layouts allow.
class StridedWalk {
 public:
  StridedWalk(const Shape& shape, const Strides& from, const Strides& to);

  // The two axes of a plane. Rows run along the smallest stride of `to`, which is 1 in any result.
  const PlaneAxis& column() const { return column_; }
  const PlaneAxis& row() const { return row_; }
  // Neighbours in one are neighbours in the other.
  bool copies_runs() const { return row_.from == 1 && row_.to == 1; }
  // Neighbours in `from` lie along the columns.
  bool transposes() const { return column_.from == 1 && row_.to == 1 && row_.from > 1; }

  // Calls body(from_place, to_place, columns, rows) for pieces of planes that cover everything:
  // columns and rows count the values along these axes. `bytes` are those moved for each value.
  template <typename Body>
  void run(double bytes, Body&& body) const {
    if (whole_) return body(int64_t{0}, int64_t{0}, column_.length, row_.length);
    const int64_t row_pieces = pieces(row_.length, row_piece_);
    const int64_t column_pieces = pieces(column_.length, column_piece_);
    const int64_t items = outer_.size() * column_pieces * row_pieces;
    if (items == 0) return;
    const int64_t values = outer_.size() * column_.length * row_.length;
    const int64_t per_task = std::max<int64_t>(kPieceValues * items / values, 1);
    const auto item = [&](int64_t number) {
      const int64_t row = number % row_pieces * row_piece_;
      const int64_t column = number / row_pieces % column_pieces * column_piece_;
      int64_t from = row * row_.from + column * column_.from;
      int64_t to = row * row_.to + column * column_.to;
      int64_t rest = number / row_pieces / column_pieces;
      for (int axis = outer_.rank() - 1; axis >= 0; --axis) {
        const int64_t index = rest % outer_[axis];
        from += index * outer_from_[axis];
        to += index * outer_to_[axis];
        rest /= outer_[axis];
      }
      body(from, to, std::min(column_piece_, column_.length - column),
           std::min(row_piece_, row_.length - row));
    };
    parallel_for(pieces(items, per_task),
                 nanoseconds_for_bytes(static_cast<double>(values) * bytes), [&](int64_t task) {
                   const int64_t end = std::min(items, (task + 1) * per_task);
                   for (int64_t number = task * per_task; number < end; ++number) item(number);
                 });
  }

 private:
  static constexpr int64_t kPieceValues = 16384;  // of a piece and of a task
  static constexpr int64_t kSmallValues = 2048;
  static constexpr int64_t kTransposedPiece = 64;  // side of a piece: both sides of it fit L1

  static int64_t pieces(int64_t length, int64_t piece) { return (length + piece - 1) / piece; }

  Shape outer_;  // the axes around the planes
  Strides outer_from_, outer_to_;
  PlaneAxis column_, row_;
  int64_t column_piece_ = 1, row_piece_ = 1;
  bool whole_ = false;  // one piece, and too small for threads
};

}  // namespace slope::cpu
