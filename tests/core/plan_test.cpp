// Plans: the same bits as eager execution without allocations, and an error for every trap.
#include "core/plan.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <map>

#include "autograd/functions.h"
#include "core/ops.h"
#include "core/random.h"
#include "tests/core/plan_checks.h"
#include "tests/core/test_values.h"
#include "tests/skip.h"

using namespace slope;
using test::mixed;
using test::on_every_device;
using test::PlanChecks;
using test::Values;

namespace {

Tensor f32(std::initializer_list<double> values) { return tensor(values); }

Tensors twice(const Tensors& in) { return {in[0] * 2}; }

// A small layer with everything that has a packed weight or scratch memory.
Tensors layer(const Tensors& in, const Tensor& w, const Tensor& filters) {
  const Tensor image = tanh(conv2d(in[0], filters, {}, {.padding = {1, 1}}));
  return {linear(reshape(image, {in[0].dim(0), -1}), w)};
}

}  // namespace

TEST_CASE("plan: replays equal eager runs, whatever the data") {
  on_every_device([] {
    const Tensor w = mixed({5, 48}, Dtype::f32), filters = mixed({3, 3, 3, 2}, Dtype::f32, 1);
    const auto f = [&](const Tensors& in) { return layer(in, w, filters); };
    Plan plan({mixed({2, 4, 4, 2}, Dtype::f32)}, f);
    CHECK(plan.results()[0].values() == f({mixed({2, 4, 4, 2}, Dtype::f32)})[0].values());
    CHECK(plan.calls() >= 3);
    for (int64_t i = 1; i < 5; ++i) {
      const Tensor x = mixed({2, 4, 4, 2}, Dtype::f32, i);
      CHECK(plan.run({x})[0].values() == f({x})[0].values());
    }
  });
}

TEST_CASE("plan: a run allocates nothing") {
  const PlanChecks off(false);
  on_every_device([] {
    const Device here = default_device();
    const Tensor w = mixed({5, 48}, Dtype::f32), filters = mixed({3, 3, 3, 2}, Dtype::f32, 1);
    const Tensor x = mixed({2, 4, 4, 2}, Dtype::f32);
    Plan plan({x}, [&](const Tensors& in) {
      return vjp([&](const Tensors& xs) { return layer(xs, w, filters); }, in, {ones({2, 5})})
          .gradients;
    });
    const int64_t pool = plan.pool_allocations();
    const MemoryStatistics before = memory_statistics(here);
    for (int i = 0; i < 10; ++i) plan.run({x});
    const MemoryStatistics after = memory_statistics(here);
    CHECK(plan.pool_allocations() == pool);
    CHECK(pool > 0);
    CHECK(plan.pool_bytes() > 0);
    CHECK(after.requests == before.requests);
    CHECK(after.allocations == before.allocations);
    CHECK(after.live_bytes == before.live_bytes);
  });
}

TEST_CASE("plan: reading a value inside is an error") {
  const Tensor x = f32({3});
  const std::string text =
      " inside a captured function would freeze its value. Return the tensor, or pass it in.";
  CHECK_THROWS_WITH_AS(Plan({x}, [](const Tensors& in) { return Tensors{in[0] * in[0].item()}; }),
                       ("plan: item()" + text).c_str(), PlanError);
  CHECK_THROWS_WITH_AS(
      Plan({x}, [](const Tensors& in) { return Tensors{in[0] * in[0].to_vector<float>()[0]}; }),
      ("plan: to_vector()" + text).c_str(), PlanError);
  CHECK_THROWS_AS(Plan({x}, [](const Tensors& in) { return Tensors{in[0] * in[0].values()[0]}; }),
                  PlanError);
  CHECK_THROWS_AS(Plan({x},
                       [](const Tensors& in) {
                         std::ostringstream() << in[0];
                         return in;
                       }),
                  PlanError);
  // Afterwards everything is as before.
  CHECK_FALSE(capturing());
  CHECK(x.item() == 3);
  CHECK(Plan({x}, twice).run({x})[0].item() == 6);
}

