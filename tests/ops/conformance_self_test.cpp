// The gate is tested itself: records and kernels that are a little wrong must fail.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>

#include "autograd/functions.h"
#include "backends/reference/host_memory.h"
#include "core/ops.h"
#include "tests/conformance/conformance.h"

using namespace slope;
using test::Conditions;
using test::Report;

namespace {

// A record with something broken. Prepared calls are cached by the record's address, so these live
// as long as the program.
struct Sabotaged : Op {
  explicit Sabotaged(const Op& op) : Op(op), original(&op) {}
  const Op* original;
};

Sabotaged& sabotaged(const Op& op) {
  static std::deque<Sabotaged> all;
  return all.emplace_back(op);
}

const Op& original(const Op& op) { return *static_cast<const Sabotaged&>(op).original; }

// The right gradient of a sabotaged record.
Tensors right_gradient(const Vjp& v) {
  const Op& op = original(v.call.op);
  if (op.vjp) return op.vjp(v);
  Tensors xs;
  for (size_t i = 0; i < v.wanted_inputs.size(); ++i) {
    if (v.wanted_inputs[i]) xs.push_back(v.call.inputs[i]);
  }
  const Tensors cotangents(v.cotangents.begin(), v.cotangents.end());
  const Tensors parts = vjp(
                            [&](const Tensors&) {
                              return op.decompose({op, v.call.inputs, v.call.attributes});
                            },
                            xs, cotangents)
                            .gradients;
  Tensors d(v.wanted_inputs.size());
  size_t next = 0;
  for (size_t i = 0; i < d.size(); ++i) {
    if (v.wanted_inputs[i]) d[i] = parts[next++];
  }
  return d;
}

Tensors scaled(Tensors d, double factor) {
  for (Tensor& x : d) {
    if (x.defined()) x = x * factor;
  }
  return d;
}

bool has_mode(const Op& op, const std::string& mode) {
  const std::vector<std::string> modes = conformance_modes(op);
  return std::find(modes.begin(), modes.end(), mode) != modes.end();
}

bool some_failure_says(const Report& report, const std::string& text) {
  return std::any_of(report.failures.begin(), report.failures.end(),
                     [&](const std::string& f) { return f.find(text) != std::string::npos; });
}

// Host memory and the reference's kernels, one of them broken.
class BrokenBackend final : public HostBackend {
 public:
  enum class Fault { one_wrong_element, other_bits_each_run };

  BrokenBackend(const Op& op, Fault fault) : op_(op), fault_(fault) {}
  std::string name() const override { return "broken"; }

  std::unique_ptr<Prepared> prepare(const Call& call) override {
    std::unique_ptr<Prepared> inner = device("reference")->prepare(call);
    if (!inner || &call.op != &op_) return inner;
    return std::make_unique<BrokenKernel>(std::move(inner), call, fault_);
  }

 private:
  class BrokenKernel final : public Prepared {
   public:
    BrokenKernel(std::unique_ptr<Prepared> inner, const Call& call, Fault fault)
        : inner_(std::move(inner)), fault_(fault) {
      for (int i = 0; i < call.count(); ++i) {
        if ((call.op.writes >> i & 1) && call.has(i)) {
          add_target(i, call.in(i).shape(), call.in(i).dtype());
        }
      }
      int place = call.count();
      for (const OutSpec& spec : call.op.shape(call)) add_target(place++, spec.shape, spec.dtype);
    }
    size_t scratch_bytes() const override { return inner_->scratch_bytes(); }
    void run(const Argument* arguments, void* scratch) override {
      inner_->run(arguments, scratch);
      ++runs_;
      if (targets_.empty()) return;
      const auto& [argument, size, dtype] = targets_.front();
      const int64_t element = size / 2;
      const int change = fault_ == Fault::one_wrong_element ? 1 : runs_;
      dispatch_any(dtype, [&]<typename T>() {
        static_cast<T*>(arguments[argument].data)[element] += static_cast<T>(change);
      });
    }

   private:
    struct Target {
      int argument;
      int64_t size;
      Dtype dtype;
    };
    void add_target(int argument, const Shape& shape, Dtype dtype) {
      if (shape.size() > 0) targets_.push_back({argument, shape.size(), dtype});
    }
    std::unique_ptr<Prepared> inner_;
    Fault fault_;
    std::vector<Target> targets_;
    int runs_ = 0;
  };

