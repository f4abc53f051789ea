// The average of the weights: its values, its exchange with the weights, and penalties of a pass.
#include "nn/average.h"

#include "core/ops.h"
#include "nn/train.h"
#include "tests/core/test_values.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

Tensor number(double step) { return tensor(std::vector<double>{step}, Shape{}, Dtype::f64); }

}  // namespace

TEST_CASE("average: forgets the first weights soon, later keeps to its decay; swaps in place") {
  const Tensor p = tensor({1, -2}, Dtype::f64);
  WeightAverage average({{"p", p}}, 0.5);
  const Tensor& a = average.values()[0].tensor;
  CHECK(average.values()[0].name == "p");
  CHECK(a.values() == p.values());
  copy_into(p, tensor({3, 2}, Dtype::f64));
  average.update(number(1));  // d = 2 / 11
  check_close(a, {1 + 2 * 9.0 / 11, -2 + 4 * 9.0 / 11}, 1e-15);
  const Values before = a.values();
  average.update(number(1000));  // d = 1 / 2
  check_close(a, {(before[0] + 3) / 2, (before[1] + 2) / 2}, 1e-15);

  const Values mean = a.values();
  const void* place = p.data();
  average.exchange();
  CHECK(p.values() == mean);
  CHECK(a.values() == Values{3, 2});
  average.exchange();
  CHECK(p.values() == Values{3, 2});
  CHECK(a.values() == mean);
  CHECK(p.data() == place);
  CHECK(message_of<ValueError>([&] {
          WeightAverage({{"p", p}}, 1);
        }) == "average: decay must be from 0 to below 1, got 1.");
}

// With the penalty w^2 / 2 and no loss of its own, the gradient is that of the loss plus w.
TEST_CASE("TrainStep: penalties of the pass join the gradient, not the loss; planned or not") {
  std::vector<Values> weights, averages;
  for (const bool plan : {false, true}) {
    const Tensor w = mixed({2, 3}, Dtype::f64), plain = mixed({2, 3}, Dtype::f64);
    const auto penalized = make_optimizer("sgd", {{"w", w}}),
               other = make_optimizer("sgd", {{"w", plain}});
    WeightAverage average(penalized->parameters(), 0.9);
    TrainStep step(
        [&](const Tensor& x, Pass& pass) {
          pass.penalties.push_back(sum(square(w)) * 0.25);
          pass.penalties.push_back(sum(square(w)) * 0.25);
          return linear(x, w);
        },
        *penalized, {.average = &average, .plan = plan});
    TrainStep without([&](const Tensor& x, Pass&) { return linear(x, plain); }, *other,
                      {.plan = plan});
    const Tensor x = mixed({4, 3}, Dtype::f64, 3);
    const Tensor labels = from_host(std::vector<int32_t>{0, 1, 1, 0}, {4});
    const Values start = w.values();
    const StepResult a = step(x, labels, penalized->numbers(0.1, 0, 1));
    const StepResult b = without(x, labels, other->numbers(0.1, 0, 1));
    CHECK(a.loss == b.loss);
    CHECK(b.penalty == 0);
    double squares = 0;
    for (double v : start) squares += v * v;
    CHECK(a.penalty == doctest::Approx(squares / 2).epsilon(1e-12));
    check_close(w, (plain - tensor(start, {2, 3}, Dtype::f64) * 0.1).values(), 1e-12);
    for (int64_t i = 2; i < 5; ++i) step(x, labels, penalized->numbers(0.1, 0, i));
    weights.push_back(w.values());
    averages.push_back(average.values()[0].tensor.values());
  }
  CHECK(weights[0] == weights[1]);
  CHECK(averages[0] == averages[1]);
  CHECK(averages[0] != weights[0]);
}
