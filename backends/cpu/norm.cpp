// Normalisations on the cpu. A sample (or a chunk of samples) goes through all its passes while it
// is in the cache of one core; the passes themselves are the loops of norm_kernel.cpp.
#include "core/ops/norm.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/cpu.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/norm_kernel.h"
#include "backends/cpu/threads.h"

namespace slope::cpu {

template <typename T>
const NormKernels<T>& norm_kernels() {
  const auto pick = [](const auto& for_float, const auto& for_double) -> const NormKernels<T>& {
    if constexpr (sizeof(T) == sizeof(float)) {
      return for_float;
    } else {
      return for_double;
    }
  };
  switch (isa()) {
#ifdef SLOPE_X86
    case Isa::avx512:
      return pick(avx512::kNormFloat, avx512::kNormDouble);
    case Isa::avx2:
      return pick(avx2::kNormFloat, avx2::kNormDouble);
#endif
    default:
      return pick(generic::kNormFloat, generic::kNormDouble);
  }
}

namespace {

// Hands out parts of a scratch block; with a null block it only counts the bytes.
class Carver {
 public:
  explicit Carver(void* block) : block_(static_cast<char*>(block)) {}
  template <typename T>
  T* take(int64_t count) {
    char* part = block_ ? block_ + used_ : nullptr;
    used_ += (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;  // no line of two threads
    return reinterpret_cast<T*>(part);
  }
  size_t used() const { return used_; }

 private:
  char* block_;
  size_t used_ = 0;
};

// The parts of samples: image = positions * channels.
struct Layout : NormSizes {
  explicit Layout(const NormSizes& sizes) : NormSizes(sizes) {}
  int64_t image() const { return positions * channels; }

  // Chunks of samples of about 128 KiB, so that a second pass finds them in L2. Depends on the
  // problem only.
  template <typename T>
  int64_t chunk_samples() const {
    const int64_t bytes = std::max<int64_t>(1, image() * static_cast<int64_t>(sizeof(T)));
    return std::max<int64_t>(1, (int64_t{128} << 10) / bytes);
  }
};

// Samples [begin, end) of chunk `index`.
struct Range {
  int64_t begin, end;
  Range(int64_t index, int64_t length, int64_t all)
      : begin(index * length), end(std::min(all, begin + length)) {}
  int64_t size() const { return end - begin; }
};
int64_t count_of_chunks(int64_t all, int64_t length) { return (all + length - 1) / length; }

double pass_cost(const Layout& z, size_t value_bytes, double passes) {
  return nanoseconds_for_bytes(static_cast<double>(z.samples) * static_cast<double>(z.image()) *
                               static_cast<double>(value_bytes) * passes);
}

// The values that are normalised, samples [range): x itself, or x + t * map written to `room`.
template <typename T>
const T* with_time(const NormKernels<T>& k, const Layout& z, const Range& range, const T* x,
                   const T* t, const T* map, T* room) {
  x += range.begin * z.image();
  if (!t) return x;
  for (int64_t n = 0; n < range.size(); ++n) {
    k.add_scaled(z.image(), x + n * z.image(), t[(range.begin + n) * z.t_stride], map,
                 room + n * z.image());
  }
  return room;
}

// What belongs to a channel while values are normalised.
template <typename T>
struct ChannelRows {
  T *mean, *scale, *shift;

  ChannelRows(Carver& carver, int64_t channels)
      : mean(carver.take<T>(channels)),
        scale(carver.take<T>(channels)),
        shift(carver.take<T>(channels)) {}

  void set(int64_t c, T mean_c, T rstd, const T* weight, const T* bias) {
    mean[c] = mean_c;
    scale[c] = weight ? rstd * weight[c] : rstd;
    shift[c] = bias ? bias[c] : T(0);
  }
};

double variance_of(double sum, double square_sum, double count) {
  const double variance = square_sum / count - sum / count * (sum / count);
  return variance < 0 ? 0 : variance;  // NaN stays
}

// dmap (positions, channels): the sum over the samples of t dx.
template <typename T>
void map_gradient(const NormKernels<T>& k, const Layout& z, const T* t, const T* dx, T* dmap) {
  constexpr int64_t block = 512;
  parallel_for(count_of_chunks(z.image(), block), pass_cost(z, sizeof(T), 1), [&](int64_t i) {
    const Range columns(i, block, z.image());
    k.weighted_sums(z.samples, columns.size(), z.image(), t, z.t_stride, dx + columns.begin,
                    dmap + columns.begin);
  });
}

// ---- group norm ---------------------------------------------------------------------------------

// One thread's rows for one sample.
template <typename T>
struct GroupRoom {
  Carver carver;
  ChannelRows<T> rows;
  T *sums, *squares, *tilt, *offset;
  double *totals, *square_totals;
  T* image = nullptr;

