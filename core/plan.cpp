#include "core/plan.h"

#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "core/ops.h"

namespace slope {
namespace {

// Debug builds, or SLOPE_CHECK_PLANS=1: replays are compared with eager runs and old results are
// poisoned.
bool checks_on() {
  const char* value = std::getenv("SLOPE_CHECK_PLANS");
#ifdef NDEBUG
  return value && std::strcmp(value, "1") == 0;
#else
  return !value || std::strcmp(value, "0") != 0;
#endif
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return dispatch_any(a.dtype(), [&]<typename T>() {
    const auto x = a.to_vector<T>(), y = b.to_vector<T>();
    return x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0;
  });
}

class Capture;
// The innermost capture that runs on this thread.
thread_local Capture* current_capture = nullptr;

// Writes down the prepared calls of a function as it runs.
class Capture final : public Recorder {
 public:
  Capture(std::shared_ptr<Pool> pool, Program& program)
      : pool_(std::move(pool)), program_(program), scope_(*this) {
    current_capture = this;
  }
  ~Capture() override { current_capture = nullptr; }

  void record(const Recorded& recorded) override {
    if (!recorded.prepared) return;  // views are addresses; custom functions are their insides
    const Call& call = recorded.call;
    Program::Step step;
    for (const Tensor& x : call.inputs) step.arguments.push_back(argument(call, x));
    for (const Tensor& x : recorded.outputs) step.arguments.push_back(argument(call, x));
    step.prepared = own_prepared(recorded);
    step.scratch = scratch(*step.prepared, recorded.scratch);
    for (int i = 0; i < call.count(); ++i) {
      if (!(call.op.writes >> i & 1) || !call.has(i)) continue;
      const std::shared_ptr<Storage>& storage = call.in(i).storage();
      const bool own = storage->pool() == pool_.get();
      step.written.push_back(own ? identities.at(storage->id()).get() : storage.get());
      writes_outside = writes_outside || !own;
    }
    follow_constants(recorded);
    program_.steps.push_back(std::move(step));
  }

  void constant(const Tensor& x) override {
    constants.emplace(x.storage()->id(), x.storage());
    frozen_.insert(x.storage()->id());
  }

  void host_read(const char* what) override {
    throw PlanError(concat(
        "plan: ", what,
        " inside a captured function would freeze its value. Return the tensor, or pass it in."));
  }

  std::map<uint64_t, std::shared_ptr<Storage>>
      constants;                                 // made from host values inside the function
  std::map<uint64_t, CapturedStorage> captured;  // weights and whatever else the function used
  std::unordered_map<uint64_t, std::unique_ptr<StorageIdentity>>
      identities;  // of the plan's own memory
  bool writes_outside = false;

 private:
  // What is computed from constants alone is the same on every run: a random key must not be.
  void follow_constants(const Recorded& recorded) {
    const Call& call = recorded.call;
    bool frozen = true;
    for (int i = 0; i < call.count(); ++i) {
      const bool only_written = (call.op.writes >> i & 1) && call.op.writes == input_bit(i);
      if (call.has(i) && !only_written) frozen = frozen && frozen_.contains(storage_of(call, i));
    }
    if (frozen && call.op.random_key) {
      throw PlanError(concat(
          "plan: a random key made inside a captured function would give the same numbers on every "
          "run. Pass the key in as an input."));
    }
    if (!frozen) {
      for (int i = 0; i < call.count(); ++i) {
        if (call.op.writes >> i & 1 && call.has(i)) frozen_.erase(storage_of(call, i));
      }
      return;
    }
    for (const Tensor& y : recorded.outputs) frozen_.insert(y.storage()->id());
  }
  static uint64_t storage_of(const Call& call, int i) { return call.in(i).storage()->id(); }

  Argument argument(const Call& call, const Tensor& x) {
    if (!x.defined()) return {};
    const std::shared_ptr<Storage>& storage = x.storage();
    if (storage->pool() == pool_.get()) {
      auto& identity = identities[storage->id()];
      if (!identity) identity = std::make_unique<StorageIdentity>(storage->id());
      return {x.data(), identity.get()};
    }
    if (storage->device() != pool_->device()) {
      throw PlanError(concat("plan: ", call.op.name, " runs on ", storage->device().name(),
                             ", but the plan is one of ", pool_->device().name(),
                             ". A plan stays on the device of its inputs."));
    }
    if (!constants.contains(storage->id())) captured.try_emplace(storage->id(), storage);
    return {x.data(), storage.get()};
  }

