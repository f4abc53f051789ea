// The emulation is tested itself: everything that a GPU would not forgive is caught, and what is
// right is left alone.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "backends/cuda/reduction.h"
#include "core/ops.h"
#include "core/plan.h"
#include "core/storage.h"
#include "tests/cuda_emulation/emulator.h"

using namespace slope;
namespace emulation = slope::cuda::emulation;

namespace slope::cuda {
namespace {

__global__ void reverse_kernel(const float* x, float* y, bool barrier) {
  SLOPE_SHARED(float, values, kThreads);
  values[threadIdx.x] = x[threadIdx.x];
  if (barrier) SLOPE_BARRIER();
  y[threadIdx.x] = values[kThreads - 1 - threadIdx.x];
}

__global__ void half_a_barrier_kernel(float* y) {
  if (threadIdx.x < 100) SLOPE_BARRIER();
  y[threadIdx.x] = 1;
}

__global__ void undefined_kernel(float* y) {
  SLOPE_SHARED(float, values, kThreads);
  y[threadIdx.x] = values[threadIdx.x];
}

__global__ void beyond_shared_kernel(float* y) {
  SLOPE_SHARED(float, values, kThreads);
  values[threadIdx.x + 1] = 1;
  y[threadIdx.x] = 1;
}

__global__ void vector_kernel(const float* x, float* y) {
  if (threadIdx.x == 0) store4(y, load4(x));
}

__global__ void part_of_a_warp_kernel(float* y) {
  y[threadIdx.x] = __shfl_xor_sync(0xffffu, 1.0f, 1);
}

__global__ void block_sum_kernel(const float* x, float* y) {
  const double total = reduce_block(Sum{}, static_cast<double>(x[threadIdx.x]));
  y[threadIdx.x] = static_cast<float>(total);
}

__global__ void write_kernel(float* y, int64_t i) {
  if (threadIdx.x == 0) y[i] = 1;
}

// A stream of our own, and two buffers of 256 values.
struct Bench {
  Bench() {
    check(cudaStreamCreateWithFlags(&at.stream, cudaStreamNonBlocking), "test");
    check(cudaMallocAsync(reinterpret_cast<void**>(&x), kBytes, at.stream), "test");
    check(cudaMallocAsync(reinterpret_cast<void**>(&y), kBytes, at.stream), "test");
    std::vector<float> values(kThreads);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
    check(cudaMemcpyAsync(x, values.data(), kBytes, cudaMemcpyHostToDevice, at.stream), "test");
    emulation::take_violations();
  }
  ~Bench() {
    cudaFreeAsync(x, at.stream);
    cudaFreeAsync(y, at.stream);
    cudaStreamSynchronize(at.stream);
    emulation::take_violations();
  }
  std::vector<float> result() {
    std::vector<float> values(kThreads);
    check(cudaMemcpyAsync(values.data(), y, kBytes, cudaMemcpyDeviceToHost, at.stream), "test");
    return values;
  }
  // What is wrong with everything queued so far.
  std::string violations() {
    cudaStreamSynchronize(at.stream);
    std::string all;
    for (const std::string& text : emulation::take_violations()) all += text + "\n";
    return all;
  }
  static constexpr size_t kBytes = kThreads * sizeof(float);
  Launcher at{nullptr, "tested"};
  float *x = nullptr, *y = nullptr;
};

bool says(const std::string& text, const char* what) {
  return text.find(what) != std::string::npos;
}

// Whether a child process that runs f ends by a signal or a sanitizer's report.
template <typename F>
bool dies(F f) {
  const pid_t child = fork();
  if (child == 0) {
    if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout)) _exit(0);
    f();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

}  // namespace
}  // namespace slope::cuda

using slope::cuda::Bench;
using slope::cuda::Grid;
using slope::cuda::kThreads;
using slope::cuda::launch;
using slope::cuda::says;

TEST_CASE("emulation: a block computes, whatever the order of its threads") {
  for (const bool descending : {false, true}) {
    emulation::set_descending(descending);
    Bench bench;
    launch(bench.at, Grid{}, cuda::reverse_kernel, bench.x, bench.y, true);
    CHECK(bench.result()[0] == 255);
    launch(bench.at, Grid{}, cuda::block_sum_kernel, bench.x, bench.y);
    for (const float sum : bench.result()) CHECK(sum == 255 * 128);
    CHECK(bench.violations() == "");
  }
  emulation::set_descending(false);
}

