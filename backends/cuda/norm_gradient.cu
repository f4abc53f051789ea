// Gradients of the normalisations. With n the normalised value, z = weight n + bias and g the
// cotangent of activation(z):
//   dz = activation'(z) g, dn = weight dz, dx = rstd (dn - mean(dn) - n mean(dn n)),
//   dbias = sum(dz), dweight = sum(dz n), dmap = sum over the samples of t dx.
#include "backends/cuda/norm.h"

namespace slope::cuda {
namespace {

template <typename T>
struct NormGradient {
  NormValues<T> v;
  const T* g;

  struct Value {
    T normalised, dz;
  };
  template <typename Formula>
  SLOPE_DEVICE Value at(int64_t n, int64_t inside, int64_t channel, double mean,
                        double rstd) const {
    const T normalised = static_cast<T>((v.at(n, inside) - mean) * rstd);
    const T upstream = g[n * v.positions * v.channels + inside];
    return {normalised, Formula::gradient(upstream, v.affine(normalised, channel))};
  }
};

// dx: one block for each group of a sample
template <typename Formula, typename T>
__global__ void group_norm_gradient_kernel(NormGradient<T> d, int64_t groups, T* dx) {
  const NormValues<T>& v = d.v;
  const int64_t n = blockIdx.x / groups, group = blockIdx.x % groups;
  const int64_t first = group * v.width, count = v.positions * v.width;
  const double mean = static_cast<double>(v.mean[blockIdx.x]);
  const double rstd = v.deviation_inverse(blockIdx.x);
  double sum = 0, product_sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) {
    const uint32_t position = static_cast<uint32_t>(i) / static_cast<uint32_t>(v.width);
    const int64_t channel = first + (i - position * v.width);
    const auto at = d.template at<Formula>(n, position * v.channels + channel, channel, mean, rstd);
    const double dn = static_cast<double>(at.dz) * static_cast<double>(v.scale(channel));
    sum += dn;
    product_sum += dn * static_cast<double>(at.normalised);
  }
  const double dn_mean = reduce_block(Sum{}, sum) / static_cast<double>(count);
  const double product_mean = reduce_block(Sum{}, product_sum) / static_cast<double>(count);
  for (int64_t i = threadIdx.x; i < count; i += kThreads) {
    const uint32_t position = static_cast<uint32_t>(i) / static_cast<uint32_t>(v.width);
    const int64_t channel = first + (i - position * v.width);
    const int64_t inside = position * v.channels + channel;
    const auto at = d.template at<Formula>(n, inside, channel, mean, rstd);
    const double dn = static_cast<double>(at.dz) * static_cast<double>(v.scale(channel));
    dx[n * v.positions * v.channels + inside] =
        static_cast<T>(rstd * (dn - dn_mean - static_cast<double>(at.normalised) * product_mean));
  }
}

// dz, or dz times the normalised value, of a channel.
template <typename Formula, typename T, bool product>
struct ChannelGradient {
  NormGradient<T> d;
  SLOPE_DEVICE double operator()(int64_t channel, int64_t i) const {
    const uint32_t n = static_cast<uint32_t>(i) / static_cast<uint32_t>(d.v.positions);
    const int64_t position = i - n * d.v.positions;
    const int64_t s = d.v.statistic(n, channel);
    const auto at =
        d.template at<Formula>(n, position * d.v.channels + channel, channel,
                               static_cast<double>(d.v.mean[s]), d.v.deviation_inverse(s));
    const double dz = static_cast<double>(at.dz);
    return product ? dz * static_cast<double>(at.normalised) : dz;
  }
};

// dx from the channels' sums of dz and of dz times the normalised value
template <typename Formula, typename T>
__global__ void batch_norm_gradient_kernel(NormGradient<T> d, int64_t size, const double* dbias,
                                           const double* dweight, T* dx) {
  const NormValues<T>& v = d.v;
  const uint32_t of_sample = static_cast<uint32_t>(v.positions * v.channels);
  const double count = static_cast<double>(v.samples * v.positions);
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const uint32_t n = static_cast<uint32_t>(i) / of_sample;
    const uint32_t inside = static_cast<uint32_t>(i) - n * of_sample;
    const uint32_t channel = inside % static_cast<uint32_t>(v.channels);
    const double rstd = v.deviation_inverse(channel);
    const auto at =
        d.template at<Formula>(n, inside, channel, static_cast<double>(v.mean[channel]), rstd);
    const double mean_dz = dbias[channel] / count, mean_product = dweight[channel] / count;
    dx[i] = static_cast<T>(
        rstd * static_cast<double>(v.scale(channel)) *
        (static_cast<double>(at.dz) - mean_dz - static_cast<double>(at.normalised) * mean_product));
  }
}

template <typename T>
__global__ void round_kernel(const double* sums, T* out, int64_t size) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    out[i] = static_cast<T>(sums[i]);
  }
}

// t dx of one place of the map, sample by sample
template <typename T>
struct MapGradient {
  const T *t, *dx;
  int64_t t_stride, of_sample;
  SLOPE_DEVICE double operator()(int64_t inside, int64_t n) const {
    return static_cast<double>(t[n * t_stride]) * static_cast<double>(dx[n * of_sample + inside]);
  }
};

