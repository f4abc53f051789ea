// What group norm and batch norm on the cpu share: how a problem is cut up, and the rows of channel
// values that their loops (norm_kernel.h) work with.
#pragma once

#include <algorithm>
#include <memory>

#include "backends/cpu/norm_kernel.h"
#include "backends/cpu/threads.h"
#include "backends/reference/table.h"
#include "core/ops/norm.h"

namespace slope::cpu {

// Hands out parts of a scratch block; with a null block it only counts the bytes.
class Carver {
 public:
  explicit Carver(void* block) : block_(static_cast<char*>(block)) {}
  template <typename T>
  T* take(int64_t count) {
    char* part = block_ ? block_ + used_ : nullptr;
    // Whole cache lines: two threads never write into the same one.
    used_ += (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return reinterpret_cast<T*>(part);
  }
  size_t used() const { return used_; }

 private:
  char* block_;
  size_t used_ = 0;
};

inline int64_t count_of_chunks(int64_t all, int64_t length) { return (all + length - 1) / length; }

// Places [begin, end): chunk `index` of `all` places in chunks of `length`.
struct Range {
  int64_t begin, end;
  Range(int64_t index, int64_t length, int64_t all)
      : begin(index * length), end(std::min(all, begin + length)) {}
  int64_t size() const { return end - begin; }
};

struct NormLayout : NormSizes {
  explicit NormLayout(const NormSizes& sizes) : NormSizes(sizes) {}
  // Values of one sample.
  int64_t image() const { return positions * channels; }
  // The samples of a chunk of about 128 KiB, which a second pass finds in L2. Depends on the
  // problem only.
  int64_t chunk_samples(size_t value_bytes) const {
    const int64_t bytes = std::max<int64_t>(1, image() * static_cast<int64_t>(value_bytes));
    return std::max<int64_t>(1, (int64_t{128} << 10) / bytes);
  }
  // Nanoseconds, roughly, for reading or writing all values this many times.
  double cost(double passes, size_t value_bytes) const {
    return nanoseconds_for_bytes(static_cast<double>(samples) * static_cast<double>(image()) *
                                 static_cast<double>(value_bytes) * passes);
  }
};

// The first of `rows` rows, whose mean serves as the shift under the sums of all of them. All when
// they are few; else one in 16, which costs no second pass over memory and still bounds the
// rounding: if a fraction f of the values has a mean that is D off that of the others, the variance
// of all is at least f (1 - f) D^2, so that (shift - mean)^2 is at most (1 - f) / f = 15 variances.
inline int64_t shift_rows(int64_t rows) {
  return std::min(rows, std::max<int64_t>(64, (rows + 15) / 16));
}

// The values that are normalised, of the samples in `range`: x itself, or, with a time term,
// x + t * map written to `room`.
template <typename T>
const T* values_of(const NormKernels<T>& k, const NormLayout& z, const Range& range, const T* x,
                   const T* t, const T* map, T* room) {
  x += range.begin * z.image();
  if (!t) return x;
  for (int64_t n = 0; n < range.size(); ++n) {
    k.add_scaled(z.image(), x + n * z.image(), t[(range.begin + n) * z.t_stride], map,
                 room + n * z.image());
  }
  return room;
}

// What belongs to a channel while values are normalised: y = (v - mean) * scale + shift.
template <typename T>
struct ChannelRows {
  T *mean, *rstd, *scale, *shift;

  ChannelRows(Carver& carver, int64_t channels)
      : mean(carver.take<T>(channels)),
        rstd(carver.take<T>(channels)),
        scale(carver.take<T>(channels)),
        shift(carver.take<T>(channels)) {}
};

// dmap (positions, channels): the sum over the samples of t dx.
template <typename T>
void map_gradient(const NormKernels<T>& k, const NormLayout& z, const T* t, const T* dx, T* dmap) {
  const int64_t block = std::clamp<int64_t>(z.image() / 16, 256, 4096);
  parallel_for(count_of_chunks(z.image(), block), z.cost(1, sizeof(T)), [&](int64_t i) {
    const Range columns(i, block, z.image());
    k.weighted_sums(z.samples, columns.size(), z.image(), t, z.t_stride, dx + columns.begin,
                    dmap + columns.begin);
  });
}

std::unique_ptr<Prepared> prepare_batch_norm(const Call& call);
std::unique_ptr<Prepared> prepare_batch_norm_gradient(const Call& call);
std::unique_ptr<Prepared> prepare_batch_norm_with(const Call& call);

}  // namespace slope::cpu