TEST_CASE("plan: other shapes, dtypes, devices or counts than captured are errors") {
  const Device here = default_device();
  Plan plan({mixed({2, 3}, Dtype::f32), mixed({3}, Dtype::f32)},
            [](const Tensors& in) { return Tensors{in[0] + in[1]}; });
  const auto text = [&](const std::string& captured, const std::string& given,
                        const std::string& device) {
    return "plan: input 1 was captured as " + captured + " on " + here.name() + ", run with " +
           given + " on " + device + ". Make another plan for it.";
  };
  CHECK_THROWS_WITH_AS(plan.run({mixed({2, 3}, Dtype::f32), mixed({1}, Dtype::f32)}),
                       text("(3) float32", "(1) float32", here.name()).c_str(), PlanError);
  CHECK_THROWS_WITH_AS(plan.run({mixed({2, 3}, Dtype::f32), mixed({3}, Dtype::f64)}),
                       text("(3) float32", "(3) float64", here.name()).c_str(), PlanError);
  const Tensor elsewhere = mixed({3}, Dtype::f32).to(device("reference"));
  if (elsewhere.device() != here) {
    CHECK_THROWS_WITH_AS(plan.run({mixed({2, 3}, Dtype::f32), elsewhere}),
                         text("(3) float32", "(3) float32", "reference").c_str(), PlanError);
  }
  CHECK_THROWS_WITH_AS(plan.run({mixed({2, 3}, Dtype::f32)}),
                       "plan: captured with 2 inputs, run with 1.", PlanError);
}

TEST_CASE("plan: a weight that has been replaced is an error, one updated in place is read anew") {
  on_every_device([] {
    Tensor w = f32({1, 2});
    w.storage()->set_label("stem.weight");
    Plan plan({f32({10, 10})}, [&](const Tensors& in) { return Tensors{in[0] * w}; });
    copy_into(w, f32({3, 4}));
    CHECK(plan.run({f32({10, 10})})[0].values() == Values{30, 40});
    w = f32({5, 6});
    CHECK_THROWS_WITH_AS(plan.run({f32({10, 10})}),
                         "plan: captured weight stem.weight has been replaced. Update it in place "
                         "(copy_into), or make the plan again.",
                         PlanError);
  });
}

TEST_CASE("plan: a replaced weight is noticed though the plan writes it and another plan has it") {
  on_every_device([] {
    Tensor w = f32({1, 2});
    const Plan::Function step = [&](const Tensors& in) {
      copy_into(w, w * in[0]);
      return Tensors{sum(w)};
    };
    Plan plan({f32({2})}, step), another({f32({3})}, step);
    CHECK(plan.run({f32({2})})[0].item() == 36);  // 1, 2 times 2, 3, 2
    w = f32({5, 6});
    CHECK_THROWS_AS(plan.run({f32({2})}), PlanError);
    CHECK_THROWS_AS(another.run({f32({2})}), PlanError);
  });
}

TEST_CASE("plan: it stays on one device") {
  const Tensor elsewhere = mixed({1}, Dtype::f32).to(device("reference"));
  if (elsewhere.device() == default_device()) SKIP_TEST("the default device is the reference");
  CHECK_THROWS_AS(Plan({f32({1})},
                       [&](const Tensors& in) {
                         return Tensors{in[0], elsewhere + elsewhere};
                       }),
                  PlanError);
}

TEST_CASE("plan: numbers of the host are part of the plan, and outlive the capture") {
  on_every_device([] {
    Plan plan({f32({1, 2, 3})}, [](const Tensors& in) {
      const Tensor c = tensor({10, 20, 30});
      return Tensors{in[0] + c, arange(3, Dtype::f32) * in[0]};
    });
    for (int i = 0; i < 3; ++i) {
      const Tensors& out = plan.run({f32({1, 1, 1})});
      CHECK(out[0].values() == Values{11, 21, 31});
      CHECK(out[1].values() == Values{0, 1, 2});
    }
  });
}

TEST_CASE("plan: a tape cannot see inside") {
  const Tensor x = f32({1, 2});
  Plan plan({x}, twice);
  Tape tape({x});
  CHECK_THROWS_WITH_AS(plan.run({x}),
                       "plan: a tape listens, and it cannot see inside a replay. Take the gradient "
                       "inside the captured function, or call the function itself.",
                       PlanError);
  CHECK_THROWS_WITH_AS(Plan({x}, twice),
                       "plan: a tape listens, and it cannot see inside a plan. Capture first, or "
                       "take the gradient inside the captured function.",
                       PlanError);
  const MuteTapes mute;
  CHECK(plan.run({x})[0].values() == Values{2, 4});
}

