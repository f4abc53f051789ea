// Bytes that each kernel moves between device memory and its warps, against the least it could:
// every byte of its arguments that it needs, once. The kernels are compiled with the calls of the
// thread sanitizer, which has no part in this program: the functions that it would define stand
// here and count. A word that the threads of a warp share is moved once for all of them, as on a
// GPU; one that is loaded again, or by another warp, is moved again: it may come from a cache, but
// need not.
#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "apps/models/classifier.h"
#include "core/ops.h"
#include "nn/train.h"
#include "ode/solve.h"
#include "ode/solver_word.h"
#include "tests/cuda_emulation/device_on_host.h"
#include "tests/cuda_emulation/emulator.h"
#include "tests/ode/problems.h"

using namespace slope;
namespace emulation = slope::cuda::emulation;

namespace {

struct Traffic {
  int64_t launches = 0;
  int64_t moved = 0;  // bytes that warps loaded and stored
  int64_t least = 0;  // different bytes loaded, and different bytes stored
};

// What the kernel that runs touches of device memory, in words of 4 bytes: none touches less.
class Meter {
 public:
  enum Kind { load, store };
  void begin() {
    open_ = true;
    now_ = {.launches = 1};
  }
  Traffic end() {
    open_ = false;
    for (const size_t word : touched_) words_[word] = {};
    touched_.clear();
    return now_;
  }
  void access(const void* memory, size_t bytes, Kind kind) {
    if (!open_ || !emulation::is_device_memory(memory)) return;
    const int64_t block =
        emulation::blockIdx.x + int64_t{emulation::gridDim.x} * emulation::blockIdx.y;
    const int64_t thread = block * emulation::blockDim.x + emulation::threadIdx.x + 1;
    const auto offset = static_cast<size_t>(static_cast<const char*>(memory) - region_);
    for (size_t word = offset / 4; word <= (offset + bytes - 1) / 4; ++word) {
      if (word >= words_.size()) words_.resize(word + 1 + words_.size() / 2);
      int64_t& mover = words_[word][kind];
      const bool by_neighbour = mover != 0 && mover != thread && warp_of(mover) == warp_of(thread);
      if (mover == 0) {
        if (words_[word][load + store - kind] == 0) touched_.push_back(word);
        now_.least += 4;
      }
      if (by_neighbour) continue;
      now_.moved += 4;
      mover = thread;
    }
  }

 private:
  static int64_t warp_of(int64_t thread) { return (thread - 1) / 32; }  // blocks are whole warps

  bool open_ = false;
  const char* region_ = static_cast<const char*>(emulation::device_memory());
  Traffic now_;
  // The thread of a warp that moved the word for the last warp that did, counted from 1.
  std::vector<std::array<int64_t, 2>> words_;
  std::vector<size_t> touched_;
};

Meter& meter() {
  static Meter& m = *new Meter;  // kernels may run before and after main
  return m;
}

// The traffic of every kernel launched by f, by the name of its op.
std::map<std::string, Traffic> traffic_of(const std::function<void()>& f) {
  std::map<std::string, Traffic> by_op;
  emulation::observe_kernels([&](const char* op, bool begins) {
    if (begins) return meter().begin();
    const Traffic one = meter().end();
    Traffic& all = by_op[op];
    all.launches += one.launches;
    all.moved += one.moved;
    all.least += one.least;
  });
  f();
  default_device()->synchronize();
  emulation::observe_kernels({});
  return by_op;
}

void print(const char* what, const std::map<std::string, Traffic>& by_op) {
  std::printf("%s\n  %-28s %9s %12s %12s %7s\n", what, "kernels of", "launches", "bytes moved",
              "least", "ratio");
  for (const auto& [op, t] : by_op) {
    std::printf("  %-28s %9lld %12lld %12lld %7.2f\n", op.c_str(),
                static_cast<long long>(t.launches), static_cast<long long>(t.moved),
                static_cast<long long>(t.least),
                static_cast<double>(t.moved) / static_cast<double>(t.least));
  }
}

}  // namespace

// GCC's calls for a load or store of so many bytes (gcc/sanitizer.def).
extern "C" {
#define COUNT(bytes)                                                                       \
  void __tsan_read##bytes(void* at) { meter().access(at, bytes, Meter::load); }            \
  void __tsan_write##bytes(void* at) { meter().access(at, bytes, Meter::store); }          \
  void __tsan_volatile_read##bytes(void* at) { meter().access(at, bytes, Meter::load); }   \
  void __tsan_volatile_write##bytes(void* at) { meter().access(at, bytes, Meter::store); } \
  void __tsan_unaligned_read##bytes(void* at) { meter().access(at, bytes, Meter::load); }  \
  void __tsan_unaligned_write##bytes(void* at) { meter().access(at, bytes, Meter::store); }
COUNT(1)
COUNT(2)
COUNT(4)
COUNT(8)
COUNT(16)
#undef COUNT
void __tsan_read_range(void* at, size_t bytes) { meter().access(at, bytes, Meter::load); }
void __tsan_write_range(void* at, size_t bytes) { meter().access(at, bytes, Meter::store); }
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}
void __tsan_init() {}
// Of host code in the same sources.
char __tsan_atomic8_load(const volatile char* at, int order) { return __atomic_load_n(at, order); }
int __tsan_atomic32_fetch_add(volatile int* at, int value, int order) {
  return __atomic_fetch_add(at, value, order);
}
}

TEST_CASE("traffic: what should move every byte once does, and no kernel moves far more") {
  const DeviceScope here(device("cuda"));
  Rng rng(1);
  const auto model = models::make_model("odenet-mnist", nullptr, rng);
  const auto optimizer = nn::make_optimizer("sgd", model->named_parameters());
  const Tensor x = full({4, 28, 28, 1}, 0.5),
               labels = from_host(std::vector<int32_t>{0, 1, 2, 3}, {4});
  const ode::BlockSettings settings{.solver = ode::parse_solver("rk4:1")};
  nn::TrainStep step(
      [&](const Tensor& images, nn::Pass& pass) { return model->logits(images, pass, settings); },
      *optimizer, {.plan = false});
  auto all = traffic_of([&] { step(x, labels, optimizer->numbers(0.1, 0.9, 1)); });
  print("odenet-mnist, a training step of 4 samples, rk4:1", all);

  const Tensors weights = ode::small_weights(64, 5);
  const Tensor y0 = full({512, 64}, 0.3, Dtype::f64);
  const auto adaptive = traffic_of([&] {
    ode::solve(ode::small_network(weights), y0, {0, 1}, ode::parse_solver("dopri5@1e-3"));
  });
  print("a solve of 512 states of 64 values in float64, dopri5@1e-3", adaptive);

  all.insert(adaptive.begin(), adaptive.end());
  for (const auto& [op, t] : all) {
    CAPTURE(op);
    REQUIRE(t.least > 0);
    const double ratio = static_cast<double>(t.moved) / static_cast<double>(t.least);
    CHECK(ratio >= 1);
    CHECK(ratio < 6);
  }
  for (const char* op : {"add", "copy", "rk_combine", "sgd_step", "sum", "tanh"}) {
    CAPTURE(std::string(op));
    REQUIRE(all.contains(op));
    CHECK(static_cast<double>(all.at(op).moved) < 1.1 * static_cast<double>(all.at(op).least));
  }
}
