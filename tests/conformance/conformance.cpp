#include "tests/conformance/conformance.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autograd/gradcheck.h"
#include "core/exact.h"
#include "core/ops.h"
#include "core/plan.h"
#include "core/storage.h"
#include "tests/conformance/sample_data.h"
#include "tests/core/plan_checks.h"

namespace slope::test {
namespace {

constexpr Dtype kFloats[] = {Dtype::f32, Dtype::f64};

// One op in one mode: the report under way, and where in the samples we are.
struct Check {
  const Op& op;
  const std::string mode;
  const Conditions& on;
  Report report = {};
  int enlarged_samples = 0;  // so far, in mode threads
  std::string place = {};    // "sample 2 (inputs (2, 3), (3)), float32, permuted"

  void fail(const std::string& what) {
    report.failures.push_back(
        concat(op.name, ", ", mode, ", ", on.device.name(), ", ", place, ": ", what));
  }
  void expect(bool holds, const std::string& what) {
    ++report.checks;
    if (!holds) fail(what);
  }
};

template <typename... Parts>
std::string where(size_t sample_index, const Sample& sample, const Parts&... parts) {
  std::string text = concat("sample ", sample_index, " (", describe(sample), ")");
  ((text += concat(", ", parts)), ...);
  return text;
}

// ---- running an op ------------------------------------------------------------------------------

// Notes the hidden outputs of an op's kernel.
class HiddenOutputs final : public Recorder {
 public:
  explicit HiddenOutputs(const Op& op) : op_(op), scope_(*this) {}
  void record(const Recorded& recorded) override {
    if (&recorded.call.op != &op_ || !recorded.prepared) return;
    const auto visible = std::min(recorded.outputs.size(), static_cast<size_t>(op_.visible));
    hidden.assign(recorded.outputs.begin() + static_cast<std::ptrdiff_t>(visible),
                  recorded.outputs.end());
  }
  Tensors hidden;

 private:
  const Op& op_;
  RecorderScope scope_;
};

struct Results {
  Tensors visible;  // outputs, then the inputs that the op has written
  Tensors hidden;
};

void add_written(const Op& op, const Tensors& inputs, Tensors& results) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if ((op.writes >> i & 1) && inputs[i].defined()) results.push_back(inputs[i]);
  }
}

Results run(const Op& op, const Tensors& inputs, const Sample& sample, Device device) {
  const DeviceScope here(device);  // for ops without inputs
  Results results;
  const HiddenOutputs recorder(op);
  results.visible = apply_all(op, inputs, sample.attributes);
  results.hidden = recorder.hidden;
  add_written(op, inputs, results.visible);
  return results;
}

// Inputs in one of the layouts. What an op writes must be contiguous, unless its kernel sees
// strides; it is never an expanded tensor.
Tensors lay_out(const Op& op, const HostInputs& inputs, Dtype dtype, Layout layout, Device device) {
  Tensors tensors;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool written = op.writes >> i & 1;
    const bool plain = written && (!op.strided || layout == Layout::expanded);
    tensors.push_back(to_tensor(inputs[i], dtype, plain ? Layout::contiguous : layout, device));
  }
  return tensors;
}

HostInputs draw_for(const Op& op, const Sample& sample, Layout layout, const Drawing& drawing) {
  HostInputs inputs = draw(op, sample, drawing);
  if (layout == Layout::expanded) {
    for (HostInput& input : inputs) repeat_values(input);
  }
  return inputs;
}

// ---- comparing ----------------------------------------------------------------------------------

