// Dispatch: what is refused before anything runs, what is cached, and what a failure leaves.
#include "core/dispatch.h"

#include <doctest/doctest.h>

#include <deque>

#include "autograd/tape.h"
#include "backends/reference/host_memory.h"
#include "core/ops.h"
#include "core/plan.h"
#include "tests/core/plan_checks.h"
#include "tests/core/test_values.h"

using namespace slope;
using test::mixed;
using test::on_every_device;
using test::Values;

namespace {

// Host memory, kernels of the reference for some ops only, and counts of everything.
class SparseBackend final : public HostBackend {
 public:
  std::string name() const override { return "sparse"; }
  void* allocate(size_t bytes) override {
    ++allocations;
    return bytes > limit ? nullptr : HostBackend::allocate(bytes);
  }
  void copy_out(void* host, const void* from, size_t bytes) override {
    ++waits;
    HostBackend::copy_out(host, from, bytes);
  }
  std::unique_ptr<Prepared> prepare(const Call& call) override {
    ++prepared;
    const std::string name = call.op.name;
    if (name == "softmax" || name == "matmul") return nullptr;
    if (name == "exp" && call.in(0).dtype() == Dtype::f64) return nullptr;
    return device("reference")->prepare(call);
  }
  size_t limit = ~size_t{0};
  int allocations = 0, waits = 0, prepared = 0;
};

SparseBackend& sparse_backend() {  // a pool and prepared calls may outlive any test
  static std::deque<SparseBackend> all;
  return all.emplace_back();
}

class Names final : public Recorder {
 public:
  Names() : scope_(*this) {}
  void record(const Recorded& recorded) override { all.push_back(recorded.call.op.name); }
  std::vector<std::string> all;

 private:
  RecorderScope scope_;
};

}  // namespace

TEST_CASE("dispatch: devices are never mixed silently") {
  const Tensor a = tensor({1, 2}, Dtype::f32, device("cpu")),
               b = tensor({1, 2}, Dtype::f32, device("reference"));
  CHECK_THROWS_WITH_AS(a + b,
                       "add: inputs are on different devices: cpu and reference. Nothing is copied "
                       "silently; write x.to(device).",
                       DeviceError);
  CHECK((a + b.to(device("cpu"))).values() == Values{2, 4});
  CHECK(b.to(device("reference")).id() == b.id());
  CHECK_THROWS_WITH_AS(device("tpu"), "device: \"tpu\" is not one of cpu, reference.", DeviceError);
}

TEST_CASE("dispatch: dtypes are never mixed silently") {
  on_every_device([] {
    const Tensor a = mixed({2}, Dtype::f32), b = mixed({2}, Dtype::f64);
    CHECK_THROWS_WITH_AS(a + b,
                         "add: dtypes differ: a (2) float32, b (2) float64. Nothing is converted "
                         "silently; write cast(b, Dtype::f32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(exp(tensor({1, 2}, Dtype::i32)),
                         "exp: x (2) int32; x must be float32 or float64. Write cast(x, "
                         "Dtype::f32).",
                         DtypeError);
  });
}

TEST_CASE("dispatch: an empty tensor says so") {
  CHECK_THROWS_WITH_AS(
      exp(Tensor()),
      "tensor: this Tensor is empty (default-constructed); it has no shape and no values.",
      ValueError);
  CHECK_THROWS_AS(Tensor().shape(), ValueError);
}

TEST_CASE("dispatch: a failing op leaves no memory, no version and no record behind") {
  on_every_device([] {
    const Device here = default_device();
    const Tensor a = mixed({2, 3}, Dtype::f32), b = mixed({4, 5}, Dtype::f32);
    const MemoryStatistics before = memory_statistics(here);
    const uint64_t version = a.storage()->version();
    Names names;
    CHECK_THROWS_AS(a + b, ShapeError);
    CHECK_THROWS_AS(matmul(a, b), ShapeError);
    CHECK_THROWS_AS(copy_into(a, b), ShapeError);
    CHECK_THROWS_AS(sgd_step(transpose(a), transpose(a), {}, scalar(0.1f, Dtype::f32), {}),
                    ShapeError);
    CHECK(names.all.size() <= 2);  // the two transposes
    CHECK(a.storage()->version() == version);
    CHECK(a.values() == mixed({2, 3}, Dtype::f32).values());
    CHECK(memory_statistics(here).live_bytes == before.live_bytes);
  });
}

TEST_CASE("dispatch: memory that is freed is used again, and live bytes return to what they were") {
  on_every_device([] {
    const Device here = default_device();
    const Tensor x = mixed({64, 64}, Dtype::f32);
    const MemoryStatistics before = memory_statistics(here);
    for (int i = 0; i < 3; ++i) {
      const Tensor y = softmax(x * 2);
      CHECK(memory_statistics(here).live_bytes >= before.live_bytes + 4 * 64 * 64);
    }
    const MemoryStatistics warm = memory_statistics(here);
    CHECK(warm.live_bytes == before.live_bytes);
    for (int i = 0; i < 50; ++i) softmax(x * 2);
    const MemoryStatistics after = memory_statistics(here);
    CHECK(after.allocations == warm.allocations);
    CHECK(after.requests > warm.requests);
    CHECK(after.peak_bytes >= after.live_bytes);
    clear_cache(here);
    CHECK(memory_statistics(here).cached_bytes == 0);
    CHECK(x.values() == mixed({64, 64}, Dtype::f32).values());
  });
}

