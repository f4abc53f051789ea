// Normalisations with the activation that follows: group norm in one kernel, batch norm in one for
// each statistic and one for the values. Sums in double.
#include "backends/cuda/norm.h"

namespace slope::cuda {
namespace {

// y, mean, rstd (samples, groups): one block for each group of a sample, which reads it three
// times, the second and third time from a cache when it fits.
template <typename Formula, typename T>
__global__ void group_norm_kernel(NormValues<T> v, int64_t groups, T* y, T* means, T* rstds) {
  const int64_t n = blockIdx.x / groups, group = blockIdx.x % groups;
  const int64_t first = group * v.width, count = v.positions * v.width;
  const auto inside = [&](int64_t i) {
    const uint32_t position = static_cast<uint32_t>(i) / static_cast<uint32_t>(v.width);
    return position * v.channels + first + (i - position * v.width);
  };
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += v.at(n, inside(i));
  const double mean = reduce_block(Sum{}, sum) / static_cast<double>(count);
  double squares = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) {
    const double distance = v.at(n, inside(i)) - mean;
    squares += distance * distance;
  }
  const double variance = reduce_block(Sum{}, squares) / static_cast<double>(count);
  const double rstd = 1 / ::sqrt(variance + v.epsilon);
  for (int64_t i = threadIdx.x; i < count; i += kThreads) {
    const int64_t place = inside(i);
    const T normalised = static_cast<T>((v.at(n, place) - mean) * rstd);
    y[n * v.positions * v.channels + place] = Formula::value(
        v.affine(normalised, static_cast<uint32_t>(place) % static_cast<uint32_t>(v.channels)));
  }
  if (threadIdx.x == 0) {
    means[blockIdx.x] = static_cast<T>(mean);
    rstds[blockIdx.x] = static_cast<T>(rstd);
  }
}

// y from statistics that are there already: one for each channel
template <typename Formula, typename T>
__global__ void normalise_kernel(NormValues<T> v, int64_t size, T* y) {
  const uint32_t of_sample = static_cast<uint32_t>(v.positions * v.channels);
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const uint32_t n = static_cast<uint32_t>(i) / of_sample;
    const uint32_t place = static_cast<uint32_t>(i) - n * of_sample;
    const uint32_t channel = place % static_cast<uint32_t>(v.channels);
    const double distance = v.at(n, place) - static_cast<double>(v.mean[channel]);
    const T normalised = static_cast<T>(distance * v.deviation_inverse(channel));
    y[i] = Formula::value(v.affine(normalised, channel));
  }
}

struct Mean : Sum {
  double count;
  SLOPE_DEVICE double finish(double total) const { return total / count; }
};

// The values of a channel, or their squared distances from its mean.
template <typename T, bool squared_distance>
struct ChannelValues {
  NormValues<T> v;
  SLOPE_DEVICE double operator()(int64_t channel, int64_t i) const {
    const uint32_t n = static_cast<uint32_t>(i) / static_cast<uint32_t>(v.positions);
    const int64_t position = i - n * v.positions;
    const double value = v.at(n, position * v.channels + channel);
    if constexpr (!squared_distance) return value;
    const double distance = value - static_cast<double>(v.mean[channel]);
    return distance * distance;
  }
};

template <typename T>
void fill(NormValues<T>& v, const Argument& x, const Argument& weight, const Argument& bias,
          const Argument& t, const Argument& map) {
  v.x = data<T>(x);
  v.weight = data<T>(weight);
  v.bias = data<T>(bias);
  v.t = data<T>(t);
  v.map = data<T>(map);
}

std::unique_ptr<Prepared> prepare_group_norm(const Context& context, const Call& call) {
  const NormSizes sizes = norm_sizes(call.in(0), call.in(3));
  const auto a = call.as<GroupNormAttributes>();
  check_count(call.op.name, values_of(sizes));
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    NormValues<T> fixed = norm_values<T>(sizes);
    fixed.width = sizes.channels / a.groups;
    fixed.epsilon = a.epsilon;
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      NormValues<T> v = fixed;
      fill(v, args[0], args[1], args[2], args[3], args[4]);
      formula::with_activation(a.activation, [&]<typename Formula>() {
        launch(at, grid_of_groups(sizes, a.groups), group_norm_kernel<Formula, T>, v, a.groups,
               data<T>(args[5]), data<T>(args[6]), data<T>(args[7]));
      });
    });
  });
}

template <typename T>
void normalise(const Launcher& at, Activation activation, const NormValues<T>& v, T* y) {
  const int64_t size = v.samples * v.positions * v.channels;
  formula::with_activation(activation, [&]<typename Formula>() {
    launch(at, grid_for(size), normalise_kernel<Formula, T>, v, size, y);
  });
}

std::unique_ptr<Prepared> prepare_batch_norm(const Context& context, const Call& call) {
  const NormSizes sizes = norm_sizes(call.in(0), call.in(3));
  const auto a = call.as<BatchNormAttributes>();
  const int64_t length = sizes.samples * sizes.positions;
  check_count(call.op.name, values_of(sizes));
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    NormValues<T> fixed = norm_values<T>(sizes);
    fixed.spread_is_variance = true;
    fixed.epsilon = a.epsilon;
    return prepared(
        [=, at = context.launcher(call.op.name)](const Argument* args, void* scratch) {
          NormValues<T> v = fixed;
          fill(v, args[0], args[1], args[2], args[3], args[4]);
          T* mean = data<T>(args[6]);
          T* variance = data<T>(args[7]);
          double* partials = static_cast<double*>(scratch);
          Mean rule{};
          rule.count = static_cast<double>(length);
          reduce_columns(at, rule, ChannelValues<T, false>{v}, mean, partials, v.channels, length);
          v.mean = mean;
          reduce_columns(at, rule, ChannelValues<T, true>{v}, variance, partials, v.channels,
                         length);
          v.spread = variance;
          normalise(at, a.activation, v, data<T>(args[5]));
        },
        bytes_of_doubles(column_partials(sizes.channels, length)));
  });
}

std::unique_ptr<Prepared> prepare_batch_norm_with(const Context& context, const Call& call) {
  const NormSizes sizes = norm_sizes(call.in(0), call.has(5) ? call.in(5) : Tensor());
  const auto a = call.as<BatchNormAttributes>();
  check_count(call.op.name, values_of(sizes));
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    NormValues<T> fixed = norm_values<T>(sizes);
    fixed.spread_is_variance = true;
    fixed.epsilon = a.epsilon;
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      NormValues<T> v = fixed;
      fill(v, args[0], args[3], args[4], args[5], args[6]);
      v.mean = data<T>(args[1]);
      v.spread = data<T>(args[2]);
      normalise(at, a.activation, v, data<T>(args[7]));
    });
  });
}

}  // namespace

void add_norm(KernelTable& table) {
  table["group_norm"] = prepare_group_norm;
  table["batch_norm"] = prepare_batch_norm;
  table["batch_norm_with"] = prepare_batch_norm_with;
}

}  // namespace slope::cuda