  // The plan's own Prepared may want more scratch than the one that ran: it knows the threads of
  // now. Taken while the call's arguments are alive and given back at once, so it overlaps none of
  // them and later calls may use it.
  void* scratch(const Prepared& prepared, const std::shared_ptr<Storage>& given) const {
    const size_t bytes = prepared.scratch_bytes();
    if (bytes == 0) return nullptr;
    if (given && given->bytes() >= bytes) return given->data();
    return Storage(pool_->device(), bytes).data();
  }

  // A plan prepares its calls anew: a Prepared may hold packed weights, which eager use of the same
  // shapes would evict. Calls of one shape with the same second argument (a weight used in every
  // stage of a solve) share one.
  std::shared_ptr<Prepared> own_prepared(const Recorded& recorded) {
    const Call& call = recorded.call;
    if (call.count() < 2 || !call.in(1).defined()) return pool_->device()->prepare(call);
    const auto key = std::make_pair(recorded.prepared.get(), call.in(1).storage()->id());
    std::shared_ptr<Prepared>& shared = shared_[key];
    if (!shared) {
      shared = pool_->device()->prepare(call);
      kept_.push_back(recorded.prepared);  // so that its address stays its own
    }
    return shared;
  }

  std::shared_ptr<Pool> pool_;
  Program& program_;
  std::unordered_set<uint64_t> frozen_;  // storages with the same values on every run
  std::map<std::pair<const Prepared*, uint64_t>, std::shared_ptr<Prepared>> shared_;
  std::vector<std::shared_ptr<Prepared>> kept_;
  RecorderScope scope_;
};

// Keeps how the last op that ran was prepared.
class KeepPrepared final : public Recorder {
 public:
  KeepPrepared() : scope_(*this) {}
  void record(const Recorded& recorded) override { prepared = recorded.prepared; }
  std::shared_ptr<Prepared> prepared;

 private:
  RecorderScope scope_;
};

}  // namespace

bool capturing() { return current_capture != nullptr; }

struct Plan::Body {
  Function f;
  Device device;
  std::shared_ptr<Pool> pool;
  Program program;
  std::unique_ptr<Replay> replay;
  Tensors inputs;                                       // the plan's own buffers
  std::vector<std::shared_ptr<Prepared>> input_copies;  // into them, of contiguous tensors
  Tensors outputs;
  Tensors handed_out;  // what run() returned last, when checks are on
  Tensors inlined;     // results inside another plan's capture: that plan's, not this one's
  std::map<uint64_t, std::shared_ptr<Storage>> constants;
  std::map<uint64_t, CapturedStorage> captured;
  // Of the plan's memory, one after the other: every run moves all their versions.
  std::vector<std::unique_ptr<StorageIdentity>> identities;
  bool writes_outside = false;
  int checks_left = 0;

  void capture(const Tensors& given);
  void copy_inputs(const Tensors& given);
  void check_call(const Tensors& given) const;
  void play();
};

void Plan::Body::capture(const Tensors& given) {
  pool = std::make_shared<Pool>(device);
  {
    const PoolScope scope(pool);
    for (const Tensor& x : given) {
      inputs.push_back(empty(x.shape(), x.dtype(), x.device()));
      KeepPrepared copying;
      copy_into(inputs.back(), x);
      input_copies.push_back(x.contiguous() ? copying.prepared : nullptr);
    }
    Capture recorder(pool, program);
    outputs = f(inputs);
    for (Tensor& y : outputs) {
      if (!y.defined())
        throw PlanError("plan: the captured function returned an undefined tensor.");
      // A result must not lie in an input buffer: fed back, it would be overwritten while the
      // inputs are copied in.
      for (const Tensor& x : inputs) {
        if (y.storage() == x.storage()) {
          y = copy(y);
          break;
        }
      }
    }
    constants = std::move(recorder.constants);
    captured = std::move(recorder.captured);
    for (auto& [id, identity] : recorder.identities) identities.push_back(std::move(identity));
    writes_outside = recorder.writes_outside;
  }
  replay = device->replay(program);
  checks_left = checks_on() && !writes_outside ? 3 : 0;
}

void Plan::Body::check_call(const Tensors& given) const {
  if (tape_listens()) {
    throw PlanError(
        "plan: a tape listens, and it cannot see inside a replay. Take the gradient inside the "
        "captured "
        "function, or call the function itself.");
  }
  if (given.size() != inputs.size()) {
    throw PlanError(
        concat("plan: captured with ", inputs.size(), " inputs, run with ", given.size(), "."));
  }
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i].shape() != inputs[i].shape() || given[i].dtype() != inputs[i].dtype() ||
        given[i].device() != inputs[i].device()) {
      throw PlanError(concat("plan: input ", i, " was captured as ", describe(inputs[i]), " on ",
                             inputs[i].device().name(), ", run with ", describe(given[i]), " on ",
                             given[i].device().name(), ". Make another plan for it."));
    }
  }
  for (const auto& [id, storage] : captured) {
    if (storage.abandoned()) {
      throw PlanError(
          concat("plan: captured weight ", storage.label().empty() ? "(no name)" : storage.label(),
                 " has been replaced. Update it in place (copy_into), or make the plan again."));
    }
  }
}

