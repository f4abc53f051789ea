#include <algorithm>
#include <chrono>
#include <cmath>

#include "apps/problems/problem_solve.h"
#include "apps/slope/attack_word.h"
#include "apps/slope/call_costs.h"
#include "apps/slope/commands.h"
#include "apps/slope/data_source.h"
#include "apps/slope/evaluation.h"
#include "apps/slope/output.h"
#include "backends/cpu/peak.h"
#include "core/ops.h"
#include "core/storage.h"
#include "ode/solver_word.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;

struct BenchCommand {
  std::string what;
  std::string model = "odenet-mnist", data;
  std::string problem = "lotka-volterra";
  std::string attack = "fgsm,eps=0.1";
  std::string solver = "rk4:1";
  std::string gradient = "through", stepping = "shared";
  double until = 0;  // 0: the problem's own end
  int64_t batch = 128;
  int64_t samples = 20;
};

struct Case {
  std::string name;
  std::function<void()> step;
  std::function<double()> nfe;
  std::function<double()> nfe_backward = [] { return 0.0; };
  CallCosts costs = {};
};

Json measure(const Case& c, int64_t samples) {
  using Clock = std::chrono::steady_clock;
  c.step();  // captured before; this one warms up
  std::vector<double> milliseconds;
  for (int64_t i = 0; i < samples; ++i) {
    const auto start = Clock::now();
    c.step();
    milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  return {{"name", c.name},
          {"min_ms", milliseconds.front()},
          {"median_ms", milliseconds[milliseconds.size() / 2]},
          {"samples", samples},
          {"nfe", c.nfe()},
          {"nfe_backward", c.nfe_backward()},
          {"gflop", c.costs.flops / 1e9},
          {"gbytes", c.costs.bytes / 1e9},
          {"calls", c.costs.calls},
          {"host_reads", c.costs.host_reads},
          {"h100_predicted_ms", c.costs.predicted_seconds() * 1e3}};
}

// One training, evaluation or attack step of a model on random data.
Json bench_model(const BenchCommand& c, const Settings& settings) {
  const Dtype dtype = settings.value_dtype();
  Rng rng(settings.seed);
  std::optional<models::InputFacts> facts;  // of the model's own data without --data
  if (!c.data.empty()) {
    const nn::Dataset test = load_data(c.data, settings.data_dir, settings.seed).test;
    facts = {test.sample, test.classes};
  }
  const auto model = models::make_model(c.model, facts ? &*facts : nullptr, rng, {.dtype = dtype});
  Shape shape{c.batch};
  for (int64_t n : model->facts().sample) shape.push_back(n);
  const Tensor x = uniform(make_key(settings.seed, 1, 0), shape, dtype);
  std::vector<int32_t> classes(static_cast<size_t>(c.batch));
  for (size_t i = 0; i < classes.size(); ++i)
    classes[i] = static_cast<int32_t>(rng.below(static_cast<uint64_t>(model->facts().classes)));
  const Tensor labels = from_host(classes, {c.batch});

  SolveMeter meter;
  const ode::GradientChoice gradient = ode::parse_gradient_word(c.gradient);
  const ode::BlockSettings solve{.solver = ode::parse_solver(c.solver),
                                 .steps = ode::parse_batch_steps(c.stepping),
                                 .gradient = gradient.gradient,
                                 .gradient_options = gradient.options,
                                 .solves = meter.sink()};
  const bool plan = can_be_captured(solve.solver) || !model->has_ode();
  const auto logits = [&](const Tensor& images, nn::Pass& pass) {
    return model->logits(images, pass, solve);
  };
  const auto optimizer = nn::make_optimizer("sgd", model->named_parameters());
  nn::TrainStep train(logits, *optimizer, {.plan = plan});
  nn::EvaluationStep evaluate(logits, plan);
  const Attack attack = parse_attack(c.attack, {}, settings.seed);
  nn::Target target(
      [&](const Tensor& image) {
        nn::Pass pass;
        return logits(image, pass);
      },
      {.plan = plan, .draws = attack.draws});

  int64_t step = 0;
  Case one{.name = concat(c.what, " ", model->word(), " ", c.solver, " b", c.batch),
           .step = {},
           .nfe = {},
           .nfe_backward = {}};
  one.nfe = [&] { return meter.forward(); };
  one.nfe_backward = [&] { return meter.backward(); };
  if (c.what == "train-step") {
    one.step = [&] {
      const Tensors keys = nn::step_keys(settings.seed, model->key_count(), step++);
      train(x, labels, optimizer->numbers(0.01, 0.9, step), keys);
      meter.end_pass();
    };
  } else if (c.what == "eval-step") {
    one.step = [&] {
      evaluate(x, labels);
      meter.end_pass();
    };
  } else {
    one.step = [&] {
      attack.run(target, {.x = x, .labels = labels});
      meter.end_pass();
    };
  }
  const Device device = default_device();
  {
    CostCounter counter;
    one.step();
    one.costs = counter.costs;
  }
  const MemoryStatistics before = memory_statistics(device);
  const int64_t plan_before = train.plan_allocations();
  Json result = measure(one, c.samples);
  const MemoryStatistics after = memory_statistics(device);
  result["device_allocations"] =
      after.allocations - before.allocations + train.plan_allocations() - plan_before;
  result["bytes_peak"] = after.peak_bytes + train.plan_bytes() + target.plan_bytes();
  return result;
}

// A built-in problem from 0 to its end, the kernels of its steps captured before.
Json bench_solve(const BenchCommand& c, const Settings& settings) {
  const Dtype dtype = settings.dtype_given ? settings.value_dtype() : Dtype::f64;
  const problems::Problem problem = problems::make_problem(c.problem, dtype);
  if (!problem.events.empty())
    throw ValueError(
        concat("bench: ", problem.name, " has events; bench solve has problems without."));
  const Tensor y0 = problems::batch_start(problem, c.batch, dtype);
  const std::vector<double> times{0, c.until > 0 ? c.until : problem.end};
  const ode::Solver solver = ode::parse_solver(c.solver);
  const bool own_steps = ode::parse_batch_steps(c.stepping) == ode::BatchSteps::per_sample;
  ode::StepPlans plans;
  double evaluations = 0;
  const auto check = [&](ode::Status status, const std::string& message) {
    if (status != ode::Status::success)
      throw SolveError(concat("bench: ", problem.name, " with ", c.solver, ": ", message));
  };
  Case one{.name = concat("solve ", problem.name, " ", c.solver, own_steps ? " per-sample" : "",
                          " b", c.batch),
           .step = {},
           .nfe = [&] { return evaluations; }};
  one.step = [&] {
    if (own_steps) {
      const ode::PerSampleSolution s =
          ode::solve_per_sample(problem.field, y0, {times}, solver, {.plans = &plans});
      for (size_t i = 0; i < s.statuses.size(); ++i) check(s.statuses[i], s.messages[i]);
      evaluations = static_cast<double>(s.total->evaluations) / static_cast<double>(c.batch);
    } else {
      const ode::Solution s = ode::solve(problem.field, y0, times, solver, {.plans = &plans});
      check(s.status, s.message);
      evaluations = static_cast<double>(s.statistics->evaluations);
    }
  };
  {
    CostCounter counter;
    one.step();
    one.costs = counter.costs;
  }
  Json result = measure(one, c.samples);
  result["bytes_peak"] = memory_statistics(default_device()).peak_bytes + plans.bytes();
  return result;
}

// Kernels alone, as eager calls: time per call.
Json bench_ops(const BenchCommand& c, const Settings& settings,
               const std::function<void()>& after) {
  const Dtype dtype = settings.value_dtype();
  const Tensor key = make_key(settings.seed, 2, 0);
  const auto random = [&](const Shape& s) { return uniform(key, s, dtype); };
  const int64_t n = c.batch;
  const Tensor image = random({n, 6, 6, 64}), weight = random({64, 3, 3, 64}), scale = random({64});
  const Tensor a = random({512, 512}), b = random({512, 512}), points = random({n, 32}),
               w = random({32, 32});
  const std::pair<std::string, std::function<Tensor()>> calls[] = {
      {concat("conv2d 64->64 3x3 ", n, "x6x6"),
       [&] {
         return conv2d(image, weight, {}, {.padding = {1, 1}});
       }},
      {concat("conv2d_data_gradient 64->64 3x3 ", n, "x6x6"),
       [&] {
         return conv2d_data_gradient(image, weight, image.shape(), {.padding = {1, 1}});
       }},
      {concat("conv2d_weight_gradient 64->64 3x3 ", n, "x6x6"),
       [&] {
         return conv2d_weight_gradient(image, image, weight.shape(), {.padding = {1, 1}});
       }},
      {concat("group_norm + relu ", n, "x6x6x64"),
       [&] { return group_norm(image, scale, scale, 32, {.activation = Activation::relu}); }},
      {"matmul 512x512x512", [&] { return matmul(a, b); }},
      {concat("linear ", n, "x32x32"), [&] { return linear(points, w); }},
      {concat("tanh ", n, "x32"), [&] { return tanh(points); }},
      {concat("add ", n, "x6x6x64"), [&] { return add(image, image); }}};
  Json cases = Json::array();
  for (const auto& [name, call] : calls) {
    CostCounter counter;
    call();
    Case one{.name = name,
             .step = [&call = call] { call(); },
             .nfe = [] { return 0.0; },
             .costs = counter.costs};
    cases.push_back(measure(one, c.samples * 10));
    after();
  }
  return cases;
}

int run(const BenchCommand& c, const Settings& settings) {
  apply_settings(settings);
  // The best of several measurements, before and after each case: what else the machine does must
  // not make the peak low, and so a case look good.
  double peak = 0;
  const auto measure_peak = [&] {
    for (int i = 0; i < 3; ++i) {
      peak = std::max(peak, settings.value_dtype() == Dtype::f32 ? cpu::measure_peak_float32()
                                                                 : cpu::measure_peak_float64());
    }
  };
  measure_peak();
  Json cases = c.what == "ops"     ? bench_ops(c, settings, measure_peak)
               : c.what == "solve" ? Json::array({bench_solve(c, settings)})
                                   : Json::array({bench_model(c, settings)});
  measure_peak();
  for (Json& r : cases) r["peak_gflops"] = peak / 1e9;
  if (settings.json) {
    print_json({{"cases", cases}});
    return 0;
  }
  std::vector<std::vector<std::string>> rows{
      {"case", "min ms", "median ms", "NFE", "GFLOP/s", "of peak", "peak MB"}};
  for (const Json& r : cases) {
    const double rate = r["gflop"].get<double>() / r["min_ms"].get<double>() * 1e3;
    const auto text = [](const char* format, double v) {
      char t[32];
      std::snprintf(t, sizeof t, format, v);
      return std::string(t);
    };
    rows.push_back(
        {r["name"], text("%.4g", r["min_ms"]), text("%.4g", r["median_ms"]), text("%.4g", r["nfe"]),
         rate > 0 ? text("%.1f", rate) : "",
         rate > 0 ? percent(rate / r["peak_gflops"].get<double>()) : "",
         r.contains("bytes_peak") ? text("%.0f", r["bytes_peak"].get<double>() / 1e6) : ""});
  }
  print(table_text(rows));
  return 0;
}

}  // namespace

