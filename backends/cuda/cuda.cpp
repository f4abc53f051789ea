#include "backends/cuda/cuda.h"

#include <mutex>

#include "backends/cuda/context.h"
#include "backends/cuda/devices.h"
#include "backends/cuda/staging.h"
#include "core/plan.h"

namespace slope::cuda {
namespace {

// One device and the lock under which its stream and handles are used.
struct Running {
  explicit Running(int index) : context(index), staging(context.stream) {}
  const Context context;
  Staging staging;
  std::recursive_mutex mutex;  // a captured program runs prepared calls, which lock too
};

// Holds the lock, with the device current on this thread.
class InUse {
 public:
  explicit InUse(Running& running) : lock_(running.mutex) { running.context.make_current(); }

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

class OnDevice final : public Prepared {
 public:
  OnDevice(Running& running, std::unique_ptr<Prepared> kernel)
      : running_(running), kernel_(std::move(kernel)) {}
  size_t scratch_bytes() const override { return kernel_->scratch_bytes(); }
  void run(const Argument* arguments, void* scratch) override {
    const InUse use(running_);
    kernel_->run(arguments, scratch);
  }

 private:
  Running& running_;
  std::unique_ptr<Prepared> kernel_;
};

// A plan's calls as one CUDA graph: captured once, launched as a whole.
class GraphReplay final : public Replay {
 public:
  GraphReplay(Running& running, const Program& program) : running_(running) {
    const InUse use(running_);
    const cudaStream_t stream = running_.context.stream;
    cudaGraph_t graph = nullptr;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "plan");
    try {
      for (const auto& step : program.steps)
        step.prepared->run(step.arguments.data(), step.scratch);
    } catch (...) {
      if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) cudaGraphDestroy(graph);
      cudaGetLastError();
      throw;
    }
    check(cudaStreamEndCapture(stream, &graph), "plan");
    const cudaError_t status = cudaGraphInstantiate(&graph_, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "plan");
  }
  ~GraphReplay() override { cudaGraphExecDestroy(graph_); }
  GraphReplay(const GraphReplay&) = delete;
  GraphReplay& operator=(const GraphReplay&) = delete;

  void run() override {
    const InUse use(running_);
    check(cudaGraphLaunch(graph_, running_.context.stream), "plan");
  }

 private:
  Running& running_;
  cudaGraphExec_t graph_ = nullptr;
};

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(int index) : index_(index) {}
  std::string name() const override { return concat("cuda:", index_); }

  void* allocate(size_t bytes) override {
    const InUse use(running());
    void* memory = nullptr;
    const cudaError_t status = cudaMallocAsync(&memory, bytes, running().context.stream);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return nullptr;  // storage knows what is held and what to try
    }
    check(status, "allocate");
    return memory;
  }
  void release(void* memory) override {
    const InUse use(running());
    // Also called by destructors, which must not throw: what fails here shows in the next call.
    cudaFreeAsync(memory, running().context.stream);
  }
  void copy_in(void* to, const void* host, size_t bytes) override {
    const InUse use(running());
    running().staging.to_device(to, host, bytes);
  }
  void copy_out(void* host, const void* from, size_t bytes) override {
    const InUse use(running());
    running().staging.to_host(host, from, bytes);
  }
  std::unique_ptr<Prepared> prepare(const Call& call) override {
    const auto found = kernels().find(call.op.name);
    if (found == kernels().end()) return nullptr;
    const InUse use(running());
    auto kernel = found->second(running().context, call);
    return kernel ? std::make_unique<OnDevice>(running(), std::move(kernel)) : nullptr;
  }
  void synchronize() override {
    const InUse use(running());
    check(cudaStreamSynchronize(running().context.stream), "synchronize");
  }
  std::unique_ptr<Replay> replay(const Program& program) override {
    if (program.steps.empty()) return nullptr;
    return std::make_unique<GraphReplay>(running(), program);
  }

 private:
  // The device is set up when it is first used: a program that computes on the cpu waits for
  // nothing.
  Running& running() {
    std::call_once(started_, [this] { running_ = new Running(index_); });  // see Context
    return *running_;
  }

  const int index_;
  std::once_flag started_;
  Running* running_ = nullptr;
};

}  // namespace

std::vector<std::unique_ptr<Backend>> make_backends() {
  std::vector<std::unique_ptr<Backend>> all;
  for (const int index : usable_devices()) all.push_back(std::make_unique<CudaBackend>(index));
  return all;
}

}  // namespace slope::cuda