TEST_CASE("plan: a result that is undefined is an error") {
  CHECK_THROWS_WITH_AS(Plan({f32({1})}, [](const Tensors&) { return Tensors{Tensor()}; }),
                       "plan: the captured function returned an undefined tensor.", PlanError);
}

TEST_CASE("plan: results live until the next run; checked plans poison the old ones") {
  on_every_device([] {
    {
      const PlanChecks on(true);
      Plan plan({f32({1, 2})}, twice);
      const Tensor first = plan.run({f32({1, 2})})[0], kept = first.clone();
      CHECK(first.values() == Values{2, 4});
      plan.run({f32({5, 5})});
      for (const double v : first.values()) CHECK(std::isnan(v));
      CHECK(kept.values() == Values{2, 4});
      CHECK(plan.results()[0].values() == Values{10, 10});
    }
    const PlanChecks off(false);
    Plan plan({f32({1, 2})}, twice);
    const Tensor first = plan.run({f32({1, 2})})[0];
    plan.run({f32({5, 5})});
    CHECK(first.values() == Values{10, 10});  // it is the plan's buffer
  });
}

TEST_CASE("plan: a checked plan finds what has changed on the host") {
  const PlanChecks on(true);
  double factor = 2;
  Plan plan({f32({1, 2})}, [&](const Tensors& in) { return Tensors{in[0] * factor}; });
  CHECK(plan.run({f32({1, 2})})[0].values() == Values{2, 4});
  factor = 3;
  CHECK_THROWS_WITH_AS(plan.run({f32({1, 2})}),
                       "plan: result 0 (2) float32 differs from an eager run. The captured "
                       "function depends on a number or a branch of the host that has changed.",
                       PlanError);
}

TEST_CASE("plan: results fed back as inputs") {
  for (const bool checked : {false, true}) {
    const PlanChecks checks(checked);
    on_every_device([] {
      Plan step({f32({1, 1}), f32({1, 2})}, [](const Tensors& in) {
        return Tensors{in[0] + in[1], in[0] * in[1]};
      });
      Tensors state = {f32({1, 1}), f32({1, 2})};
      double a = 1, b = 2;
      for (int i = 0; i < 4; ++i) {
        state = step.run(state);
        std::tie(a, b) = std::make_pair(a + b, a * b);
        CHECK(state[0].values()[1] == a);
        CHECK(state[1].values()[1] == b);
      }
      // Also when the function hands its inputs through, swapped or as views.
      Plan swap({f32({1, 2}), f32({3, 4})}, [](const Tensors& in) {
        return Tensors{in[1], in[0]};
      });
      state = swap.run({f32({1, 2}), f32({3, 4})});
      state = swap.run(state);
      CHECK(state[0].values() == Values{1, 2});
      CHECK(state[1].values() == Values{3, 4});
      Plan turn({mixed({2, 2}, Dtype::f32)},
                [](const Tensors& in) { return Tensors{transpose(in[0])}; });
      const Tensor m = mixed({2, 2}, Dtype::f32);
      state = turn.run(turn.run({m}));
      CHECK(state[0].values() == m.values());
    });
  }
}

TEST_CASE("plan: one tensor as several inputs, and inputs of any layout") {
  on_every_device([] {
    const Tensor x = f32({1, 2, 3});
    Plan plan({x, x}, [](const Tensors& in) { return Tensors{in[0] * 10 + in[1]}; });
    CHECK(plan.run({x, f32({7, 8, 9})})[0].values() == Values{17, 28, 39});
    const Tensor table = tensor({0, 1, 2, 3, 4, 5}, Dtype::f32).reshape({3, 2});
    const Tensor column = slice(table, 1, 1, 2).reshape({3});
    CHECK(plan.run({column, expand(scalar(5), {3})})[0].values() == Values{15, 35, 55});
  });
}