  GroupRoom(void* block, const Layout& z, int64_t groups, bool gradient, bool time)
      : carver(block),
        rows(carver, z.channels),
        sums(carver.take<T>(z.channels)),
        squares(carver.take<T>(z.channels)),
        tilt(carver.take<T>(gradient ? z.channels : 0)),
        offset(carver.take<T>(gradient ? z.channels : 0)),
        totals(carver.take<double>(groups)),
        square_totals(carver.take<double>(groups)) {
    if (gradient && time) image = carver.take<T>(z.image());
  }
};

template <typename T>
struct GroupNorm {
  const NormKernels<T>& k = norm_kernels<T>();
  Layout z;
  int64_t groups;
  double epsilon;
  Activation activation;

  int64_t width() const { return z.channels / groups; }

  // v: one sample. Fills room.rows, and mean, rstd: (groups).
  void statistics(const T* v, const T* weight, const T* bias, GroupRoom<T>& room, T* mean,
                  T* rstd) const {
    const double count = static_cast<double>(z.positions * width());
    const auto for_channels = [&](auto&& f) {
      for (int64_t g = 0, c = 0; g < groups; ++g) {
        for (const int64_t end = c + width(); c < end; ++c) f(g, c);
      }
    };
    k.column_sums(z.positions, z.channels, v, room.sums);
    k.group_totals(groups, width(), room.sums, room.totals);
    for (int64_t g = 0; g < groups; ++g) mean[g] = static_cast<T>(room.totals[g] / count);
    for_channels([&](int64_t g, int64_t c) { room.rows.mean[c] = mean[g]; });

    k.centred_sums(z.positions, z.channels, v, room.rows.mean, room.sums, room.squares);
    k.group_totals(groups, width(), room.sums, room.totals);
    k.group_totals(groups, width(), room.squares, room.square_totals);
    for (int64_t g = 0; g < groups; ++g) {
      const double variance = variance_of(room.totals[g], room.square_totals[g], count);
      mean[g] = static_cast<T>(static_cast<double>(mean[g]) + room.totals[g] / count);
      rstd[g] = static_cast<T>(1 / std::sqrt(variance + epsilon));
    }
    for_channels([&](int64_t g, int64_t c) { room.rows.set(c, mean[g], rstd[g], weight, bias); });
  }

