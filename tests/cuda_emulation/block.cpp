#include "tests/cuda_emulation/block.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace slope::cuda::emulation {

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace {

constexpr int kLanes = 32;
constexpr size_t kStackBytes = size_t{256} << 10;
constexpr size_t kSharedBytes = size_t{48} << 10;  // of a block, without asking for more

enum class State { not_started, running, at_barrier, at_shuffle, done };

struct Fibre {
  ucontext_t context;
  void* stack = nullptr;
  void* sanitizer_stack = nullptr;
};

// The block that runs now.
struct Block {
  const Kernel* kernel = nullptr;
  int64_t serial = 0;
  int64_t interval = 0;  // barriers passed
  size_t shared_bytes = 0;
  std::vector<int> order;  // threads in the order they run
  size_t next = 0;         // of `order`, not started
  std::vector<State> states;
  std::vector<Fibre*> fibre_of;  // of each thread that waits
  int thread = 0;                // that runs
  Fibre* fibre = nullptr;        // that runs
  // What lanes leave for each other; two sets, so that a quick lane does not overwrite the last.
  std::vector<uint64_t> left[2];
  std::vector<int> shuffles;  // of each thread so far
};
Block block;

ucontext_t scheduler;
void* scheduler_sanitizer_stack = nullptr;
const void* scheduler_stack = nullptr;
size_t scheduler_stack_bytes = 0;
std::vector<std::unique_ptr<Fibre>> fibres;
std::vector<Fibre*> idle;

// Switching stacks, told to the address sanitizer.
void leave(void** own, const void* stack, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(own, stack, bytes);
#else
  static_cast<void>(own), static_cast<void>(stack), static_cast<void>(bytes);
#endif
}
void arrive(void* own, const void** from = nullptr, size_t* bytes = nullptr) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(own, from, bytes);
#else
  static_cast<void>(own), static_cast<void>(from), static_cast<void>(bytes);
#endif
}

void become(int thread) {
  block.thread = thread;
  block.states[static_cast<size_t>(thread)] = State::running;
  threadIdx = {static_cast<unsigned>(thread), 0, 0};
}

void to_scheduler() {
  Fibre* self = block.fibre;
  leave(&self->sanitizer_stack, scheduler_stack, scheduler_stack_bytes);
  swapcontext(&self->context, &scheduler);
  arrive(self->sanitizer_stack);
}

// A fibre runs one thread after the other until one of them waits; then it belongs to that thread.
void fibre_body() {
  arrive(nullptr, &scheduler_stack, &scheduler_stack_bytes);
  while (true) {
    block.kernel->call();
    block.states[static_cast<size_t>(block.thread)] = State::done;
    if (block.next < block.order.size()) {
      become(block.order[block.next++]);
      continue;
    }
    idle.push_back(block.fibre);
    to_scheduler();
  }
}

void prepare(Fibre& fibre) {
  getcontext(&fibre.context);
  fibre.context.uc_stack.ss_sp = fibre.stack;
  fibre.context.uc_stack.ss_size = kStackBytes;
  fibre.context.uc_link = nullptr;
  fibre.sanitizer_stack = nullptr;
  makecontext(&fibre.context, fibre_body, 0);
  // The address sanitizer knows our stacks by leave() and arrive(); what it does by itself at a
  // swapcontext, wiping what it knows of the whole stack, takes half of the time of a test.
  fibre.context.uc_stack = {};
}

Fibre* take_fibre() {
  if (!idle.empty()) {
    Fibre* fibre = idle.back();
    idle.pop_back();
    return fibre;
  }
  auto fibre = std::make_unique<Fibre>();
  fibre->stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  prepare(*fibre);
  fibres.push_back(std::move(fibre));
  return fibres.back().get();
}

void resume(Fibre* fibre, int thread) {
  become(thread);
  block.fibre = fibre;
  leave(&scheduler_sanitizer_stack, fibre->stack, kStackBytes);
  swapcontext(&scheduler, &fibre->context);
  arrive(scheduler_sanitizer_stack);
}

void wait(State state) {
  const size_t thread = static_cast<size_t>(block.thread);
  block.states[thread] = state;
  block.fibre_of[thread] = block.fibre;
  to_scheduler();
}

// The threads among [begin, end) that wait go on, in order.
void release(int begin, int end) {
  for (const int thread : block.order) {
    if (thread < begin || thread >= end) continue;
    resume(block.fibre_of[static_cast<size_t>(thread)], thread);
  }
}

bool all_are(State state, int begin, int end) {
  return std::all_of(block.states.begin() + begin, block.states.begin() + end,
                     [&](State s) { return s == state; });
}

// One step of those that wait; false when nobody can go on.
bool release_some(int threads) {
  bool any = false;
  for (int warp = 0; warp < threads; warp += kLanes) {
    const int end = std::min(warp + kLanes, threads);
    if (end - warp == kLanes && all_are(State::at_shuffle, warp, end)) {
      release(warp, end);
      any = true;
    }
  }
  if (any) return true;
  if (!all_are(State::at_barrier, 0, threads)) return false;
  ++block.interval;
  release(0, threads);
  return true;
}