// Empty, or what differs.
std::string difference(const Tensor& got, const Tensor& expected, double tolerance) {
  if (got.shape() != expected.shape()) {
    return concat("got ", describe(got), ", expected ", describe(expected));
  }
  const std::vector<double> a = got.values(), b = expected.values();
  double scale = 1;
  for (const double v : b) {
    if (std::isfinite(v)) scale = std::max(scale, std::abs(v));
  }
  const double allowed = is_float(got.dtype()) ? tolerance * scale : 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const bool equal = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    if (equal || std::abs(a[i] - b[i]) <= allowed) continue;
    std::ostringstream text;
    text.precision(17);
    text << "value " << i << " of " << describe(got) << " is " << a[i] << ", expected " << b[i]
         << ", " << std::abs(a[i] - b[i]) << " apart, allowed " << allowed;
    return text.str();
  }
  return {};
}

void expect_close(Check& check, const char* what, const Tensors& got, const Tensors& expected,
                  double tolerance_f32, double tolerance_f64) {
  check.expect(got.size() == expected.size(),
               concat(got.size(), " ", what, "s, expected ", expected.size()));
  for (size_t i = 0; i < std::min(got.size(), expected.size()); ++i) {
    const double tolerance = got[i].dtype() == Dtype::f64 ? tolerance_f64 : tolerance_f32;
    const std::string text = difference(got[i], expected[i], tolerance);
    check.expect(text.empty(), concat(what, " ", i, ": ", text));
  }
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  return dispatch_any(a.dtype(), [&]<typename T>() {
    const auto x = a.to_vector<T>(), y = b.to_vector<T>();
    return x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0;
  });
}

void expect_same_bits(Check& check, const char* what, const Tensors& got, const Tensors& expected) {
  check.expect(got.size() == expected.size(),
               concat(what, ": ", got.size(), " results, expected ", expected.size()));
  for (size_t i = 0; i < std::min(got.size(), expected.size()); ++i) {
    check.expect(same_bits(got[i], expected[i]),
                 concat(what, ": result ", i, " ", describe(got[i]), " has other bits"));
  }
}

bool same_bits(const Tensors& a, const Tensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return same_bits(x, y); });
}

// Empty, or how far got is outside of the band for fast kernels.
std::string outside_band(const Tensor& got, const Tensor& expected, const Tolerances& allowed) {
  const std::vector<double> a = got.values(), b = expected.values();
  double errors = 0, values = 0, largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double error = std::abs(a[i] - b[i]);
    errors += error * error, values += b[i] * b[i];
    largest = error <= largest ? largest : error;  // NaN counts as larger
  }
  const double rms = std::sqrt(errors / values);
  const double most = largest / std::sqrt(values / static_cast<double>(a.size()));
  if (errors == 0 || (rms <= allowed.fast_rms && most <= allowed.fast_largest)) return {};
  return concat(describe(got), " errs by ", rms, " (rms; allowed ", allowed.fast_rms, ") and by ",
                most, " (largest; allowed ", allowed.fast_largest, ") of the expected rms");
}

// Computes twice: as it is, and by exact kernels. Where the two differ, the fast results must be in
// their band. Returns those that have to be close: the exact ones.
template <typename F>
Tensors exact_results(Check& check, const char* what, const F& compute, const Tensors& expected) {
  const Tensors fast = compute();
  const ExactScope scope;
  Tensors exact = compute();
  if (same_bits(fast, exact)) return exact;
  for (size_t i = 0; i < std::min(fast.size(), expected.size()); ++i) {
    if (fast[i].dtype() != Dtype::f32 || fast[i].shape() != expected[i].shape()) continue;
    const std::string text = outside_band(fast[i], expected[i], check.on.tolerances);
    check.expect(text.empty(), concat("fast ", what, " ", i, ": ", text));
  }
  return exact;
}

// ---- functions of an op's float inputs ----------------------------------------------------------

// The op as a function of some of its inputs, the others fixed.
struct Partial {
  const Op& op;
  const Sample& sample;
  Tensors inputs;
  std::vector<size_t> places = {};  // of the inputs that are the function's arguments

  Tensors arguments() const {
    Tensors xs;
    for (const size_t place : places) xs.push_back(inputs[place]);
    return xs;
  }
  Tensors filled(const Tensors& xs) const {
    Tensors all = inputs;
    for (size_t i = 0; i < places.size(); ++i) all[places[i]] = xs[i];
    return all;
  }
  Tensors operator()(const Tensors& xs) const {
    return apply_all(op, filled(xs), sample.attributes);
  }
};