  // v, g: one sample; mean, rstd: (groups). Writes dx, and adds to dweight and dbias if they are
  // wanted.
  void gradient(const T* v, const T* g, const T* weight, const T* bias, const T* mean,
                const T* rstd, GroupRoom<T>& room, T* dx, T* dweight, T* dbias) const {
    const double count = static_cast<double>(z.positions * width());
    for (int64_t c = 0; c < z.channels; ++c) {
      room.rows.set(c, mean[c / width()], rstd[c / width()], weight, bias);
    }
    k.gradient_sums(activation, z.positions, z.channels, g, v, room.rows.mean, room.rows.scale,
                    room.rows.shift, dx, room.sums, room.squares);
    for (int64_t c = 0; c < z.channels; ++c) {
      if (dweight) {
        dweight[c] += rstd[c / width()] * room.squares[c];
        dbias[c] += room.sums[c];
      }
      room.sums[c] *= weight ? weight[c] : T(1);
      room.squares[c] *= weight ? weight[c] : T(1);
    }
    // dx = rstd (dn - mean(dn) - normalised mean(dn normalised)), dn = weight dz
    k.group_totals(groups, width(), room.sums, room.totals);
    k.group_totals(groups, width(), room.squares, room.square_totals);
    for (int64_t group = 0, c = 0; group < groups; ++group) {
      const double r = static_cast<double>(rstd[group]);
      const T offset = static_cast<T>(-r * room.totals[group] / count);
      const T tilt = static_cast<T>(-r * r * r * room.square_totals[group] / count);
      for (const int64_t end = c + width(); c < end; ++c) {
        room.offset[c] = offset;
        room.tilt[c] = tilt;
      }
    }
    k.gradient_values(z.positions, z.channels, dx, v, room.rows.mean, room.rows.scale, room.tilt,
                      room.offset, dx);
  }
};

std::unique_ptr<Prepared> prepare_group_norm(const Call& call) {
  const Layout z(norm_sizes(call.in(0), call.in(3)));
  const auto a = call.as<GroupNormAttributes>();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const GroupNorm<T> norm{
        .z = z, .groups = a.groups, .epsilon = a.epsilon, .activation = a.activation};
    const int slots = thread_slots();
    const size_t room_bytes = GroupRoom<T>(nullptr, z, a.groups, false, false).carver.used();
    return prepared(
        [=](const Argument* args, void* scratch) {
          const auto task = [&](int64_t n, int slot) {
            GroupRoom<T> room(static_cast<char*>(scratch) + static_cast<size_t>(slot) * room_bytes,
                              z, a.groups, false, false);
            T* y = data<T>(args[5]) + n * z.image();
            const T* v = with_time(norm.k, z, Range(n, 1, z.samples), data<T>(args[0]),
                                   data<T>(args[3]), data<T>(args[4]), y);
            norm.statistics(v, data<T>(args[1]), data<T>(args[2]), room,
                            data<T>(args[6]) + n * a.groups, data<T>(args[7]) + n * a.groups);
            norm.k.normalise(a.activation, z.positions, z.channels, v, room.rows.mean,
                             room.rows.scale, room.rows.shift, y);
          };
          parallel_for(z.samples, pass_cost(z, sizeof(T), 3), task, slots);
        },
        static_cast<size_t>(slots) * room_bytes);
  });
}

std::unique_ptr<Prepared> prepare_group_norm_gradient(const Call& call) {
  const Layout z(norm_sizes(call.in(1), call.in(4)));
  const auto a = call.as<GroupNormGradientAttributes>();
  const bool time = call.has(4);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const GroupNorm<T> norm{.z = z, .groups = a.groups, .epsilon = 0, .activation = a.activation};
    // Each chunk of samples has its own part of dweight and dbias; they are added up in order.
    const int64_t chunk = std::max<int64_t>(1, count_of_chunks(z.samples, 128));
    const int64_t chunks = count_of_chunks(z.samples, chunk);
    const int slots = thread_slots();
    const size_t room_bytes = GroupRoom<T>(nullptr, z, a.groups, true, time).carver.used();
    const int64_t part = a.wants_affine ? chunks * z.channels : 0;
    return prepared(
        [=](const Argument* args, void* scratch) {
          Carver carver(scratch);
          T* dweight_parts = carver.take<T>(part);
          T* dbias_parts = carver.take<T>(part);
          char* rooms = carver.take<char>(static_cast<int64_t>(room_bytes) * slots);
          std::fill_n(dweight_parts, part, T(0));
          std::fill_n(dbias_parts, part, T(0));
          const auto task = [&](int64_t i, int slot) {
            GroupRoom<T> room(rooms + static_cast<size_t>(slot) * room_bytes, z, a.groups, true,
                              time);
            const Range samples(i, chunk, z.samples);
            for (int64_t n = samples.begin; n < samples.end; ++n) {
              const T* v = with_time(norm.k, z, Range(n, 1, z.samples), data<T>(args[1]),
                                     data<T>(args[4]), data<T>(args[5]), room.image);
              norm.gradient(v, data<T>(args[0]) + n * z.image(), data<T>(args[2]), data<T>(args[3]),
                            data<T>(args[6]) + n * a.groups, data<T>(args[7]) + n * a.groups, room,
                            data<T>(args[8]) + n * z.image(),
                            a.wants_affine ? dweight_parts + i * z.channels : nullptr,
                            a.wants_affine ? dbias_parts + i * z.channels : nullptr);
            }
          };
          parallel_for(chunks, pass_cost(z, sizeof(T), 5), task, slots);
          if (a.wants_affine) {
            norm.k.column_sums(chunks, z.channels, dweight_parts, data<T>(args[9]));
            norm.k.column_sums(chunks, z.channels, dbias_parts, data<T>(args[10]));
          }
          if (a.wants_map && time) {
            map_gradient(norm.k, z, data<T>(args[4]), data<T>(args[8]), data<T>(args[11]));
          }
        },
        [&] {
          Carver carver(nullptr);
          carver.take<T>(part);
          carver.take<T>(part);
          carver.take<char>(static_cast<int64_t>(room_bytes) * slots);
          return carver.used();
        }());
  });
}

// ---- batch norm ---------------------------------------------------------------------------------

// The sums of a chunk about its own mean.
template <typename T>
struct ChunkSums {
  T *mean, *sums, *squares;

  ChunkSums(Carver& carver, int64_t rows)
      : mean(carver.take<T>(rows)), sums(carver.take<T>(rows)), squares(carver.take<T>(rows)) {}
};

// Mean and sum of squares about it, of chunk after chunk (Chan, Golub and LeVeque 1983).
struct Merged {
  double count = 0, mean = 0, squares = 0;