void run_block(const Kernel& kernel, int threads, bool descending) {
  static int64_t serial = 0;
  const size_t n = static_cast<size_t>(threads);
  block.kernel = &kernel;
  block.serial = ++serial;
  block.interval = 0;
  block.shared_bytes = 0;
  block.order.resize(n);
  for (int i = 0; i < threads; ++i) {
    block.order[static_cast<size_t>(i)] = descending ? threads - 1 - i : i;
  }
  block.next = 0;
  block.states.assign(n, State::not_started);
  block.fibre_of.assign(n, nullptr);
  block.shuffles.assign(n, 0);
  for (auto& set : block.left) set.assign(n, 0);

  while (block.next < n) {
    const int thread = block.order[block.next++];
    resume(take_fibre(), thread);
  }
  while (!all_are(State::done, 0, threads)) {
    if (release_some(threads)) continue;
    violation(std::string(kernel.op) +
              ": some threads of a block wait at a barrier or a shuffle that others never reach");
    for (Fibre* fibre : block.fibre_of) {  // give up: these threads never end
      if (!fibre || std::find(idle.begin(), idle.end(), fibre) != idle.end()) continue;
      prepare(*fibre);
      idle.push_back(fibre);
    }
    return;
  }
}

}  // namespace

void run_grid(const Kernel& kernel, dim3 grid, dim3 size, bool descending) {
  gridDim = grid;
  blockDim = size;
  const int64_t blocks = int64_t{grid.x} * grid.y;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t which = descending ? blocks - 1 - i : i;
    blockIdx = {static_cast<unsigned>(which % grid.x), static_cast<unsigned>(which / grid.x), 0};
    run_block(kernel, static_cast<int>(size.x), descending);
  }
}

void barrier() { wait(State::at_barrier); }

int lane() { return block.thread % kLanes; }

void exchange(unsigned mask, int of, const void* mine, void* theirs, size_t bytes) {
  if (mask != 0xffffffffu) {
    violation(std::string(block.kernel->op) + ": a shuffle without all lanes of the warp");
  }
  if (of < 0 || of >= kLanes) {
    violation(std::string(block.kernel->op) + ": a shuffle from a lane that does not exist");
    of = 0;
  }
  const size_t thread = static_cast<size_t>(block.thread);
  auto& set = block.left[block.shuffles[thread]++ % 2];
  std::memcpy(&set[thread], mine, bytes);
  wait(State::at_shuffle);
  std::memcpy(theirs, &set[thread / kLanes * kLanes + static_cast<size_t>(of)], bytes);
}

void check_alignment(const void* memory, size_t alignment) {
  if (reinterpret_cast<uintptr_t>(memory) % alignment == 0) return;
  violation(std::string(block.kernel->op) + ": a vector load or store that is not aligned");
}

void SharedSlot::enter(size_t elements, size_t element_bytes) {
  if (block_ == block.serial) return;
  block_ = block.serial;
  element_bytes_ = element_bytes;
  bytes_.assign(elements * element_bytes, 0xff);
  touched_.assign(elements, {});
  block.shared_bytes += bytes_.size();
  if (block.shared_bytes > kSharedBytes) {
    violation(std::string(block.kernel->op) + ": more than 48 KiB of shared memory in a block");
  }
}

void SharedSlot::check_bounds(int64_t element) const {
  if (element >= 0 && element < static_cast<int64_t>(touched_.size())) return;
  violation(std::string(block.kernel->op) + ": element " + std::to_string(element) + " of " +
            std::to_string(touched_.size()) + " in shared memory");
}

void* SharedSlot::read(int64_t element) {
  check_bounds(element);
  const size_t i = static_cast<size_t>(element) % touched_.size();
  Touched& t = touched_[i];
  if (!t.defined) violation(std::string(block.kernel->op) + ": shared memory read before written");
  if (t.written_in == block.interval && t.writer != block.thread) {
    violation(
        std::string(block.kernel->op) +
        ": shared memory race: one thread reads what another has written, no barrier between");
  }
  t.reader = t.read_in == block.interval && t.reader != block.thread ? kMany : block.thread;
  t.read_in = block.interval;
  return bytes_.data() + i * element_bytes_;
}

void* SharedSlot::write(int64_t element) {
  check_bounds(element);
  const size_t i = static_cast<size_t>(element) % touched_.size();
  Touched& t = touched_[i];
  if (t.written_in == block.interval && t.writer != block.thread) {
    violation(std::string(block.kernel->op) +
              ": shared memory race: two threads write one element");
  }
  if (t.read_in == block.interval && t.reader != block.thread) {
    violation(std::string(block.kernel->op) +
              ": shared memory race: one thread writes what another has read, no barrier between");
  }
  t.written_in = block.interval;
  t.writer = block.thread;
  t.defined = true;
  return bytes_.data() + i * element_bytes_;
}

}  // namespace slope::cuda::emulation