Partial of_floats(const Op& op, const Sample& sample, Tensors inputs) {
  Partial f{op, sample, std::move(inputs)};
  for (size_t i = 0; i < f.inputs.size(); ++i) {
    if (f.inputs[i].defined() && is_float(f.inputs[i].dtype())) f.places.push_back(i);
  }
  return f;
}

// Cotangents for the float outputs of f, the same on every device and in every layout.
Tensors cotangents_like(const Tensors& outputs) {
  Tensors cotangents;
  for (const Tensor& y : outputs) {
    if (!is_float(y.dtype())) {
      cotangents.emplace_back();
      continue;
    }
    std::vector<double> values;
    for (int64_t i = 0; i < y.size(); ++i) {
      values.push_back(static_cast<double>((i * 37 + 11) % 64) / 32 - 1);
    }
    cotangents.push_back(tensor(values, y.shape(), y.dtype(), y.device()));
  }
  return cotangents;
}

bool has_gradient(const Op& op) {
  const std::vector<std::string> modes = conformance_modes(op);
  return std::find(modes.begin(), modes.end(), "gradient") != modes.end();
}

// Outputs and gradients at the function's arguments.
Tensors forward_and_backward(const Partial& f, const Tensors& xs) {
  const Tensors cotangents = cotangents_like(f(xs));
  VjpResult result = vjp([&](const Tensors& given) { return f(given); }, xs, cotangents);
  for (Tensor& d : result.gradients) result.outputs.push_back(std::move(d));
  return std::move(result.outputs);
}

// ---- the modes ----------------------------------------------------------------------------------

void check_value(Check& check, const Sample& sample, size_t index) {
  const Conditions& on = check.on;
  const auto compare = [&](Layout layout, const Drawing& drawing, const char* values) {
    const HostInputs drawn = draw_for(check.op, sample, layout, drawing);
    const Results expected =
        run(check.op, to_tensors(drawn, Dtype::f64, on.oracle), sample, on.oracle);
    for (const Dtype dtype : kFloats) {
      check.place = where(index, sample, dtype, name(layout), values);
      Results got;
      const auto compute = [&] {
        got = run(check.op, lay_out(check.op, drawn, dtype, layout, on.device), sample, on.device);
        return got.visible;
      };
      const Tensors visible = exact_results(check, "output", compute, expected.visible);
      expect_close(check, "output", visible, expected.visible, on.tolerances.value_f32,
                   on.tolerances.value_f64);
      // A device that decomposes the op has no hidden outputs.
      if (!got.hidden.empty() && !expected.hidden.empty()) {
        expect_close(check, "hidden output", got.hidden, expected.hidden, on.tolerances.value_f32,
                     on.tolerances.value_f64);
      }
    }
  };
  for (const Layout layout : kLayouts) compare(layout, {}, "values");
  compare(Layout::contiguous, {.round = 1, .coarse = true}, "coarse values");
}

void check_decompose(Check& check, const Sample& sample, size_t index) {
  const Conditions& on = check.on;
  for (const bool coarse : {false, true}) {
    const HostInputs drawn = draw(check.op, sample, {.round = coarse ? 1 : 0, .coarse = coarse});
    for (const Dtype dtype : kFloats) {
      check.place = where(index, sample, dtype, coarse ? "coarse values" : "values");
      const Tensors inputs = to_tensors(drawn, dtype, on.device);
      Tensors pieces = check.op.decompose({check.op, inputs, sample.attributes});
      add_written(check.op, inputs, pieces);
      const ExactScope exact;
      const Results whole = run(check.op, to_tensors(drawn, dtype, on.device), sample, on.device);
      expect_close(check, "output", whole.visible, pieces, on.tolerances.decompose_f32,
                   on.tolerances.decompose_f64);
    }
  }
}