  void add(double more, double its_mean, double its_squares) {
    const double all = count + more, distance = its_mean - mean;
    mean += distance * (more / all);
    squares += its_squares + distance * distance * (count * more / all);
    count = all;
  }
};

std::unique_ptr<Prepared> prepare_batch_norm(const Call& call) {
  const Layout z(norm_sizes(call.in(0), call.in(3)));
  const auto a = call.as<BatchNormAttributes>();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const NormKernels<T>& k = norm_kernels<T>();
    const int64_t chunk = z.chunk_samples<T>(), chunks = count_of_chunks(z.samples, chunk);
    const auto carve = [=](void* block) {
      Carver carver(block);
      ChunkSums<T> sums(carver, chunks * z.channels);
      ChannelRows<T> rows(carver, z.channels);
      return std::tuple(sums, rows, carver.used());
    };
    return prepared(
        [=, &k](const Argument* args, void* scratch) {
          auto [parts, rows, used] = carve(scratch);
          T* y = data<T>(args[5]);
          // With a time term y holds the values until they are normalised.
          const bool time = args[3].data != nullptr;
          parallel_for(chunks, pass_cost(z, sizeof(T), 2), [&](int64_t i) {
            const Range samples(i, chunk, z.samples);
            const int64_t n_rows = samples.size() * z.positions, at = i * z.channels;
            const T* v = with_time(k, z, samples, data<T>(args[0]), data<T>(args[3]),
                                   data<T>(args[4]), y + samples.begin * z.image());
            k.column_sums(n_rows, z.channels, v, parts.mean + at);
            for (int64_t c = at; c < at + z.channels; ++c) {
              parts.mean[c] /= static_cast<T>(n_rows);
            }
            k.centred_sums(n_rows, z.channels, v, parts.mean + at, parts.sums + at,
                           parts.squares + at);
          });
          for (int64_t c = 0; c < z.channels; ++c) {
            Merged merged;
            for (int64_t i = 0; i < chunks; ++i) {
              const int64_t at = i * z.channels + c;
              const double count =
                  static_cast<double>(Range(i, chunk, z.samples).size() * z.positions);
              const double off = static_cast<double>(parts.sums[at]) / count;
              merged.add(count, static_cast<double>(parts.mean[at]) + off,
                         count * variance_of(static_cast<double>(parts.sums[at]),
                                             static_cast<double>(parts.squares[at]), count));
            }
            const double variance = merged.squares / merged.count;  // of no values: NaN
            data<T>(args[6])[c] = static_cast<T>(merged.count > 0 ? merged.mean : variance);
            data<T>(args[7])[c] = static_cast<T>(variance);
            const double rstd = 1 / std::sqrt(static_cast<double>(data<T>(args[7])[c]) + a.epsilon);
            rows.set(c, data<T>(args[6])[c], static_cast<T>(rstd), data<T>(args[1]),
                     data<T>(args[2]));
          }
          parallel_for(chunks, pass_cost(z, sizeof(T), 2), [&](int64_t i) {
            const Range samples(i, chunk, z.samples);
            const int64_t at = samples.begin * z.image();
            k.normalise(a.activation, samples.size() * z.positions, z.channels,
                        (time ? y : data<T>(args[0])) + at, rows.mean, rows.scale, rows.shift,
                        y + at);
          });
        },
        std::get<2>(carve(nullptr)));
  });
}

