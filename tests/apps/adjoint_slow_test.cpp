// The adjoint gradient of a trained odenet-mnist beside the exact one of the discrete solve, and
// what both cost. Prints the table that docs/gradients.md shows. SLOPE_TRAINED_RUN: a run folder
// whose weights are taken; without it a few steps of training come first.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <numeric>

#include "apps/models/classifier.h"
#include "apps/slope/run_folder.h"
#include "autograd/tape.h"
#include "core/ops.h"
#include "nn/data/idx.h"
#include "nn/train.h"
#include "ode/solver_word.h"
#include "tests/paths.h"

using namespace slope;

namespace {

constexpr int64_t kTrained = 512, kBatch = 64;

const nn::Dataset& digits() {
  static const nn::Dataset data = [] {
    const std::filesystem::path folder = test::source_dir() + "/data/mnist";
    return nn::read_idx(folder / "train-images-idx3-ubyte.gz",
                        folder / "train-labels-idx1-ubyte.gz", 10, "mnist train")
        .first(kTrained);
  }();
  return data;
}

nn::Batch batch_of(int64_t first, int64_t size, Dtype dtype) {
  std::vector<int64_t> indices(static_cast<size_t>(size));
  std::iota(indices.begin(), indices.end(), first);
  return nn::make_batch(digits(), indices, dtype);
}

struct Found {
  Tensor gradient;  // of all parameters, side by side
  ode::Statistics counts;
};
Found gradient(const models::Classifier& model, const nn::Batch& batch, const std::string& solver,
               ode::Gradient mode) {
  std::vector<std::shared_ptr<ode::Statistics>> solves;
  const ode::BlockSettings settings{
      .solver = ode::parse_solver(solver), .gradient = mode, .solves = &solves};
  nn::Pass pass{.training = true};
  Tape tape(model.parameters());
  const Tensor loss = cross_entropy(model.logits(batch.x, pass, settings), batch.labels);
  Tensors flat;
  for (const Tensor& g : tape.gradient(loss, model.parameters())) flat.push_back(g.reshape({-1}));
  REQUIRE(solves.size() == 1);
  return {concatenate(flat, 0), *solves[0]};
}

std::unique_ptr<models::Classifier> trained_model() {
  if (const char* folder = std::getenv("SLOPE_TRAINED_RUN")) {
    program::Run run = program::open_run(folder, {});
    CHECK(run.options.model == "odenet-mnist");
    return std::move(run.model);
  }
  Rng rng(0);
  auto trained = models::make_model("odenet-mnist", nullptr, rng);
  std::vector<std::shared_ptr<ode::Statistics>> solves;
  const ode::BlockSettings settings{.solver = ode::parse_solver("dopri5@1e-3"), .solves = &solves};
  const auto optimizer = nn::make_optimizer("sgd", trained->named_parameters());
  nn::TrainStep step(
      [&](const Tensor& x, nn::Pass& pass) { return trained->logits(x, pass, settings); },
      *optimizer, {.plan = false});
  for (int64_t i = 0; i < kTrained / kBatch; ++i) {
    const nn::Batch batch = batch_of(i * kBatch, kBatch, Dtype::f32);
    step(batch.x, batch.labels, optimizer->numbers(0.05, 0.9, i + 1));
  }
  for (const auto& counts : solves) {
    const int64_t attempts = counts->accepted + counts->rejected;
    CHECK(counts->evaluations == 2 + 6 * attempts);
    CHECK(counts->evaluations_backward == 6 * counts->accepted);  // the exact gradient
  }
  return trained;
}

}  // namespace

TEST_CASE("odenet-mnist: evaluations of dopri5@1e-3, and the adjoint as the tolerance falls") {
  const auto trained = trained_model();

  // In float32, as trained: the adjoint needs no more evaluations on the way back.
  const nn::Batch whole = batch_of(0, kBatch, Dtype::f32);
  std::string table = "\nfloat32, 64 digits\ngradient          forward  backward\n";
  for (ode::Gradient mode : {ode::Gradient::adjoint, ode::Gradient::adjoint_seminorm}) {
    const ode::Statistics n = gradient(*trained, whole, "dopri5@1e-3", mode).counts;
    char line[100];
    std::snprintf(line, sizeof line, "%-16s  %7d  %8d\n", ode::name(mode),
                  static_cast<int>(n.evaluations), static_cast<int>(n.evaluations_backward));
    table += line;
    INFO(line);
    CHECK((n.evaluations - 2) % 6 == 0);
    CHECK((n.evaluations_backward - 2) % 6 == 0);
    CHECK(n.evaluations_backward <= n.evaluations);
  }

  // The same weights in float64, where a small tolerance means something.
  Rng rng(0);
  const auto model = models::make_model("odenet-mnist", nullptr, rng, {.dtype = Dtype::f64});
  const Tensors from = trained->parameters(), to = model->parameters();
  for (size_t i = 0; i < to.size(); ++i) copy_into(to[i], cast(from[i], Dtype::f64));
  const nn::Batch batch = batch_of(0, 4, Dtype::f64);
  table += "float64, 4 digits\ntolerance  gradient          forward  backward  difference\n";
  for (ode::Gradient mode : {ode::Gradient::adjoint, ode::Gradient::adjoint_seminorm}) {
    double before = HUGE_VAL;
    for (const char* tolerance : {"1e-3", "1e-5", "1e-7"}) {
      const std::string solver = std::string("dopri5@") + tolerance;
      const Found exact = gradient(*model, batch, solver, ode::Gradient::checkpointed);
      const Found found = gradient(*model, batch, solver, mode);
      const double difference =
          norm(found.gradient - exact.gradient).item() / norm(exact.gradient).item();
      char line[100];
      std::snprintf(line, sizeof line, "%-9s  %-16s  %7d  %8d  %10.1e\n", tolerance,
                    ode::name(mode), static_cast<int>(found.counts.evaluations),
                    static_cast<int>(found.counts.evaluations_backward), difference);
      table += line;
      CHECK(found.counts.evaluations == exact.counts.evaluations);
      CHECK(difference < before);
      before = difference;
    }
    CHECK(before < 1e-2);  // relu has kinks, where the order of every method is lost
  }
  MESSAGE(table);
}
