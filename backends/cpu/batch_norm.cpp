// Batch norm on the cpu: two passes over memory, in chunks of samples whose results are put
// together in order. The passes are the loops of norm_kernel.cpp.
#include <cmath>

#include "backends/cpu/cpu.h"
#include "backends/cpu/norm_rows.h"

namespace slope::cpu {
namespace {

// Mean and sum of squares about it, of chunk after chunk (Chan, Golub and LeVeque 1983).
struct Moments {
  double count = 0, mean = 0, squares = 0;

  void add(double more, double its_mean, double its_squares) {
    const double all = count + more, distance = its_mean - mean;
    mean += distance * (more / all);
    squares += its_squares + distance * distance * (count * more / all);
    count = all;
  }
};

// rstd, scale and shift of each channel, for mean, variance: (C)
template <typename T>
void set_rows(const NormKernels<T>& k, int64_t channels, double epsilon, const T* mean,
              const T* variance, const T* weight, const T* bias, ChannelRows<T>& rows) {
  for (int64_t c = 0; c < channels; ++c) {
    rows.mean[c] = mean[c];
    rows.rstd[c] = static_cast<T>(1 / std::sqrt(static_cast<double>(variance[c]) + epsilon));
  }
  k.affine(channels, rows.rstd, weight, bias, rows.scale, rows.shift);
}

}  // namespace

std::unique_ptr<Prepared> prepare_batch_norm(const Call& call) {
  const NormLayout z(norm_sizes(call.in(0), call.in(3)));
  const auto a = call.as<BatchNormAttributes>();
  const bool time = call.has(3);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const NormKernels<T>* k = &norm_kernels<T>();
    const int64_t chunk = z.chunk_samples(sizeof(T)), chunks = count_of_chunks(z.samples, chunk);
    struct Rooms {
      Carver carver;
      ChannelRows<T> rows;
      T* shifts;               // (chunks, C)
      double *sums, *squares;  // (chunks, C), each chunk's about its own shift
      Rooms(void* block, int64_t chunks, int64_t channels)
          : carver(block),
            rows(carver, channels),
            shifts(carver.take<T>(chunks * channels)),
            sums(carver.take<double>(chunks * channels)),
            squares(carver.take<double>(chunks * channels)) {}
    };
    return prepared(
        [=](const Argument* args, void* scratch) {
          Rooms rooms(scratch, chunks, z.channels);
          T* y = data<T>(args[5]);
          parallel_for(chunks, z.cost(2, sizeof(T)), [&](int64_t i) {
            const Range samples(i, chunk, z.samples);
            const int64_t rows = samples.size() * z.positions, first_rows = shift_rows(rows);
            const int64_t at = i * z.channels;
            // With a time term y holds the values until they are normalised.
            const T* v = values_of(*k, z, samples, data<T>(args[0]), data<T>(args[3]),
                                   data<T>(args[4]), y + samples.begin * z.image());
            k->column_sums(first_rows, z.channels, v, rooms.shifts + at);
            for (int64_t c = at; c < at + z.channels; ++c) {
              rooms.shifts[c] /= static_cast<T>(first_rows);
            }
            k->centred_sums(rows, z.channels, v, rooms.shifts + at, rooms.sums + at,
                            rooms.squares + at);
          });

          T *mean = data<T>(args[6]), *variance = data<T>(args[7]);
          for (int64_t c = 0; c < z.channels; ++c) {
            Moments moments;
            for (int64_t i = 0; i < chunks; ++i) {
              const double count =
                  static_cast<double>(Range(i, chunk, z.samples).size() * z.positions);
              const double sum = rooms.sums[i * z.channels + c];
              const double squares = rooms.squares[i * z.channels + c];
              moments.add(count,
                          static_cast<double>(rooms.shifts[i * z.channels + c]) + sum / count,
                          squares - sum * (sum / count));
            }
            const double of_all = moments.squares / moments.count;  // of no values: NaN
            mean[c] = static_cast<T>(moments.count > 0 ? moments.mean : of_all);
            variance[c] = static_cast<T>(of_all < 0 ? 0 : of_all);
          }
          set_rows(*k, z.channels, a.epsilon, mean, variance, data<T>(args[1]), data<T>(args[2]),
                   rooms.rows);
          parallel_for(chunks, z.cost(2, sizeof(T)), [&](int64_t i) {
            const Range samples(i, chunk, z.samples);
            const int64_t at = samples.begin * z.image();
            k->normalise(a.activation, samples.size() * z.positions, z.channels,
                         (time ? y : data<T>(args[0])) + at, rooms.rows.mean, rooms.rows.scale,
                         rooms.rows.shift, y + at);
          });
        },
        Rooms(nullptr, chunks, z.channels).carver.used());
  });
}

