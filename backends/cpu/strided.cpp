#include "backends/cpu/strided.h"

#include <vector>

namespace slope::cpu {

StridedWalk::StridedWalk(const Shape& shape, const Strides& from, const Strides& to) {
  std::vector<PlaneAxis> axes;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != 1) axes.push_back({shape[i], from[i], to[i]});
  }
  std::stable_sort(axes.begin(), axes.end(),
                   [](const PlaneAxis& a, const PlaneAxis& b) { return a.to > b.to; });
  std::vector<PlaneAxis> merged;
  for (const PlaneAxis& axis : axes) {
    if (!merged.empty() && merged.back().from == axis.length * axis.from &&
        merged.back().to == axis.length * axis.to) {
      merged.back() = {merged.back().length * axis.length, axis.from, axis.to};
    } else {
      merged.push_back(axis);
    }
  }

  row_ = {1, 1, 1};
  if (!merged.empty()) {
    row_ = merged.back();
    merged.pop_back();
  }
  // The columns of a transpose are the axis of from's neighbours; of everything else the next axis.
  auto column = std::find_if(merged.begin(), merged.end(),
                             [](const PlaneAxis& axis) { return axis.from == 1; });
  if (row_.from <= 1 || column == merged.end()) {
    column = merged.empty() ? merged.end() : merged.end() - 1;
  }
  if (column != merged.end()) {
    column_ = *column;
    merged.erase(column);
  }
  for (const PlaneAxis& axis : merged) {
    outer_.push_back(axis.length);
    outer_from_.push_back(axis.from);
    outer_to_.push_back(axis.to);
  }

  if (transposes()) {
    row_piece_ = column_piece_ = kTransposedPiece;
  } else {
    row_piece_ = std::clamp<int64_t>(row_.length, 1, kPieceValues);
    column_piece_ = std::max<int64_t>(kPieceValues / row_piece_, 1);
  }
  const int64_t values = column_.length * row_.length;
  whole_ = outer_.size() == 1 && values > 0 && column_.length <= column_piece_ &&
           row_.length <= row_piece_ && values <= kSmallValues;
}

}  // namespace slope::cpu
