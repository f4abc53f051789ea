// Normalisations: two passes for the statistics, one for the values; sums in double.
#include "core/ops/norm.h"

#include <cmath>

#include "backends/reference/reference.h"
#include "core/ops/activation_formulas.h"

namespace slope::reference {
namespace {

// The values that are normalised: x (samples, positions, channels) plus t * map, read one at a
// time.
template <typename T>
struct Values {
  NormSizes sizes;
  const T* x;
  const T* t;    // null: no time term
  const T* map;  // (positions, channels)

  double at(int64_t n, int64_t p, int64_t c) const {
    const int64_t inside = p * sizes.channels + c;
    const double value = x[n * sizes.positions * sizes.channels + inside];
    return t ? value + static_cast<double>(t[n * sizes.t_stride]) * static_cast<double>(map[inside])
             : value;
  }
  int64_t place(int64_t n, int64_t p, int64_t c) const {
    return (n * sizes.positions + p) * sizes.channels + c;
  }
};

// Which values share a mean and a variance: samples [first, last) and channels [begin, end).
struct Block {
  int64_t first, last, begin, end;

  template <typename F>
  void for_each(int64_t positions, F&& f) const {
    for (int64_t n = first; n < last; ++n) {
      for (int64_t p = 0; p < positions; ++p) {
        for (int64_t c = begin; c < end; ++c) f(n, p, c);
      }
    }
  }
  double count(int64_t positions) const {
    return static_cast<double>((last - first) * positions * (end - begin));
  }
};
// Block `index` of a group norm: statistics (samples, groups).
Block group_of(const NormSizes& sizes, int64_t groups, int64_t index) {
  const int64_t n = index / groups, group = index % groups, width = sizes.channels / groups;
  return {n, n + 1, group * width, (group + 1) * width};
}
Block channel_of(const NormSizes& sizes, int64_t channel) {
  return {0, sizes.samples, channel, channel + 1};
}

struct Statistics {
  double mean, variance;
};
template <typename T>
Statistics statistics_of(const Values<T>& v, const Block& block) {
  const int64_t positions = v.sizes.positions;
  const double count = block.count(positions);
  double sum = 0;
  block.for_each(positions, [&](auto n, auto p, auto c) { sum += v.at(n, p, c); });
  const double mean = sum / count;
  double squares = 0;
  block.for_each(positions, [&](auto n, auto p, auto c) {
    squares += (v.at(n, p, c) - mean) * (v.at(n, p, c) - mean);
  });
  return {mean, squares / count};
}

// What the normalised values go through: weight and bias, either may be null, and the activation.
template <typename T>
struct Affine {
  const T* weight;
  const T* bias;

  double scale(int64_t c) const { return weight ? static_cast<double>(weight[c]) : 1.0; }
  double operator()(double normalised, int64_t c) const {
    return normalised * scale(c) + (bias ? static_cast<double>(bias[c]) : 0.0);
  }
};

template <typename T>
void normalise(const Values<T>& v, const Block& block, const Affine<T>& affine, double mean,
               double rstd, Activation activation, T* y) {
  formula::with_activation(activation, [&]<typename Formula>() {
    block.for_each(v.sizes.positions, [&](auto n, auto p, auto c) {
      const double z = affine((v.at(n, p, c) - mean) * rstd, c);
      y[v.place(n, p, c)] = static_cast<T>(Formula::value(z));
    });
  });
}

std::unique_ptr<Prepared> prepare_group_norm(const Call& call) {
  const NormSizes sizes = norm_sizes(call.in(0), call.in(3));
  const auto attributes = call.as<GroupNormAttributes>();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      const Values<T> v{sizes, data<T>(args[0]), data<T>(args[3]), data<T>(args[4])};
      const Affine<T> affine{data<T>(args[1]), data<T>(args[2])};
      for (int64_t i = 0; i < sizes.samples * attributes.groups; ++i) {
        const Block block = group_of(sizes, attributes.groups, i);
        const auto [mean, variance] = statistics_of(v, block);
        const double rstd = 1 / std::sqrt(variance + attributes.epsilon);
        normalise(v, block, affine, mean, rstd, attributes.activation, data<T>(args[5]));
        data<T>(args[6])[i] = static_cast<T>(mean);
        data<T>(args[7])[i] = static_cast<T>(rstd);
      }
    });
  });
}

std::unique_ptr<Prepared> prepare_batch_norm(const Call& call) {
  const NormSizes sizes = norm_sizes(call.in(0), call.in(3));
  const auto attributes = call.as<BatchNormAttributes>();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      const Values<T> v{sizes, data<T>(args[0]), data<T>(args[3]), data<T>(args[4])};
      const Affine<T> affine{data<T>(args[1]), data<T>(args[2])};
      for (int64_t c = 0; c < sizes.channels; ++c) {
        const Block block = channel_of(sizes, c);
        const auto [mean, variance] = statistics_of(v, block);
        const double rstd = 1 / std::sqrt(variance + attributes.epsilon);
        normalise(v, block, affine, mean, rstd, attributes.activation, data<T>(args[5]));
        data<T>(args[6])[c] = static_cast<T>(mean);
        data<T>(args[7])[c] = static_cast<T>(variance);
      }
    });
  });
}