TEST_CASE("plan: a random key is an input") {
  on_every_device([] {
    Plan plan({make_key(1, 0, 0)}, [](const Tensors& in) {
      return Tensors{uniform(in[0], {4}), normal(in[0], {3})};
    });
    const Values first = plan.run({make_key(1, 0, 1)})[0].values();
    CHECK(first == uniform(make_key(1, 0, 1), {4}).values());
    CHECK(plan.run({make_key(1, 0, 2)})[0].values() != first);
    CHECK(plan.run({make_key(1, 0, 1)})[0].values() == first);
    CHECK_THROWS_WITH_AS(
        Plan({f32({1})},
             [](const Tensors& in) { return Tensors{in[0] + uniform(make_key(1, 0, 0), {1})}; }),
        "plan: a random key made inside a captured function would give the same numbers on every "
        "run. Pass the key in as an input.",
        PlanError);
    // Neither a copy nor arithmetic makes it another key.
    const auto through = [](const std::function<Tensor(const Tensor&)>& f) {
      Plan({f32({1})},
           [&](const Tensors& in) { return Tensors{in[0] + uniform(f(make_key(1, 0, 0)), {1})}; });
    };
    CHECK_THROWS_AS(through([](const Tensor& key) { return copy(key); }), PlanError);
    CHECK_THROWS_AS(through([](const Tensor& key) { return concatenate({key}, 0); }), PlanError);
  });
}

TEST_CASE("plan: writes in place move versions on every run") {
  on_every_device([] {
    const Tensor w = f32({1, 1}), unused = f32({0});
    Plan plan({f32({1, 2})}, [&](const Tensors& in) {
      copy_into(w, w + in[0]);
      return Tensors{w * 10};
    });
    CHECK(w.values() == Values{2, 3});  // the capture is the first run
    uint64_t version = w.storage()->version();
    for (int i = 1; i <= 3; ++i) {
      CHECK(plan.run({f32({1, 2})})[0].values() == Values{20.0 + 10 * i, 30.0 + 20 * i});
      CHECK(w.storage()->version() > version);
      version = w.storage()->version();
    }
    CHECK(unused.storage()->version() == 0);
    // So a tape that has kept w notices a replay.
    const Tensor x = f32({1, 1});
    Tape tape({x});
    const Tensor y = sum(x * w);
    {
      const MuteTapes mute;
      plan.run({f32({1, 2})});
    }
    CHECK_THROWS_AS(tape.gradient(y, {x}), ValueError);
  });
}

TEST_CASE("plan: a plan made or run inside another is part of it") {
  on_every_device([] {
    Plan inner({f32({1, 2})}, [](const Tensors& in) { return Tensors{exp(in[0])}; });
    const auto f = [&](const Tensors& in) {
      Plan made_inside({in[0]}, twice);
      return Tensors{inner.run({made_inside.run(in)[0]})[0] + 1.0};
    };
    Plan outer({f32({1, 2})}, f);
    CHECK(outer.calls() >= 3);
    for (const double v : {0.5, -1.0}) {
      CHECK(outer.run({f32({v, v})})[0].values() == (exp(f32({v, v}) * 2) + 1.0).values());
    }
    // The inner one still works for itself.
    CHECK(inner.run({f32({0, 0})})[0].values() == Values{1, 1});
  });
}

TEST_CASE("plan: an inner plan made during a capture captures when it first runs alone") {
  std::unique_ptr<Plan> inner;
  Plan outer({f32({1, 2})}, [&](const Tensors& in) {
    if (!inner) inner = std::make_unique<Plan>(in, twice);
    return inner->run(in);
  });
  CHECK(inner->run({f32({4, 5})})[0].values() == Values{8, 10});
  CHECK(outer.run({f32({1, 3})})[0].values() == Values{2, 6});
  CHECK(inner->run({f32({1, 1})})[0].values() == Values{2, 2});
}

TEST_CASE("plan: forward, backward and update as one plan train like eager steps") {
  on_every_device([] {
    const auto train = [](bool planned) {
      const Tensor w1 = mixed({8, 6}, Dtype::f32) * 0.3, w2 = mixed({3, 8}, Dtype::f32, 1) * 0.3;
      const Tensor v1 = zeros({8, 6}), v2 = zeros({3, 8});
      const auto step = [&](const Tensors& in) {
        const ValueAndGradient r = value_and_grad(
            [&](const Tensors& w) {
              return cross_entropy(linear(tanh(linear(in[0], w[0])), w[1]), in[1]);
            },
            {w1, w2});
        sgd_step(w1, r.gradient[0], v1, in[2], scalar(0.9));
        sgd_step(w2, r.gradient[1], v2, in[2], scalar(0.9));
        return Tensors{r.value};
      };
      const Tensor labels = tensor({0, 2, 1, 1}, Dtype::i32);
      std::unique_ptr<Plan> plan;
      Values losses;
      for (int64_t i = 0; i < 6; ++i) {
        const Tensors in = {mixed({4, 6}, Dtype::f32, i), labels,
                            scalar(0.1 / static_cast<double>(i + 1))};
        if (!planned) {
          losses.push_back(step(in)[0].item());
        } else if (!plan) {
          plan = std::make_unique<Plan>(in, step);
          losses.push_back(plan->results()[0].item());
        } else {
          losses.push_back(plan->run(in)[0].item());
        }
      }
      for (const double v : w1.values()) losses.push_back(v);
      for (const double v : w2.values()) losses.push_back(v);
      return losses;
    };
    CHECK(train(true) == train(false));
  });
}

