// Group norm on the cpu: each sample goes through all its passes while it is in the cache of one
// core. The passes are the loops of norm_kernel.cpp.
#include "core/ops/norm.h"

#include <algorithm>

#include "backends/cpu/cpu.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/norm_rows.h"

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
template const NormKernels<float>& norm_kernels<float>();
template const NormKernels<double>& norm_kernels<double>();

namespace {

// Where one thread works on one sample.
template <typename T>
struct Room {
  Carver carver;
  ChannelRows<T> rows;
  T *tilt, *offset;                 // of channels
  double *sums, *products;          // of channels
  T *group_tilt, *group_offset;     // of groups
  double *totals, *product_totals;  // of groups
  T* image;                         // x + t * map, where y cannot hold it

  Room(void* block, const NormLayout& z, int64_t groups, bool needs_image)
      : carver(block),
        rows(carver, z.channels),
        tilt(carver.take<T>(z.channels)),
        offset(carver.take<T>(z.channels)),
        sums(carver.take<double>(z.channels)),
        products(carver.take<double>(z.channels)),
        group_tilt(carver.take<T>(groups)),
        group_offset(carver.take<T>(groups)),
        totals(carver.take<double>(groups)),
        product_totals(carver.take<double>(groups)),
        image(carver.take<T>(needs_image ? z.image() : 0)) {}
};

// Rooms for all threads of a loop, one after the other.
template <typename T>
struct Rooms {
  NormLayout z;
  int64_t groups;
  bool needs_image;
  int slots = thread_slots();
  size_t bytes_each = Room<T>(nullptr, z, groups, needs_image).carver.used();

  size_t bytes() const { return static_cast<size_t>(slots) * bytes_each; }
  Room<T> room(void* block, int slot) const {
    return Room<T>(static_cast<char*>(block) + static_cast<size_t>(slot) * bytes_each, z, groups,
                   needs_image);
  }
};

// Mean and rstd (groups) of one sample v, and what normalises it in room.rows.
template <typename T>
void statistics(const NormKernels<T>& k, const NormLayout& z, int64_t groups, double epsilon,
                const T* v, const T* weight, const T* bias, Room<T>& room, T* mean, T* rstd) {
  const int64_t width = z.channels / groups, first_rows = shift_rows(z.positions);
  k.column_sums(first_rows, z.channels, v, room.rows.scale);
  std::copy_n(room.rows.scale, z.channels, room.sums);
  k.group_totals(groups, width, room.sums, nullptr, room.totals);
  for (int64_t g = 0; g < groups; ++g) {
    mean[g] = static_cast<T>(room.totals[g] / static_cast<double>(first_rows * width));
  }
  k.spread(groups, width, mean, room.rows.mean);

  k.centred_sums(z.positions, z.channels, v, room.rows.mean, room.sums, room.products);
  k.group_totals(groups, width, room.sums, nullptr, room.totals);
  k.group_totals(groups, width, room.products, nullptr, room.product_totals);
  k.moments(groups, static_cast<double>(z.positions * width), epsilon, room.totals,
            room.product_totals, mean, rstd);
  k.spread(groups, width, mean, room.rows.mean);
  k.spread(groups, width, rstd, room.rows.rstd);
  k.affine(z.channels, room.rows.rstd, weight, bias, room.rows.scale, room.rows.shift);
}

std::unique_ptr<Prepared> prepare_group_norm(const Call& call) {
  const NormLayout z(norm_sizes(call.in(0), call.in(3)));
  const auto a = call.as<GroupNormAttributes>();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const Rooms<T> rooms{z, a.groups, false};
    const NormKernels<T>* k = &norm_kernels<T>();
    return prepared(
        [=](const Argument* args, void* scratch) {
          const auto task = [&](int64_t n, int slot) {
            Room<T> room = rooms.room(scratch, slot);
            T* y = data<T>(args[5]) + n * z.image();
            // With a time term y holds the values until they are normalised.
            const T* v = values_of(*k, z, Range(n, 1, z.samples), data<T>(args[0]),
                                   data<T>(args[3]), data<T>(args[4]), y);
            statistics(*k, z, a.groups, a.epsilon, v, data<T>(args[1]), data<T>(args[2]), room,
                       data<T>(args[6]) + n * a.groups, data<T>(args[7]) + n * a.groups);
            k->normalise(a.activation, z.positions, z.channels, v, room.rows.mean, room.rows.scale,
                         room.rows.shift, y);
          };
          parallel_for(z.samples, z.cost(3, sizeof(T)), task, rooms.slots);
        },
        rooms.bytes());
  });
}

