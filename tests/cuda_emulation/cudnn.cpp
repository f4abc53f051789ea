// The entry points of cuDNN that the backend uses: float32 convolution in NHWC as plain loops,
// queued like kernels. Sums in double, rounded once.
#include <cudnn.h>

#include <cstdint>
#include <vector>

#include "tests/cuda_emulation/emulator.h"

struct cudnnContext {
  cudaStream_t stream = nullptr;
};
struct cudnnTensorStruct {
  int64_t n = 0, c = 0, h = 0, w = 0;
};
struct cudnnFilterStruct {
  int64_t k = 0, c = 0, h = 0, w = 0;
};
struct cudnnConvolutionStruct {
  int64_t padding_y = 0, padding_x = 0, stride_y = 1, stride_x = 1, dilation_y = 1, dilation_x = 1;
  int64_t groups = 1;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};

namespace {

using slope::cuda::emulation::enqueue;
using slope::cuda::emulation::is_device_memory;

struct Convolution {
  cudnnTensorStruct x, y;
  cudnnFilterStruct w;
  cudnnConvolutionStruct c;
};

// Calls f(value of x, value of w, value of y) for every product.
template <typename F>
void for_each_product(const Convolution& z, F f) {
  const int64_t filters = z.w.k / z.c.groups;
  for (int64_t n = 0; n < z.y.n; ++n) {
    for (int64_t i = 0; i < z.y.h; ++i) {
      for (int64_t j = 0; j < z.y.w; ++j) {
        for (int64_t r = 0; r < z.w.h; ++r) {
          const int64_t row = i * z.c.stride_y - z.c.padding_y + r * z.c.dilation_y;
          if (row < 0 || row >= z.x.h) continue;
          for (int64_t s = 0; s < z.w.w; ++s) {
            const int64_t column = j * z.c.stride_x - z.c.padding_x + s * z.c.dilation_x;
            if (column < 0 || column >= z.x.w) continue;
            for (int64_t k = 0; k < z.w.k; ++k) {
              for (int64_t c = 0; c < z.w.c; ++c) {
                f(((n * z.x.h + row) * z.x.w + column) * z.x.c + k / filters * z.w.c + c,
                  ((k * z.w.h + r) * z.w.w + s) * z.w.c + c,
                  ((n * z.y.h + i) * z.y.w + j) * z.y.c + k);
              }
            }
          }
        }
      }
    }
  }
}

bool fits(const Convolution& z) {
  const auto length = [](int64_t x, int64_t padding, int64_t dilation, int64_t w, int64_t stride) {
    return (x + 2 * padding - dilation * (w - 1) - 1) / stride + 1;
  };
  return z.x.n == z.y.n && z.x.c == z.w.c * z.c.groups && z.y.c == z.w.k &&
         z.w.k % z.c.groups == 0 && z.c.math == CUDNN_FMA_MATH &&
         z.y.h == length(z.x.h, z.c.padding_y, z.c.dilation_y, z.w.h, z.c.stride_y) &&
         z.y.w == length(z.x.w, z.c.padding_x, z.c.dilation_x, z.w.w, z.c.stride_x);
}

// Real cuDNN has limits of its own: the emulated one refuses dilated windows, so that the backend's
// other route is taken too.
cudnnStatus_t workspace(const Convolution& z, bool right_algorithm, size_t* bytes) {
  if (!fits(z)) return CUDNN_STATUS_BAD_PARAM;
  if (!right_algorithm) return CUDNN_STATUS_NOT_SUPPORTED;
  if (z.c.dilation_y > 1 || z.c.dilation_x > 1) return CUDNN_STATUS_NOT_SUPPORTED;
  *bytes = 4096;
  return CUDNN_STATUS_SUCCESS;
}

// result = alpha * sums + beta * result; sums[i] gets every product that belongs to value i.
template <typename Place>
cudnnStatus_t run(cudnnHandle_t handle, const Convolution& z, const void* alpha, const void* a,
                  const void* b, void* scratch, size_t scratch_bytes, const void* beta,
                  void* result, int64_t size, Place place) {
  if (!fits(z) || !is_device_memory(a) || !is_device_memory(b) || !is_device_memory(result) ||
      !is_device_memory(scratch) || scratch_bytes < 4096) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  const double scale = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
  const cudaError_t status = enqueue(handle->stream, "cuDNN", [=] {
    auto* used = static_cast<unsigned char*>(scratch);
    for (size_t i = 0; i < scratch_bytes; ++i) used[i] = 0xff;  // it is ours to overwrite
    std::vector<double> sums(static_cast<size_t>(size), 0.0);
    for_each_product(z, [&](int64_t x, int64_t w, int64_t y) {
      const auto [at_a, at_b, at] = place(x, w, y);
      sums[static_cast<size_t>(at)] += static_cast<double>(static_cast<const float*>(a)[at_a]) *
                                       static_cast<double>(static_cast<const float*>(b)[at_b]);
    });
    auto* out = static_cast<float*>(result);
    for (int64_t i = 0; i < size; ++i) {
      const double before = keep == 0 ? 0 : keep * static_cast<double>(out[i]);
      out[i] = static_cast<float>(scale * sums[static_cast<size_t>(i)] + before);
    }
  });
  return status == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

struct Places {
  int64_t a, b, result;
};
int64_t size_of(const cudnnTensorStruct& t) { return t.n * t.c * t.h * t.w; }

template <typename T>
cudnnStatus_t make(T** descriptor) {
  *descriptor = new T;
  return CUDNN_STATUS_SUCCESS;
}
template <typename T>
cudnnStatus_t destroy(T* descriptor) {
  delete descriptor;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) { return make(handle); }
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
const char* cudnnGetErrorString(cudnnStatus_t) { return "refused by the emulation"; }

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* t) { return make(t); }
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t t) { return destroy(t); }
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* f) { return make(f); }
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t f) { return destroy(f); }
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* c) { return make(c); }
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t c) {
  return destroy(c);
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t t, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
  if (format != CUDNN_TENSOR_NHWC || type != CUDNN_DATA_FLOAT || n < 1 || c < 1 || h < 1 || w < 1) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  *t = {n, c, h, w};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t f, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
  if (format != CUDNN_TENSOR_NHWC || type != CUDNN_DATA_FLOAT || k < 1 || c < 1 || h < 1 || w < 1) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  *f = {k, c, h, w};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t c, int padding_y,
                                              int padding_x, int stride_y, int stride_x,
                                              int dilation_y, int dilation_x,
                                              cudnnConvolutionMode_t mode, cudnnDataType_t type) {
  if (mode != CUDNN_CROSS_CORRELATION || type != CUDNN_DATA_FLOAT) return CUDNN_STATUS_BAD_PARAM;
  *c = {padding_y, padding_x, stride_y, stride_x, dilation_y, dilation_x, 1, CUDNN_DEFAULT_MATH};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t c, int groups) {
  c->groups = groups;
  return groups >= 1 ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t c, cudnnMathType_t math) {
  c->math = math;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t, cudnnTensorDescriptor_t x,
                                                      cudnnFilterDescriptor_t w,
                                                      cudnnConvolutionDescriptor_t c,
                                                      cudnnTensorDescriptor_t y,
                                                      cudnnConvolutionFwdAlgo_t algorithm,
                                                      size_t* bytes) {
  return workspace({*x, *y, *w, *c}, algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
                   bytes);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t, cudnnFilterDescriptor_t w,
                                                           cudnnTensorDescriptor_t y,
                                                           cudnnConvolutionDescriptor_t c,
                                                           cudnnTensorDescriptor_t x,
                                                           cudnnConvolutionBwdDataAlgo_t algorithm,
                                                           size_t* bytes) {
  return workspace({*x, *y, *w, *c}, algorithm == CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, bytes);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, cudnnTensorDescriptor_t x, cudnnTensorDescriptor_t y,
    cudnnConvolutionDescriptor_t c, cudnnFilterDescriptor_t w,
    cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* bytes) {
  return workspace({*x, *y, *w, *c}, algorithm == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, bytes);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha,
                                      cudnnTensorDescriptor_t x, const void* x_data,
                                      cudnnFilterDescriptor_t w, const void* w_data,
                                      cudnnConvolutionDescriptor_t c, cudnnConvolutionFwdAlgo_t,
                                      void* scratch, size_t scratch_bytes, const void* beta,
                                      cudnnTensorDescriptor_t y, void* y_data) {
  return run(handle, {*x, *y, *w, *c}, alpha, x_data, w_data, scratch, scratch_bytes, beta, y_data,
             size_of(*y), [](int64_t x, int64_t w, int64_t y) {
               return Places{x, w, y};
             });
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void* alpha,
                                           cudnnFilterDescriptor_t w, const void* w_data,
                                           cudnnTensorDescriptor_t y, const void* y_data,
                                           cudnnConvolutionDescriptor_t c,
                                           cudnnConvolutionBwdDataAlgo_t, void* scratch,
                                           size_t scratch_bytes, const void* beta,
                                           cudnnTensorDescriptor_t x, void* x_data) {
  return run(handle, {*x, *y, *w, *c}, alpha, w_data, y_data, scratch, scratch_bytes, beta, x_data,
             size_of(*x), [](int64_t x, int64_t w, int64_t y) {
               return Places{w, y, x};
             });
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void* alpha,
                                             cudnnTensorDescriptor_t x, const void* x_data,
                                             cudnnTensorDescriptor_t y, const void* y_data,
                                             cudnnConvolutionDescriptor_t c,
                                             cudnnConvolutionBwdFilterAlgo_t, void* scratch,
                                             size_t scratch_bytes, const void* beta,
                                             cudnnFilterDescriptor_t w, void* w_data) {
  return run(handle, {*x, *y, *w, *c}, alpha, x_data, y_data, scratch, scratch_bytes, beta, w_data,
             w->k * w->c * w->h * w->w, [](int64_t x, int64_t w, int64_t y) {
               return Places{x, y, w};
             });
}