TEST_CASE("plan: packed weights follow their weights, updated outside and inside of plans") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      CAPTURE(dtype);
      const Tensor w = mixed({16, 16}, dtype), filters = mixed({16, 3, 3, 16}, dtype, 1);
      const Tensor x = mixed({4, 16}, dtype, 2), image = mixed({2, 5, 5, 16}, dtype, 3);
      // w is used twice before its update in place and once after it.
      const auto f = [&](const Tensors& in) {
        const Tensor a = linear(linear(in[0], w), w);
        const Tensor b = conv2d(in[1], filters, {}, {.padding = {1, 1}});
        copy_into(w, w * 0.5);
        copy_into(filters, filters * 0.5);
        return Tensors{a, b, matmul(in[0], w), conv2d(in[1], filters, {}, {.padding = {1, 1}})};
      };
      const Tensor w0 = w.clone(), filters0 = filters.clone();
      std::vector<Tensors> eager;
      for (int i = 0; i < 3; ++i) {
        eager.push_back(f({x, image}));
        if (i == 1) copy_into(w, w0 * 3);
      }
      copy_into(w, w0);
      copy_into(filters, filters0);
      Plan plan({x, image}, f);
      for (int i = 0; i < 3; ++i) {
        if (i > 0) plan.run({x, image});
        for (size_t k = 0; k < 4; ++k) {
          CHECK(plan.results()[k].values() == eager[static_cast<size_t>(i)][k].values());
        }
        if (i == 1) copy_into(w, w0 * 3);
      }
    }
  });
}

TEST_CASE("plan: packed copies of a weight that is the plan's own memory are made anew each run") {
  on_every_device([] {
    // The weight is computed inside, so its storage is the same on every run but its values are
    // not; it is used twice, with a buffer in between that may take its memory.
    const auto f = [](const Tensors& in) {
      const Tensor x = in[0];
      Tensor y;
      {
        const Tensor w = in[1] * 2;
        y = matmul(matmul(x, w), w);
      }
      const Tensor other = in[1] + 1.0;
      return Tensors{matmul(y, other)};
    };
    const Tensor x = mixed({8, 16}, Dtype::f32);
    Plan plan({x, mixed({16, 16}, Dtype::f32)}, f);
    for (int64_t i = 1; i < 4; ++i) {
      const Tensor w = mixed({16, 16}, Dtype::f32, i);
      CHECK(plan.run({x, w})[0].values() == f({x, w})[0].values());
    }
  });
}

TEST_CASE("plan: it can be moved, and made without inputs") {
  Plan first({f32({1, 2})}, twice);
  Plan second(std::move(first));
  CHECK(second.run({f32({3, 4})})[0].values() == Values{6, 8});
  Plan third({f32({0})}, twice);
  third = std::move(second);
  CHECK(third.run({f32({5, 6})})[0].values() == Values{10, 12});
  const Tensor w = f32({1});
  Plan none({}, [&](const Tensors&) { return Tensors{w * 2}; });
  copy_into(w, f32({21}));
  CHECK(none.run({})[0].item() == 42);
}

TEST_CASE("plan: a function that throws leaves nothing behind") {
  const Device here = default_device();
  const size_t before = memory_statistics(here).live_bytes;
  const Tensor x = f32({1, 2});
  const size_t with_x = memory_statistics(here).live_bytes;
  CHECK_THROWS_AS(Plan({x},
                       [](const Tensors& in) {
                         return Tensors{in[0] + tensor({1, 2, 3})};
                       }),
                  ShapeError);
  CHECK_FALSE(capturing());
  CHECK(recorders().empty());
  CHECK(memory_statistics(here).live_bytes == with_x);
  CHECK(with_x > before);
}