TEST_CASE("dispatch: prepared calls are kept, up to a limit, and never mixed up") {
  SparseBackend& backend = sparse_backend();
  const DeviceScope here{Device(&backend)};
  const Tensor x = mixed({4, 3}, Dtype::f32);
  const Values expected = (x * 2).values();
  const int once = backend.prepared;
  for (int i = 0; i < 10; ++i) CHECK((x * 2).values() == expected);
  CHECK(backend.prepared == once);
  // What makes another call: attributes, shapes, dtypes, strides of strided ops.
  CHECK((x * 3).values()[0] == x.values()[0] * 3);
  CHECK((transpose(x) * 2).values()[1] == expected[3]);
  CHECK((x.reshape({3, 4}) * 2).values() == expected);
  CHECK((x.reshape({12}) * 2).values() == expected);
  CHECK(backend.prepared >= once + 4);
  // More shapes than are kept: the first is prepared again and still right.
  for (int64_t n = 1; n <= 1100; ++n) {
    const Tensor v = full({n}, 1.5) * 2;
    if (n % 100 == 0) CHECK(v.values().back() == 3);
  }
  const int before = backend.prepared;
  CHECK((x * 2).values() == expected);
  CHECK(backend.prepared > before);
}

TEST_CASE("dispatch: an op without a kernel is done by its pieces, else the message says so") {
  SparseBackend& backend = sparse_backend();
  const Device sparse(&backend);
  const DeviceScope here(sparse);
  const Tensor x = mixed({2, 3}, Dtype::f32);
  {
    Names names;
    const Values got = softmax(x).values();
    const Values expected = softmax(x.to(device("reference"))).values();
    for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(expected[i]));
    CHECK(names.all.size() > 3);  // max, sub, exp, sum, div
  }
  // A tape sees the pieces as well.
  Tape tape({x});
  const Tensor d = tape.gradient(softmax(x), {x}, mixed({2, 3}, Dtype::f32, 1))[0];
  CHECK(d.values()[0] != 0);
  CHECK_THROWS_WITH_AS(matmul(x, transpose(x)),
                       "matmul: backend \"sparse\" has no kernel for float32 here. Cast the "
                       "inputs, or use device cpu or reference.",
                       DeviceError);
  CHECK_THROWS_WITH_AS(exp(mixed({2}, Dtype::f64)),
                       "exp: backend \"sparse\" has no kernel for float64 here. Cast the inputs, "
                       "or use device cpu or reference.",
                       DeviceError);
}

TEST_CASE("dispatch: only reading values waits for the device") {
  SparseBackend& backend = sparse_backend();
  const DeviceScope here{Device(&backend)};
  const Tensor x = mixed({4, 4}, Dtype::f32);
  Tape tape({x});
  const Tensor y = sum(sin(x) * x);
  const Tensor d = tape.gradient(y, {x})[0];
  CHECK(backend.waits == 0);
  d.values();
  y.item();
  CHECK(backend.waits == 2);
}

TEST_CASE("dispatch: replays on any backend allocate, prepare and wait for nothing") {
  const test::PlanChecks off(false);
  SparseBackend& backend = sparse_backend();
  const DeviceScope here{Device(&backend)};
  const Tensor x = mixed({4, 4}, Dtype::f32);
  Plan plan({x}, [](const Tensors& in) { return Tensors{sum(softmax(sin(in[0]) * in[0]), {1})}; });
  plan.run({x});
  const int allocations = backend.allocations, prepared = backend.prepared, waits = backend.waits;
  for (int i = 0; i < 5; ++i) plan.run({x});
  CHECK(backend.allocations == allocations);
  CHECK(backend.prepared == prepared);
  CHECK(backend.waits == waits);
}

TEST_CASE("dispatch: out of memory names the sizes, and frees the cache before it gives up") {
  SparseBackend& backend = sparse_backend();
  const Device sparse(&backend);
  const DeviceScope here(sparse);
  { const Tensor cached = zeros({1000}); }
  CHECK(memory_statistics(sparse).cached_bytes > 0);
  backend.limit = 10000;
  const Tensor held = zeros({16});
  CHECK_THROWS_WITH_AS(zeros({100000}),
                       "allocate: out of memory on sparse: wanted 400000 bytes, live tensors hold "
                       "64. Use a smaller batch, or gradient checkpointed instead of through.",
                       DeviceError);
  CHECK(memory_statistics(sparse).cached_bytes == 0);
  CHECK(held.values() == Values(16, 0.0));
}

TEST_CASE("dispatch: recorders see calls in order, views too, and nothing while deaf") {
  Names outer;
  {
    Names inner;
    const Tensor x = mixed({2, 3}, Dtype::f32);
    sum(transpose(x) * 2);
    CHECK(inner.all == std::vector<std::string>{"permute", "mul_scalar", "sum"});
    const Deafen deafen(inner);
    exp(x);
    CHECK(inner.all.size() == 3);
  }
  CHECK(outer.all == std::vector<std::string>{"permute", "mul_scalar", "sum", "exp"});
  CHECK(recorders().size() == 1);
}

TEST_CASE("dispatch: what an op writes must be contiguous, unless its kernel sees strides") {
  const Tensor p = mixed({2, 3}, Dtype::f32);
  const Tensor turned = transpose(p);
  CHECK_THROWS_WITH_AS(sgd_step(turned, mixed({3, 2}, Dtype::f32), {}, scalar(0.1), {}),
                       "sgd_step: argument 0 (3, 2) float32 is written in place and must be "
                       "contiguous. Pass a contiguous tensor.",
                       ShapeError);
  copy_into(turned, zeros({3, 2}));
  CHECK(p.values() == Values(6, 0.0));
}