std::unique_ptr<Prepared> prepare_batch_norm_gradient(const Call& call) {
  const NormLayout z(norm_sizes(call.in(1), call.in(4)));
  const auto a = call.as<BatchNormGradientAttributes>();
  const bool time = call.has(4);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const NormKernels<T>* k = &norm_kernels<T>();
    const int64_t chunk = z.chunk_samples(sizeof(T)), chunks = count_of_chunks(z.samples, chunk);
    const int slots = thread_slots();
    struct Rooms {
      Carver carver;
      ChannelRows<T> rows;
      double *part_sums, *part_products;  // (chunks, C)
      double *sums, *products;            // (C)
      T *tilt, *offset;                   // (C)
      T* values;                          // x + t * map of a chunk, for each thread
      Rooms(void* block, int64_t chunks, int64_t channels, int64_t value_count)
          : carver(block),
            rows(carver, channels),
            part_sums(carver.take<double>(chunks * channels)),
            part_products(carver.take<double>(chunks * channels)),
            sums(carver.take<double>(channels)),
            products(carver.take<double>(channels)),
            tilt(carver.take<T>(channels)),
            offset(carver.take<T>(channels)),
            values(carver.take<T>(value_count)) {}
    };
    const int64_t value_count = time ? slots * chunk * z.image() : 0;
    return prepared(
        [=](const Argument* args, void* scratch) {
          Rooms rooms(scratch, chunks, z.channels, value_count);
          ChannelRows<T>& rows = rooms.rows;
          T* dx = data<T>(args[8]);
          set_rows(*k, z.channels, a.epsilon, data<T>(args[6]), data<T>(args[7]), data<T>(args[2]),
                   data<T>(args[3]), rows);
          const auto values = [&](const Range& samples, int slot) {
            return values_of(*k, z, samples, data<T>(args[1]), data<T>(args[4]), data<T>(args[5]),
                             rooms.values + slot * chunk * z.image());
          };
          const auto sum_up = [&](int64_t i, int slot) {
            const Range samples(i, chunk, z.samples);
            const int64_t at = samples.begin * z.image();
            k->gradient_sums(a.activation, samples.size() * z.positions, z.channels,
                             data<T>(args[0]) + at, values(samples, slot), rows.mean, rows.scale,
                             rows.shift, dx + at, rooms.part_sums + i * z.channels,
                             rooms.part_products + i * z.channels);
          };
          parallel_for(chunks, z.cost(3, sizeof(T)), sum_up, slots);
          const NormKernels<double>& in_double = norm_kernels<double>();
          in_double.column_sums(chunks, z.channels, rooms.part_sums, rooms.sums);
          in_double.column_sums(chunks, z.channels, rooms.part_products, rooms.products);

          const double count = static_cast<double>(z.samples * z.positions);
          for (int64_t c = 0; c < z.channels; ++c) {
            // dx = rstd (dn - mean(dn) - n mean(dn n)) with dn = weight dz and n = rstd (v - mean)
            const double rstd = static_cast<double>(rows.rstd[c]);
            const double share = static_cast<double>(rows.scale[c]) / count;
            rooms.offset[c] = static_cast<T>(-share * rooms.sums[c]);
            rooms.tilt[c] = static_cast<T>(-share * rstd * rstd * rooms.products[c]);
            if (a.wants_affine) {
              data<T>(args[9])[c] = static_cast<T>(rstd * rooms.products[c]);
              data<T>(args[10])[c] = static_cast<T>(rooms.sums[c]);
            }
          }
          const auto finish = [&](int64_t i, int slot) {
            const Range samples(i, chunk, z.samples);
            const int64_t at = samples.begin * z.image();
            k->gradient_values(samples.size() * z.positions, z.channels, dx + at,
                               values(samples, slot), rows.mean, rows.scale, rooms.tilt,
                               rooms.offset, dx + at);
          };
          parallel_for(chunks, z.cost(3, sizeof(T)), finish, slots);
          if (a.wants_map && time) {
            map_gradient(*k, z, data<T>(args[4]), dx, data<T>(args[11]));
          }
        },
        Rooms(nullptr, chunks, z.channels, value_count).carver.used());
  });
}

std::unique_ptr<Prepared> prepare_batch_norm_with(const Call& call) {
  const NormLayout z(norm_sizes(call.in(0), call.in(5)));
  const auto a = call.as<BatchNormAttributes>();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const NormKernels<T>* k = &norm_kernels<T>();
    const int64_t chunk = z.chunk_samples(sizeof(T)), chunks = count_of_chunks(z.samples, chunk);
    Carver counter(nullptr);
    const ChannelRows<T> counted(counter, z.channels);
    return prepared(
        [=](const Argument* args, void* scratch) {
          Carver carver(scratch);
          ChannelRows<T> rows(carver, z.channels);
          set_rows(*k, z.channels, a.epsilon, data<T>(args[1]), data<T>(args[2]), data<T>(args[3]),
                   data<T>(args[4]), rows);
          parallel_for(chunks, z.cost(2, sizeof(T)), [&](int64_t i) {
            const Range samples(i, chunk, z.samples);
            T* y = data<T>(args[7]) + samples.begin * z.image();
            const T* v =
                values_of(*k, z, samples, data<T>(args[0]), data<T>(args[5]), data<T>(args[6]), y);
            k->normalise(a.activation, samples.size() * z.positions, z.channels, v, rows.mean,
                         rows.scale, rows.shift, y);
          });
        },
        counter.used());
  });
}

}  // namespace slope::cpu