template <typename T>
NormGradient<T> filled(const NormValues<T>& fixed, const Argument* args) {
  NormGradient<T> d{fixed, data<T>(args[0])};
  d.v.x = data<T>(args[1]);
  d.v.weight = data<T>(args[2]);
  d.v.bias = data<T>(args[3]);
  d.v.t = data<T>(args[4]);
  d.v.map = data<T>(args[5]);
  d.v.mean = data<T>(args[6]);
  d.v.spread = data<T>(args[7]);
  return d;
}

// dbias and dweight, in T or in double.
template <typename Formula, typename T, typename Out>
void channel_gradients(const Launcher& at, const NormGradient<T>& d, Out* dweight, Out* dbias,
                       double* partials) {
  const int64_t length = d.v.samples * d.v.positions;
  reduce_columns(at, Sum{}, ChannelGradient<Formula, T, false>{d}, dbias, partials, d.v.channels,
                 length);
  reduce_columns(at, Sum{}, ChannelGradient<Formula, T, true>{d}, dweight, partials, d.v.channels,
                 length);
}

template <typename T>
void map_gradient(const Launcher& at, const NormValues<T>& v, const T* dx, T* dmap,
                  double* partials) {
  const int64_t of_sample = v.positions * v.channels;
  reduce_columns(at, Sum{}, MapGradient<T>{v.t, dx, v.t_stride, of_sample}, dmap, partials,
                 of_sample, v.samples);
}

// Doubles for the partial sums of every reduction above; they run one after the other.
int64_t partials(const NormSizes& sizes) {
  return std::max(column_partials(sizes.channels, sizes.samples * sizes.positions),
                  column_partials(sizes.positions * sizes.channels, sizes.samples));
}

std::unique_ptr<Prepared> prepare_group_norm_gradient(const Context& context, const Call& call) {
  const NormSizes sizes = norm_sizes(call.in(1), call.in(4));
  const auto a = call.as<GroupNormGradientAttributes>();
  const bool wants_map = a.wants_map && call.has(4);
  check_count(call.op.name, values_of(sizes));
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    NormValues<T> fixed = norm_values<T>(sizes);
    fixed.width = sizes.channels / a.groups;
    fixed.statistics_per_sample = a.groups;
    return prepared(
        [=, at = context.launcher(call.op.name)](const Argument* args, void* scratch) {
          const NormGradient<T> d = filled(fixed, args);
          T* dx = data<T>(args[8]);
          double* sums = static_cast<double*>(scratch);
          formula::with_activation(a.activation, [&]<typename Formula>() {
            launch(at, grid_of_groups(sizes, a.groups), group_norm_gradient_kernel<Formula, T>, d,
                   a.groups, dx);
            if (a.wants_affine) {
              channel_gradients<Formula>(at, d, data<T>(args[9]), data<T>(args[10]), sums);
            }
          });
          if (wants_map) map_gradient(at, d.v, dx, data<T>(args[11]), sums);
        },
        bytes_of_doubles(partials(sizes)));
  });
}

std::unique_ptr<Prepared> prepare_batch_norm_gradient(const Context& context, const Call& call) {
  const NormSizes sizes = norm_sizes(call.in(1), call.in(4));
  const auto a = call.as<BatchNormGradientAttributes>();
  const bool wants_map = a.wants_map && call.has(4);
  check_count(call.op.name, values_of(sizes));
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    NormValues<T> fixed = norm_values<T>(sizes);
    fixed.spread_is_variance = true;
    fixed.epsilon = a.epsilon;
    return prepared(
        [=, at = context.launcher(call.op.name)](const Argument* args, void* scratch) {
          const NormGradient<T> d = filled(fixed, args);
          T* dx = data<T>(args[8]);
          double* dweight = static_cast<double*>(scratch);
          double* dbias = dweight + sizes.channels;
          double* sums = dbias + sizes.channels;
          formula::with_activation(a.activation, [&]<typename Formula>() {
            channel_gradients<Formula>(at, d, dweight, dbias, sums);
            launch(at, grid_for(values_of(sizes)), batch_norm_gradient_kernel<Formula, T>, d,
                   values_of(sizes), dbias, dweight, dx);
          });
          if (a.wants_affine) {
            const Grid grid = grid_for(sizes.channels);
            launch(at, grid, round_kernel<T>, dweight, data<T>(args[9]), sizes.channels);
            launch(at, grid, round_kernel<T>, dbias, data<T>(args[10]), sizes.channels);
          }
          if (wants_map) map_gradient(at, d.v, dx, data<T>(args[11]), sums);
        },
        bytes_of_doubles(2 * sizes.channels + partials(sizes)));
  });
}

}  // namespace

void add_norm_gradient(KernelTable& table) {
  table["group_norm_gradient"] = prepare_group_norm_gradient;
  table["batch_norm_gradient"] = prepare_batch_norm_gradient;
}

}  // namespace slope::cuda