void check_gradient(Check& check, const Sample& sample, size_t index) {
  const Conditions& on = check.on;
  const HostInputs drawn = draw(check.op, sample);
  const Partial f = of_floats(check.op, sample, to_tensors(drawn, Dtype::f64, on.device));
  if (f.places.empty()) return;
  check.place = where(index, sample, "float64");
  const GradcheckResult result = gradcheck(f, f.arguments());
  check.expect(result.passed, result.message);

  for (const Layout layout : kLayouts) {
    const HostInputs values = draw_for(check.op, sample, layout, {});
    const Partial oracle = of_floats(check.op, sample, to_tensors(values, Dtype::f64, on.oracle));
    const Tensors expected = forward_and_backward(oracle, oracle.arguments());
    for (const Dtype dtype : kFloats) {
      check.place = where(index, sample, dtype, name(layout));
      const Partial g =
          of_floats(check.op, sample, lay_out(check.op, values, dtype, layout, on.device));
      const auto compute = [&] { return forward_and_backward(g, g.arguments()); };
      const Tensors got = exact_results(check, "output or gradient", compute, expected);
      expect_close(check, "output or gradient", got, expected, on.tolerances.gradient_f32,
                   on.tolerances.gradient_f64);
    }
  }
}

void check_second_gradient(Check& check, const Sample& sample, size_t index) {
  const Tensors inputs = to_tensors(draw(check.op, sample), Dtype::f64, check.on.device);
  const Partial f = of_floats(check.op, sample, inputs);
  if (f.places.empty()) return;
  check.place = where(index, sample, "float64");
  const GradcheckResult result = gradcheck_second(f, f.arguments());
  check.expect(result.passed, result.message);
}

int64_t requests_so_far(Device device) { return Storage(device, 1).pool()->statistics().requests; }

// Captures f at `first`, replays it at `second`, compares with f itself.
void check_replay(Check& check, const char* what, const Tensors& first, const Tensors& second,
                  const Plan::Function& f) {
  const PlanChecks off(false);  // they would run eagerly beside the replays
  Tensors at_first, at_second;
  for (const Tensor& y : f(first)) at_first.push_back(y.clone());
  for (const Tensor& y : f(second)) at_second.push_back(y.clone());
  Plan plan(first, f);
  expect_same_bits(check, what, plan.results(), at_first);
  plan.run(first);
  const int64_t pool_before = plan.pool_allocations();
  const int64_t device_before = requests_so_far(check.on.device);
  plan.run(second);
  const int64_t taken = requests_so_far(check.on.device) - device_before - 1;
  check.expect(plan.pool_allocations() == pool_before && taken == 0,
               concat(what, ": a replay took ", taken, " blocks of memory"));
  expect_same_bits(check, what, plan.results(), at_second);
  plan.run(first);
  expect_same_bits(check, what, plan.results(), at_first);
}

void check_plan(Check& check, const Sample& sample, size_t index) {
  for (const Dtype dtype : kFloats) {
    check.place = where(index, sample, dtype);
    Partial f{check.op, sample, to_tensors(draw(check.op, sample), dtype, check.on.device)};
    for (size_t i = 0; i < f.inputs.size(); ++i) {
      if (f.inputs[i].defined()) f.places.push_back(i);
    }
    const Tensors first = f.arguments();
    f.inputs = to_tensors(draw(check.op, sample, {.round = 2}), dtype, check.on.device);
    const Tensors second = f.arguments();
    const auto forward = [&f](const Tensors& given) {
      Tensors inputs = f.filled(given);  // what is written is written in a copy
      for (size_t i = 0; i < inputs.size(); ++i) {
        if ((f.op.writes >> i & 1) && inputs[i].defined()) inputs[i] = copy(inputs[i]);
      }
      Tensors results = apply_all(f.op, inputs, f.sample.attributes);
      add_written(f.op, inputs, results);
      return results;
    };
    check_replay(check, "forward", first, second, forward);
    if (!has_gradient(check.op)) continue;

    const Partial g = of_floats(check.op, sample, f.inputs);
    if (g.places.empty()) continue;
    // Integer inputs and cotangents stay fixed: they are what the plan captures from outside.
    Tensors first_floats;
    for (size_t i = 0; i < first.size(); ++i) {
      if (is_float(first[i].dtype())) first_floats.push_back(first[i]);
    }
    const Tensors cotangents = cotangents_like(g(first_floats));
    check_replay(check, "gradient", first_floats, g.arguments(), [&](const Tensors& xs) {
      VjpResult result = vjp(g, xs, cotangents);
      for (Tensor& d : result.gradients) result.outputs.push_back(std::move(d));
      return std::move(result.outputs);
    });
  }
}

