// Matrix products, as the textbook writes them.
#include "core/ops/contract.h"

#include "backends/reference/reference.h"

namespace slope::reference {
namespace {

// c: (m, n) = A (m, k) times B (k, n), either of them stored transposed.
template <typename T>
void multiply(const MatmulSizes& sizes, const MatmulOptions& options, const T* a, const T* b,
              T* c) {
  for (int64_t i = 0; i < sizes.m; ++i) {
    for (int64_t j = 0; j < sizes.n; ++j) {
      double sum = 0;
      for (int64_t p = 0; p < sizes.k; ++p) {
        const T x = options.transpose_a ? a[p * sizes.m + i] : a[i * sizes.k + p];
        const T y = options.transpose_b ? b[j * sizes.k + p] : b[p * sizes.n + j];
        sum += static_cast<double>(x) * static_cast<double>(y);
      }
      c[i * sizes.n + j] = static_cast<T>(sum);
    }
  }
}

// Where the matrix of an argument begins, at place number `index` of the leading axes.
int64_t begin_of(int64_t index, const Shape& batch, const Strides& strides) {
  int64_t offset = 0;
  for (int i = batch.rank() - 1; i >= 0; --i) {
    offset += index % batch[i] * strides[i];
    index /= batch[i];
  }
  return offset;
}

std::unique_ptr<Prepared> prepare_matmul(const Call& call) {
  const auto options = call.as<MatmulOptions>();
  const MatmulSizes sizes = matmul_sizes(call.in(0).shape(), call.in(1).shape(), options);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      const T* a = data<T>(args[0]);
      const T* b = data<T>(args[1]);
      T* c = data<T>(args[2]);
      for (int64_t i = 0; i < sizes.batch.size(); ++i) {
        multiply(sizes, options, a + begin_of(i, sizes.batch, sizes.a_strides),
                 b + begin_of(i, sizes.batch, sizes.b_strides), c + i * sizes.m * sizes.n);
      }
    });
  });
}

// x: (rows, in), w: (out, in), b: (out) or null -> y: (rows, out)
std::unique_ptr<Prepared> prepare_linear(const Call& call) {
  const int64_t out = call.in(1).shape()[0];
  const int64_t in = call.in(1).shape()[1];
  const Shape leading(
      std::span(call.in(0).shape().begin(), static_cast<size_t>(call.in(0).rank() - 1)));
  const int64_t rows = leading.size();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      const T* x = data<T>(args[0]);
      const T* w = data<T>(args[1]);
      const T* b = data<T>(args[2]);
      T* y = data<T>(args[3]);
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t j = 0; j < out; ++j) {
          double sum = b ? static_cast<double>(b[j]) : 0;
          for (int64_t i = 0; i < in; ++i) {
            sum += static_cast<double>(x[row * in + i]) * static_cast<double>(w[j * in + i]);
          }
          y[row * out + j] = static_cast<T>(sum);
        }
      }
    });
  });
}

}  // namespace

void add_contract(KernelTable& table) {
  table["matmul"] = prepare_matmul;
  table["linear"] = prepare_linear;
}

}  // namespace slope::reference