TEST_CASE("emulation: what a kernel must not do is caught") {
  Bench bench;
  launch(bench.at, Grid{}, cuda::reverse_kernel, bench.x, bench.y, false);
  CHECK(says(bench.violations(), "race"));
  launch(bench.at, Grid{}, cuda::half_a_barrier_kernel, bench.y);
  CHECK(says(bench.violations(), "never reach"));
  launch(bench.at, Grid{}, cuda::undefined_kernel, bench.y);
  CHECK(says(bench.violations(), "before written"));
  launch(bench.at, Grid{}, cuda::beyond_shared_kernel, bench.y);
  CHECK(says(bench.violations(), "element 256 of 256"));
  launch(bench.at, Grid{}, cuda::vector_kernel, bench.x + 1, bench.y);
  CHECK(says(bench.violations(), "not aligned"));
  launch(bench.at, Grid{}, cuda::part_of_a_warp_kernel, bench.y);
  CHECK(says(bench.violations(), "all lanes"));
}

TEST_CASE("emulation: launches beyond the limits are refused") {
  Bench bench;
  CHECK_THROWS_AS(launch(bench.at, Grid{1, 1, 2048}, cuda::write_kernel, bench.y, int64_t{0}),
                  DeviceError);
  CHECK_THROWS_AS(launch(bench.at, Grid{1, 70000}, cuda::write_kernel, bench.y, int64_t{0}),
                  DeviceError);
  CHECK(says(bench.violations(), "beyond the limits"));
}

TEST_CASE("emulation: streams keep their order, and must not be mixed up") {
  Bench bench, other;
  CHECK_THROWS_AS(launch({nullptr, "tested"}, Grid{}, cuda::write_kernel, bench.y, int64_t{0}),
                  DeviceError);
  CHECK(says(bench.violations(), "legacy stream"));
  const auto touch = [&](cudaStream_t stream) {
    const emulation::ExtentScope scope({{bench.y, Bench::kBytes}});
    launch({stream, "tested"}, Grid{}, cuda::write_kernel, bench.y, int64_t{0});
  };
  touch(bench.at.stream);
  touch(other.at.stream);
  CHECK(says(bench.violations(), "waits on another stream"));
  other.violations();
  touch(bench.at.stream);
  CHECK(bench.violations() == "");  // after a wait any stream may use it
}

TEST_CASE("emulation: what a capture does not allow ends it") {
  Bench bench;
  cudaGraph_t graph = nullptr;
  REQUIRE(cudaStreamBeginCapture(bench.at.stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  void* memory = nullptr;
  CHECK(cudaMallocAsync(&memory, 64, bench.at.stream) != cudaSuccess);
  CHECK(cudaStreamEndCapture(bench.at.stream, &graph) != cudaSuccess);
  CHECK(says(bench.violations(), "while a stream captures"));
  REQUIRE(cudaStreamBeginCapture(bench.at.stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  CHECK(cudaStreamSynchronize(bench.at.stream) != cudaSuccess);
  CHECK(cudaStreamEndCapture(bench.at.stream, &graph) != cudaSuccess);
  // A capture runs nothing; its graph runs as often as it is launched.
  cuda::check(cudaMemsetAsync(bench.y, 0, Bench::kBytes, bench.at.stream), "test");
  REQUIRE(cudaStreamBeginCapture(bench.at.stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  launch(bench.at, Grid{}, cuda::write_kernel, bench.y, int64_t{3});
  REQUIRE(cudaStreamEndCapture(bench.at.stream, &graph) == cudaSuccess);
  CHECK(bench.result()[3] == 0);
  cudaGraphExec_t exec = nullptr;
  REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
  REQUIRE(cudaGraphLaunch(exec, bench.at.stream) == cudaSuccess);
  CHECK(bench.result()[3] == 1);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
}

TEST_CASE("emulation: memory is closed to the host, and bounded for kernels") {
  Bench bench;
  CHECK(bench.violations() == "");
  CHECK(cuda::dies([&] { bench.y[0] = 1; }));
  CHECK(cuda::dies([&] {
    volatile float read = bench.x[0];
    static_cast<void>(read);
  }));
  const auto write_at = [&](int64_t i) {
    launch(bench.at, Grid{}, cuda::write_kernel, bench.y, i);
    cudaStreamSynchronize(bench.at.stream);
  };
  CHECK(cuda::dies([&] { write_at(kThreads); }));
  CHECK(cuda::dies([&] { write_at(-1); }));
  CHECK_FALSE(cuda::dies([&] { write_at(kThreads - 1); }));
  CHECK(cuda::dies([&] {  // inside the block, outside of what the call was given
    const emulation::ExtentScope scope({{bench.y, Bench::kBytes / 2}});
    write_at(kThreads / 2);
  }));
}

TEST_CASE("emulation: fresh memory is NaN") {
  clear_cache(device("cuda"));
  const Tensor x = empty({5}, Dtype::f64, device("cuda"));
  for (const double v : x.values()) CHECK(std::isnan(v));
}