constexpr int kEnlargedSamples = 2;  // enough for an op; each runs six times

void check_threads(Check& check, const Sample& sample, size_t index) {
  Samples variants = {sample};
  if (check.on.set_threads && check.enlarged_samples < kEnlargedSamples) {
    const Samples larger = enlarged(check.op, sample);
    check.enlarged_samples += static_cast<int>(larger.size());
    variants.insert(variants.end(), larger.begin(), larger.end());
  }
  std::vector<Tensors> expected;
  for (const int threads : {1, 2, 8}) {  // outermost: starting and ending threads is slow
    if (check.on.set_threads) check.on.set_threads(threads);
    size_t next = 0;
    for (const Sample& variant : variants) {
      const HostInputs drawn = draw(check.op, variant);
      for (const Dtype dtype : kFloats) {
        check.place = where(index, variant, dtype, concat(threads, " threads"));
        const Tensors inputs = to_tensors(drawn, dtype, check.on.device);
        Tensors got = run(check.op, inputs, variant, check.on.device).visible;
        if (has_gradient(check.op)) {
          const Partial f = of_floats(check.op, variant, inputs);
          for (Tensor& d : forward_and_backward(f, f.arguments())) got.push_back(std::move(d));
        }
        if (threads == 1) expected.push_back(got);
        expect_same_bits(check, "on another run", got, expected[next++]);
      }
    }
  }
}

using Mode = void (*)(Check&, const Sample&, size_t);
struct NamedMode {
  const char* name;
  Mode check;
};
constexpr NamedMode kModes[] = {
    {"value", check_value},       {"decompose", check_decompose},
    {"gradient", check_gradient}, {"second-gradient", check_second_gradient},
    {"plan", check_plan},         {"threads", check_threads}};

}  // namespace

Device Conditions::device_of_oracle() { return slope::device("reference"); }

Report check_conformance(const Op& op, const std::string& mode, const Conditions& on) {
  Check check{op, mode, on};
  check.place = "all samples";
  const auto known = std::find_if(std::begin(kModes), std::end(kModes),
                                  [&](const NamedMode& m) { return mode == m.name; });
  if (known == std::end(kModes)) {
    check.fail("the suite has no such mode");
    return check.report;
  }
  const Samples samples = op.samples ? op.samples() : Samples();
  if (samples.empty()) {
    check.fail("the record has no samples, so nothing is tested. Give it some.");
    return check.report;
  }
  const DeviceScope here(on.device);  // where ops without inputs run
  for (size_t i = 0; i < samples.size(); ++i) {
    try {
      known->check(check, samples[i], i);
    } catch (const std::exception& error) {
      check.expect(false, concat("threw: ", error.what()));
    }
  }
  if (check.report.checks == 0) check.fail("no sample fits this mode, so nothing is tested");
  return check.report;
}

Report check_conformance(const Op& op, const Conditions& on) {
  Report all;
  for (const std::string& mode : conformance_modes(op)) {
    Report report = check_conformance(op, mode, on);
    all.checks += report.checks;
    all.failures.insert(all.failures.end(), report.failures.begin(), report.failures.end());
  }
  return all;
}

}  // namespace slope::test
