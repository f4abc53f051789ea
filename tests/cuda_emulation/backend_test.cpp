// The CUDA backend beside its kernels: devices, memory, graphs, and how often the host waits.
#include <doctest/doctest.h>

#include <array>

#include "backends/cuda/cuda.h"
#include "core/ops.h"
#include "core/plan.h"
#include "core/prepared.h"
#include "core/storage.h"
#include "tests/cuda_emulation/emulator.h"

using namespace slope;
namespace emulation = slope::cuda::emulation;

TEST_CASE("cuda: devices that are there, and why others are not") {
  CHECK(cuda::describe_devices().at(0).available);
  CHECK(cuda::describe_devices()[0].what.find("never run on a GPU") != std::string::npos);
  emulation::set_devices(cudaErrorInsufficientDriver, 0, 0);
  CHECK(cuda::describe_devices()[0].what == "not available: no NVIDIA driver on this machine");
  CHECK(cuda::make_backends().empty());
  emulation::set_devices(cudaErrorInsufficientDriver, 0, 12080);
  CHECK(cuda::describe_devices()[0].what.find("serves CUDA 12.8") != std::string::npos);
  emulation::set_devices(cudaErrorNoDevice, 0, CUDART_VERSION);
  CHECK(cuda::describe_devices()[0].what.find("no GPU") != std::string::npos);
  emulation::set_devices(cudaSuccess, 1, CUDART_VERSION);
  CHECK(cuda::make_backends().size() == 1);
  CHECK_THROWS_WITH_AS(device("cuda:7"), "device: \"cuda:7\" is not one of cuda:0, cpu, reference.",
                       DeviceError);
}

TEST_CASE("cuda: tensors on two devices are an error, and copies are explicit") {
  const Tensor a = full({2}, 1, Dtype::f32, device("cuda")),
               b = full({2}, 2, Dtype::f32, device("cpu"));
  CHECK_THROWS_AS(a + b, DeviceError);
  CHECK((a + b.to(a.device())).to_vector<float>() == std::vector<float>{3, 3});
}

TEST_CASE("cuda: values larger than the staging blocks arrive and come back") {
  std::vector<double> values(1 << 19);  // 4 MiB
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 1009);
  const Tensor x = from_host(values, {1 << 19}, device("cuda"));
  CHECK(x.to_vector<double>() == values);
}

TEST_CASE("cuda: data is sent beside the work that is under way, and is there when it is needed") {
  const DeviceScope here(device("cuda"));
  const Tensor a = full({1000}, 2);
  const std::vector<double> values(1 << 18, 0.5);  // 2 MiB: two blocks
  emulation::take_violations();
  for (int round = 0; round < 5; ++round) {  // every block is used more than once
    const emulation::Counters before = emulation::counters();
    const Tensor busy = a * a;  // queued, and nobody waits for it
    const Tensor x = from_host(values, {1 << 18}, device("cuda"));
    const emulation::Counters after = emulation::counters();
    CHECK(after.host_writes - before.host_writes == 2);
    CHECK(after.writes_beside_work - before.writes_beside_work == 2);
    CHECK((x + x).to_vector<double>() == std::vector<double>(1 << 18, 1));
    CHECK(busy.to_vector<float>() == std::vector<float>(1000, 4));
  }
  CHECK(emulation::take_violations().empty());
}

TEST_CASE("cuda: a small copy takes one transfer in the order of the work") {
  const Device cuda = device("cuda");
  const emulation::Counters before = emulation::counters();
  const Tensor x = from_host(std::vector<double>(100, 3), {100}, cuda);
  const emulation::Counters after = emulation::counters();
  CHECK(after.host_writes - before.host_writes == 1);
  CHECK(after.writes_beside_work == before.writes_beside_work);
  CHECK(x.to_vector<double>() == std::vector<double>(100, 3));
}

TEST_CASE("cuda: memory that runs out leaves everything as it was") {
  const Tensor w = full({1000}, 3, Dtype::f32, device("cuda"));
  clear_cache(device("cuda"));
  emulation::set_memory_bound(size_t{64} << 20);
  CHECK_THROWS_WITH_AS(full({1 << 26}, 1, Dtype::f32, device("cuda")),
                       doctest::Contains("out of memory on cuda:0"), DeviceError);
  emulation::set_memory_bound(size_t{1} << 30);
  CHECK(w.to_vector<float>() == std::vector<float>(1000, 3));
  CHECK(full({1 << 20}, 1, Dtype::f32, device("cuda")).dim(0) == 1 << 20);
}

TEST_CASE("cuda: a plan is one graph, without allocations and without waits") {
  const DeviceScope here(device("cuda"));
  const Tensor w = full({4, 4}, 0.25);
  const auto f = [&](const Tensors& in) {
    Tensor y = in[0];
    for (int i = 0; i < 5; ++i) y = tanh(matmul(y, w) + in[1]);
    return Tensors{y};
  };
  const Tensor x = full({3, 4}, 0.5), t = scalar(0.1);
  Plan plan({x, t}, f);
  const std::vector<float> expected = f({x, t})[0].to_vector<float>();
  plan.run({x, t});
  const emulation::Counters before = emulation::counters();
  for (int i = 0; i < 10; ++i) plan.run({x, t});
  const emulation::Counters after = emulation::counters();
  CHECK(after.graph_launches - before.graph_launches == 10);
  CHECK(after.launches - before.launches == 20);  // the two inputs of each run are copied in
  CHECK(after.allocations == before.allocations);
  CHECK(after.waits == before.waits);
  CHECK(after.host_reads == before.host_reads);
  CHECK(plan.results()[0].to_vector<float>() == expected);
  CHECK(emulation::take_violations().empty());
}

TEST_CASE("cuda: a capture that fails leaves the device as it was") {
  const Device cuda = device("cuda");
  const Tensor x = full({4}, 2, Dtype::f32, cuda);
  Program program;
  program.steps.emplace_back();
  program.steps[0].prepared =
      prepared([](const Argument*, void*) { throw DeviceError("a kernel fails"); });
  CHECK_THROWS_WITH_AS(cuda->replay(program), "a kernel fails", DeviceError);
  CHECK((x + x).to_vector<float>() == std::vector<float>(4, 4));  // runs, and is not captured
  CHECK(emulation::take_violations().empty());
}

TEST_CASE("cuda: a Runge-Kutta step and its error are two launches and one host read") {
  const DeviceScope here(device("cuda"));
  const Tensor y = full({8, 16}, 1), h = scalar(0.1);
  const Tensors slopes(7, full({8, 16}, 0.5));
  const std::array<double, 7> b{0.1, 0.2, 0.1, 0.1, 0.2, 0.1, 0.2};
  const emulation::Counters before = emulation::counters();
  const Tensor y1 = rk_combine(y, h, slopes, b);
  const double norm = error_norm(y1, y, y1, {}).item();
  const emulation::Counters after = emulation::counters();
  CHECK(norm > 0);
  CHECK(after.launches - before.launches == 2);
  CHECK(after.host_reads - before.host_reads == 1);
}