  const Op& op_;
  Fault fault_;
};

Report with_broken_kernel(const Op& op, BrokenBackend::Fault fault, const std::string& mode) {
  static std::deque<BrokenBackend> all;  // never destroyed before their cached kernels
  const Device broken(&all.emplace_back(op, fault));
  return check_conformance(op, mode, Conditions{.device = broken});
}

// Ops without a kernel anywhere (conv1d is a conv2d) are their pieces: their rules never run.
bool has_kernel(const Op& op, Device device) {
  const Sample sample = op.samples().front();
  Tensors inputs;
  const DeviceScope here(device);
  for (const SampleInput& input : sample.inputs) {
    inputs.push_back(input.undefined ? Tensor()
                                     : zeros(input.shape, input.integer ? Dtype::i32 : Dtype::f32));
  }
  return op.view || device->prepare({op, inputs, sample.attributes}) != nullptr;
}

}  // namespace

TEST_CASE("the suite fails every gradient rule that is off by one percent") {
  const Conditions on{.device = default_device()};
  int rules = 0;
  for (const Op* op : all_ops()) {
    if (!has_mode(*op, "gradient") || !has_kernel(*op, on.device)) continue;
    CAPTURE(std::string(op->name));
    Sabotaged& wrong = sabotaged(*op);
    wrong.vjp = [](const Vjp& v) { return scaled(right_gradient(v), 1.01); };
    wrong.keeps = kInputs | kOutputs;
    CHECK(some_failure_says(check_conformance(wrong, "gradient", on), "central differences"));
    ++rules;
  }
  CHECK(rules > 50);
}

TEST_CASE("the suite fails every gradient rule whose own gradient is off by one percent") {
  const Conditions on{.device = default_device()};
  for (const Op* op : all_ops()) {
    if (!has_mode(*op, "second-gradient") || !has_kernel(*op, on.device)) continue;
    CAPTURE(std::string(op->name));
    Sabotaged& wrong = sabotaged(*op);
    wrong.vjp = [](const Vjp& v) {
      return scaled(right_gradient(v), v.differentiable ? 1.01 : 1.0);
    };
    wrong.keeps = kInputs | kOutputs;
    CHECK(check_conformance(wrong, "gradient", on).failures.empty());
    CHECK(
        some_failure_says(check_conformance(wrong, "second-gradient", on), "central differences"));
  }
}

TEST_CASE("the suite fails a decomposition that is off by 1e-4") {
  const Conditions on{.device = default_device()};
  int decompositions = 0;
  for (const Op* op : all_ops()) {
    if (!op->decompose || op->writes || !has_kernel(*op, on.device)) continue;
    CAPTURE(std::string(op->name));
    Sabotaged& wrong = sabotaged(*op);
    wrong.decompose = [](const Call& c) {
      const Op& op = original(c.op);
      Tensors outputs = op.decompose({op, c.inputs, c.attributes});
      outputs.front() = outputs.front() + 1e-4;
      return outputs;
    };
    CHECK_FALSE(check_conformance(wrong, "decompose", on).failures.empty());
    ++decompositions;
  }
  CHECK(decompositions > 20);
}

TEST_CASE("the suite fails every kernel with one wrong element") {
  int kernels = 0;
  for (const Op* op : all_ops()) {
    if (op->view || !has_kernel(*op, device("reference"))) continue;
    CAPTURE(std::string(op->name));
    const Report report = with_broken_kernel(*op, BrokenBackend::Fault::one_wrong_element, "value");
    CHECK_FALSE(report.failures.empty());
    ++kernels;
  }
  CHECK(kernels > 50);
}

TEST_CASE("the suite fails kernels that give other bits on another run") {
  const auto fault = BrokenBackend::Fault::other_bits_each_run;
  for (const Op* op : all_ops()) {
    if (op->view || !has_kernel(*op, device("reference"))) continue;
    CAPTURE(std::string(op->name));
    CHECK_FALSE(with_broken_kernel(*op, fault, "plan").failures.empty());
    CHECK(some_failure_says(with_broken_kernel(*op, fault, "threads"), "other bits"));
  }
}

TEST_CASE("the suite refuses an op without samples, and a mode that does not exist") {
  const Conditions on{.device = default_device()};
  const Op& tanh = **std::find_if(all_ops().begin(), all_ops().end(),
                                  [](const Op* op) { return std::string(op->name) == "tanh"; });
  Sabotaged& without = sabotaged(tanh);
  without.samples = nullptr;
  CHECK(some_failure_says(check_conformance(without, "value", on), "has no samples"));
  Sabotaged& with_none = sabotaged(tanh);
  with_none.samples = [] { return Samples{}; };
  CHECK(some_failure_says(check_conformance(with_none, "value", on), "has no samples"));
  // Samples that never reach the mode prove nothing either.
  Sabotaged& integers_only = sabotaged(tanh);
  integers_only.samples = [] { return Samples{{{{{2}, 0, 3, true}}, PointwiseParameters{}}}; };
  CHECK_FALSE(check_conformance(integers_only, "gradient", on).failures.empty());
  CHECK(some_failure_says(check_conformance(tanh, "gradients", on), "no such mode"));
  CHECK(check_conformance(tanh, on).failures.empty());
}