Command bench_command(CLI::App& program, Settings& settings) {
  auto v = std::make_shared<BenchCommand>();
  CLI::App* app = add_command(
      program, "bench", "Times of training, evaluation and attack steps, of solves and of kernels");
  auto options = std::make_shared<OptionList>(*app);
  options
      ->add("what", v->what, "train-step, eval-step, attack-step, solve or ops",
            one_of({"train-step", "eval-step", "attack-step", "solve", "ops"}))
      ->required();
  options->add("--model", v->model, "Model (slope info models)");
  options->add("--data", v->data,
               "Data set whose shape the samples have; default: the model's own");
  options->add("--attack", v->attack, "Attack of attack-step");
  options->add("--problem", v->problem,
               "Problem of solve, in float64 unless --dtype says otherwise (slope info problems)");
  options->add("--until", v->until, "End time of solve; 0: the problem's own", not_negative());
  options->add("--solver", v->solver, "Solver");
  options->add("--gradient", v->gradient, "How to differentiate the solve");
  options->add("--stepping", v->stepping, "Adaptive steps: shared, or per-sample");
  options->add("--batch", v->batch, "Samples per step", positive());
  options->add("--samples", v->samples, "Measured steps", positive());
  return {app, options, [v, &settings] { return run(*v, settings); }};
}

}  // namespace slope::program