void Plan::Body::copy_inputs(const Tensors& given) {
  // An input that is this plan's own result is safe: nothing of the plan has run yet, and no result
  // lies in an input buffer.
  const bool unheard = recorders().empty();
  const MuteTapes quiet;
  for (size_t i = 0; i < given.size(); ++i) {
    if (!unheard || !input_copies[i] || !given[i].contiguous()) {
      copy_into(inputs[i], given[i]);
      continue;
    }
    const Argument arguments[] = {{inputs[i].data(), inputs[i].storage().get()},
                                  {given[i].data(), given[i].storage().get()}};
    input_copies[i]->run(arguments, nullptr);
    inputs[i].storage()->bump_version();
  }
}

void Plan::Body::play() {
  for (const auto& identity : identities) identity->bump_version();
  for (const Tensor& y : outputs)
    y.storage()->bump_version();  // whoever reads them may have packed
  if (replay) {
    replay->run();
    for (const auto& step : program.steps) {
      for (StorageIdentity* storage : step.written) storage->bump_version();
    }
    return;
  }
  for (const auto& step : program.steps) {
    step.prepared->run(step.arguments.data(), step.scratch);
    for (StorageIdentity* storage : step.written) storage->bump_version();
  }
}

Plan::Plan(const Tensors& inputs, const Function& f) : body_(std::make_unique<Body>()) {
  body_->f = f;
  body_->device = inputs.empty() ? default_device() : inputs.front().device();
  if (current_capture) {  // inside another plan: part of it
    body_->inlined = f(inputs);
    return;
  }
  if (tape_listens()) {
    throw PlanError(
        "plan: a tape listens, and it cannot see inside a plan. Capture first, or take the "
        "gradient inside "
        "the captured function.");
  }
  body_->capture(inputs);
}

Plan::~Plan() = default;
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;

const Tensors& Plan::run(const Tensors& inputs) {
  Body& b = *body_;
  if (current_capture) return b.inlined = b.f(inputs);
  if (!b.pool) b.capture(inputs);
  b.check_call(inputs);

  Tensors expected;
  if (b.checks_left > 0) {
    for (const Tensor& y : b.f(inputs)) expected.push_back(copy(y));
  }
  b.copy_inputs(inputs);
  b.play();
  if (b.checks_left > 0) {
    --b.checks_left;
    for (size_t i = 0; i < expected.size(); ++i) {
      if (!same_bits(expected[i], b.outputs[i])) {
        throw PlanError(concat(
            "plan: result ", i, " ", describe(b.outputs[i]),
            " differs from an eager run. The "
            "captured function depends on a number or a branch of the host that has changed."));
      }
    }
  }
  if (!checks_on()) return b.outputs;
  for (const Tensor& old : b.handed_out) {
    if (is_float(old.dtype()))
      copy_into(old, scalar(std::numeric_limits<double>::quiet_NaN(), old.dtype(), old.device()));
  }
  b.handed_out.clear();
  for (const Tensor& y : b.outputs) b.handed_out.push_back(copy(y));
  return b.handed_out;
}

const Tensors& Plan::results() const {
  if (current_capture && !body_->inlined.empty()) return body_->inlined;
  return body_->handed_out.empty() ? body_->outputs : body_->handed_out;
}

size_t Plan::calls() const { return body_->program.steps.size(); }

size_t Plan::pool_bytes() const {
  if (!body_->pool) return 0;
  const MemoryStatistics s = body_->pool->statistics();
  return s.live_bytes + s.cached_bytes;
}

int64_t Plan::pool_allocations() const {
  return body_->pool ? body_->pool->statistics().allocations : 0;
}

}  // namespace slope