std::unique_ptr<Prepared> prepare_batch_norm_gradient(const Call& call) {
  const Layout z(norm_sizes(call.in(1), call.in(4)));
  const auto a = call.as<BatchNormGradientAttributes>();
  const bool time = call.has(4);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const NormKernels<T>& k = norm_kernels<T>();
    const int64_t chunk = z.chunk_samples<T>(), chunks = count_of_chunks(z.samples, chunk);
    const int slots = thread_slots();
    struct Room {
      T *part_sums, *part_products, *sums, *products, *tilt, *offset, *images;
      ChannelRows<T> rows;
      size_t used;
    };
    const auto carve = [=](void* block) {
      Carver carver(block);
      Room room{.part_sums = carver.take<T>(chunks * z.channels),
                .part_products = carver.take<T>(chunks * z.channels),
                .sums = carver.take<T>(z.channels),
                .products = carver.take<T>(z.channels),
                .tilt = carver.take<T>(z.channels),
                .offset = carver.take<T>(z.channels),
                .images = carver.take<T>(time ? slots * chunk * z.image() : 0),
                .rows = ChannelRows<T>(carver, z.channels),
                .used = 0};
      room.used = carver.used();
      return room;
    };
    return prepared(
        [=, &k](const Argument* args, void* scratch) {
          Room room = carve(scratch);
          ChannelRows<T>& rows = room.rows;
          T* dx = data<T>(args[8]);
          for (int64_t c = 0; c < z.channels; ++c) {
            const double variance = static_cast<double>(data<T>(args[7])[c]);
            rows.set(c, data<T>(args[6])[c], static_cast<T>(1 / std::sqrt(variance + a.epsilon)),
                     data<T>(args[2]), data<T>(args[3]));
          }
          const auto values = [&](const Range& samples, int slot) {
            return with_time(k, z, samples, data<T>(args[1]), data<T>(args[4]), data<T>(args[5]),
                             room.images + slot * chunk * z.image());
          };
          const auto first_pass = [&](int64_t i, int slot) {
            const Range samples(i, chunk, z.samples);
            const int64_t at = samples.begin * z.image();
            k.gradient_sums(a.activation, samples.size() * z.positions, z.channels,
                            data<T>(args[0]) + at, values(samples, slot), rows.mean, rows.scale,
                            rows.shift, dx + at, room.part_sums + i * z.channels,
                            room.part_products + i * z.channels);
          };
          parallel_for(chunks, pass_cost(z, sizeof(T), 3), first_pass, slots);
          k.column_sums(chunks, z.channels, room.part_sums, room.sums);
          k.column_sums(chunks, z.channels, room.part_products, room.products);
          const double count = static_cast<double>(z.samples * z.positions);
          for (int64_t c = 0; c < z.channels; ++c) {
            const double rstd = 1 / std::sqrt(static_cast<double>(data<T>(args[7])[c]) + a.epsilon);
            // dx = rstd (dn - mean(dn) - normalised mean(dn normalised)), dn = weight dz
            const double slope = static_cast<double>(rows.scale[c]) / count;
            room.offset[c] = static_cast<T>(-slope * static_cast<double>(room.sums[c]));
            room.tilt[c] =
                static_cast<T>(-slope * rstd * rstd * static_cast<double>(room.products[c]));
            if (a.wants_affine) {
              data<T>(args[9])[c] = static_cast<T>(rstd * static_cast<double>(room.products[c]));
              data<T>(args[10])[c] = room.sums[c];
            }
          }
          const auto second_pass = [&](int64_t i, int slot) {
            const Range samples(i, chunk, z.samples);
            const int64_t at = samples.begin * z.image();
            k.gradient_values(samples.size() * z.positions, z.channels, dx + at,
                              values(samples, slot), rows.mean, rows.scale, room.tilt, room.offset,
                              dx + at);
          };
          parallel_for(chunks, pass_cost(z, sizeof(T), 3), second_pass, slots);
          if (a.wants_map && time) {
            map_gradient(k, z, data<T>(args[4]), dx, data<T>(args[11]));
          }
        },
        carve(nullptr).used);
  });
}

std::unique_ptr<Prepared> prepare_batch_norm_with(const Call& call) {
  const Layout z(norm_sizes(call.in(0), call.in(5)));
  const auto a = call.as<BatchNormAttributes>();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const NormKernels<T>& k = norm_kernels<T>();
    const int64_t chunk = z.chunk_samples<T>(), chunks = count_of_chunks(z.samples, chunk);
    Carver counter(nullptr);
    const ChannelRows<T> counted(counter, z.channels);
    return prepared(
        [=, &k](const Argument* args, void* scratch) {
          Carver carver(scratch);
          ChannelRows<T> rows(carver, z.channels);
          for (int64_t c = 0; c < z.channels; ++c) {
            const double variance = static_cast<double>(data<T>(args[2])[c]);
            rows.set(c, data<T>(args[1])[c], static_cast<T>(1 / std::sqrt(variance + a.epsilon)),
                     data<T>(args[3]), data<T>(args[4]));
          }
          parallel_for(chunks, pass_cost(z, sizeof(T), 2), [&](int64_t i) {
            const Range samples(i, chunk, z.samples);
            T* y = data<T>(args[7]) + samples.begin * z.image();
            const T* v =
                with_time(k, z, samples, data<T>(args[0]), data<T>(args[5]), data<T>(args[6]), y);
            k.normalise(a.activation, samples.size() * z.positions, z.channels, v, rows.mean,
                        rows.scale, rows.shift, y);
          });
        },
        counter.used());
  });
}

}  // namespace

void add_norm(KernelTable& table) {
  table["group_norm"] = prepare_group_norm;
  table["group_norm_gradient"] = prepare_group_norm_gradient;
  table["batch_norm"] = prepare_batch_norm;
  table["batch_norm_gradient"] = prepare_batch_norm_gradient;
  table["batch_norm_with"] = prepare_batch_norm_with;
}

}  // namespace slope::cpu