// The gradient of one sample: v, g and dx, with mean, rstd: (groups). Adds to dweight and dbias:
// (C), unless they are null.
template <typename T>
void gradient(const NormKernels<T>& k, const NormLayout& z, const GroupNormGradientAttributes& a,
              const T* g, const T* v, const T* weight, const T* bias, const T* mean, const T* rstd,
              Room<T>& room, T* dx, double* dweight, double* dbias) {
  const int64_t groups = a.groups, width = z.channels / groups;
  const ChannelRows<T>& rows = room.rows;
  k.spread(groups, width, mean, rows.mean);
  k.spread(groups, width, rstd, rows.rstd);
  k.affine(z.channels, rows.rstd, weight, bias, rows.scale, rows.shift);
  k.gradient_sums(a.activation, z.positions, z.channels, g, v, rows.mean, rows.scale, rows.shift,
                  dx, room.sums, room.products);
  if (dweight) {
    for (int64_t c = 0; c < z.channels; ++c) {
      dweight[c] += static_cast<double>(rows.rstd[c]) * room.products[c];
      dbias[c] += room.sums[c];
    }
  }
  k.group_totals(groups, width, room.sums, weight, room.totals);
  k.group_totals(groups, width, room.products, weight, room.product_totals);
  k.gradient_terms(groups, static_cast<double>(z.positions * width), rstd, room.totals,
                   room.product_totals, room.group_tilt, room.group_offset);
  k.spread(groups, width, room.group_tilt, room.tilt);
  k.spread(groups, width, room.group_offset, room.offset);
  k.gradient_values(z.positions, z.channels, dx, v, rows.mean, rows.scale, room.tilt, room.offset,
                    dx);
}

// to (C) = the sum over the chunks of parts (chunks, C)
template <typename T>
void add_up(int64_t chunks, int64_t channels, const double* parts, double* total, T* to) {
  norm_kernels<double>().column_sums(chunks, channels, parts, total);
  std::transform(total, total + channels, to, [](double sum) { return static_cast<T>(sum); });
}

std::unique_ptr<Prepared> prepare_group_norm_gradient(const Call& call) {
  const NormLayout z(norm_sizes(call.in(1), call.in(4)));
  const auto a = call.as<GroupNormGradientAttributes>();
  const bool time = call.has(4);
  // Each chunk of samples has its own part of dweight and dbias; the parts are added up in order.
  const int64_t chunk = std::max<int64_t>(1, count_of_chunks(z.samples, 128));
  const int64_t chunks = count_of_chunks(z.samples, chunk);
  const int64_t part_size = a.wants_affine ? chunks * z.channels : 0;
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const Rooms<T> rooms{z, a.groups, time};
    const NormKernels<T>* k = &norm_kernels<T>();
    struct Parts {
      double *weight, *bias;  // (chunks, C)
      double* total;          // (C)
      char* rooms;
      size_t bytes;
    };
    const auto carve = [=](void* block) {
      Carver carver(block);
      Parts parts{carver.take<double>(part_size), carver.take<double>(part_size),
                  carver.take<double>(z.channels),
                  carver.take<char>(static_cast<int64_t>(rooms.bytes())), 0};
      parts.bytes = carver.used();
      return parts;
    };
    return prepared(
        [=](const Argument* args, void* scratch) {
          const Parts parts = carve(scratch);
          std::fill_n(parts.weight, part_size, 0.0);
          std::fill_n(parts.bias, part_size, 0.0);
          const auto task = [&](int64_t i, int slot) {
            Room<T> room = rooms.room(parts.rooms, slot);
            const Range samples(i, chunk, z.samples);
            for (int64_t n = samples.begin; n < samples.end; ++n) {
              const T* v = values_of(*k, z, Range(n, 1, z.samples), data<T>(args[1]),
                                     data<T>(args[4]), data<T>(args[5]), room.image);
              gradient(*k, z, a, data<T>(args[0]) + n * z.image(), v, data<T>(args[2]),
                       data<T>(args[3]), data<T>(args[6]) + n * a.groups,
                       data<T>(args[7]) + n * a.groups, room, data<T>(args[8]) + n * z.image(),
                       a.wants_affine ? parts.weight + i * z.channels : nullptr,
                       a.wants_affine ? parts.bias + i * z.channels : nullptr);
            }
          };
          parallel_for(chunks, z.cost(5, sizeof(T)), task, rooms.slots);
          if (a.wants_affine) {
            add_up(chunks, z.channels, parts.weight, parts.total, data<T>(args[9]));
            add_up(chunks, z.channels, parts.bias, parts.total, data<T>(args[10]));
          }
          if (a.wants_map && time) {
            map_gradient(*k, z, data<T>(args[4]), data<T>(args[8]), data<T>(args[11]));
          }
        },
        carve(nullptr).bytes);
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