std::unique_ptr<Prepared> prepare_batch_norm_with(const Call& call) {
  const NormSizes sizes = norm_sizes(call.in(0), call.has(5) ? call.in(5) : Tensor());
  const auto attributes = call.as<BatchNormAttributes>();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      const Values<T> v{sizes, data<T>(args[0]), data<T>(args[5]), data<T>(args[6])};
      const Affine<T> affine{data<T>(args[3]), data<T>(args[4])};
      for (int64_t c = 0; c < sizes.channels; ++c) {
        const double mean = data<T>(args[1])[c], variance = data<T>(args[2])[c];
        normalise(v, channel_of(sizes, c), affine, mean,
                  1 / std::sqrt(variance + attributes.epsilon), attributes.activation,
                  data<T>(args[7]));
      }
    });
  });
}

// Adds to dweight and dbias and writes the block's part of dx:
//   dz = activation'(z) g, dn = weight dz,
//   dx = rstd (dn - mean(dn) - normalised mean(dn normalised)).
template <typename T>
void normalise_gradient(const Values<T>& v, const Block& block, const Affine<T>& affine,
                        double mean, double rstd, Activation activation, const T* g, T* dx,
                        double* dweight, double* dbias) {
  formula::with_activation(activation, [&]<typename Formula>() {
    const auto normalised = [&](int64_t n, int64_t p, int64_t c) {
      return (v.at(n, p, c) - mean) * rstd;
    };
    const auto dz = [&](int64_t n, int64_t p, int64_t c) {
      const double upstream = g[v.place(n, p, c)];
      return Formula::gradient(upstream, affine(normalised(n, p, c), c));
    };
    double sum = 0, product_sum = 0;
    block.for_each(v.sizes.positions, [&](auto n, auto p, auto c) {
      const double d = dz(n, p, c), product = d * normalised(n, p, c);
      dbias[c] += d;
      dweight[c] += product;
      sum += d * affine.scale(c);
      product_sum += product * affine.scale(c);
    });
    const double count = block.count(v.sizes.positions);
    block.for_each(v.sizes.positions, [&](auto n, auto p, auto c) {
      const double dn = dz(n, p, c) * affine.scale(c);
      dx[v.place(n, p, c)] =
          static_cast<T>(rstd * (dn - sum / count - normalised(n, p, c) * product_sum / count));
    });
  });
}

// dmap (positions, channels): the sum over the samples of t dx.
template <typename T>
void map_gradient(const NormSizes& sizes, const T* t, const T* dx, T* dmap) {
  const int64_t size = sizes.positions * sizes.channels;
  for (int64_t i = 0; i < size; ++i) {
    double sum = 0;
    for (int64_t n = 0; n < sizes.samples; ++n) {
      sum += static_cast<double>(t[n * sizes.t_stride]) * static_cast<double>(dx[n * size + i]);
    }
    dmap[i] = static_cast<T>(sum);
  }
}

// The gradient of both norms. block_of(i), mean_of(args, i), rstd_of(args, i): of block i.
template <typename T, typename BlockOf, typename RstdOf>
void run_gradient(const NormSizes& sizes, int64_t blocks, Activation activation, bool wants_affine,
                  bool wants_map, const Argument* args, double* sums, BlockOf&& block_of,
                  RstdOf&& rstd_of) {
  const Values<T> v{sizes, data<T>(args[1]), data<T>(args[4]), data<T>(args[5])};
  const Affine<T> affine{data<T>(args[2]), data<T>(args[3])};
  T* dx = data<T>(args[8]);
  double* dweight = sums;
  double* dbias = sums + sizes.channels;
  for (int64_t c = 0; c < sizes.channels; ++c) dweight[c] = dbias[c] = 0;
  for (int64_t i = 0; i < blocks; ++i) {
    normalise_gradient<T>(v, block_of(i), affine, data<T>(args[6])[i],
                          rstd_of(static_cast<double>(data<T>(args[7])[i])), activation,
                          data<T>(args[0]), dx, dweight, dbias);
  }
  if (wants_affine) {
    for (int64_t c = 0; c < sizes.channels; ++c) {
      data<T>(args[9])[c] = static_cast<T>(dweight[c]);
      data<T>(args[10])[c] = static_cast<T>(dbias[c]);
    }
  }
  if (wants_map) map_gradient(sizes, v.t, dx, data<T>(args[11]));
}

std::unique_ptr<Prepared> prepare_group_norm_gradient(const Call& call) {
  const NormSizes sizes = norm_sizes(call.in(1), call.in(4));
  const auto a = call.as<GroupNormGradientAttributes>();
  const bool wants_map = a.wants_map && call.has(4);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared(
        [=](const Argument* args, void* scratch) {
          run_gradient<T>(
              sizes, sizes.samples * a.groups, a.activation, a.wants_affine, wants_map, args,
              static_cast<double*>(scratch),
              [&](int64_t i) { return group_of(sizes, a.groups, i); },
              [](double rstd) { return rstd; });
        },
        static_cast<size_t>(2 * sizes.channels) * sizeof(double));
  });
}

std::unique_ptr<Prepared> prepare_batch_norm_gradient(const Call& call) {
  const NormSizes sizes = norm_sizes(call.in(1), call.in(4));
  const auto a = call.as<BatchNormGradientAttributes>();
  const bool wants_map = a.wants_map && call.has(4);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared(
        [=](const Argument* args, void* scratch) {
          run_gradient<T>(
              sizes, sizes.channels, a.activation, a.wants_affine, wants_map, args,
              static_cast<double*>(scratch), [&](int64_t c) { return channel_of(sizes, c); },
              [&](double variance) { return 1 / std::sqrt(variance + a.epsilon); });
        },
        static_cast<size_t>(2 * sizes.channels) * sizeof(double));
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

}  // namespace slope::reference
