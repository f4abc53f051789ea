// Learning rate schedules: the values of the published ones, ends and middles of the rest.
#include "nn/schedule.h"

#include <cmath>

#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

void check_at(const Schedule& schedule, int64_t step, int64_t total, double rate, double momentum,
              double rate_tolerance = 1e-12, double momentum_tolerance = 1e-12) {
  CAPTURE(step);
  const ScheduleValues v = schedule.at(step, total);
  CHECK(std::abs(v.rate - rate) <= rate_tolerance);
  CHECK(std::abs(v.momentum - momentum) <= momentum_tolerance);
}

}  // namespace

TEST_CASE("schedule: constant") {
  const auto s = make_schedule("constant", 0.01, 0.9);
  for (int64_t step : {0, 7, 99}) check_at(*s, step, 100, 0.01, 0.9);
}

TEST_CASE("schedule: cosine falls from the rate to nothing along half a wave") {
  const auto s = make_schedule("cosine", 0.1, 0.9);
  check_at(*s, 0, 100, 0.1, 0.9);
  check_at(*s, 25, 100, 0.08535533905932737, 0.9);
  check_at(*s, 50, 100, 0.05, 0.9);
  check_at(*s, 99, 100, 2.4671981713420003e-05, 0.9, 1e-15);
}

// The run of the published meta-solver experiments: base 1e-7, up to 0.1 in 3186 steps.
TEST_CASE("schedule: triangular2 has the published values") {
  const auto s = make_schedule("triangular2,base=1e-7,up=3186", 0.1, 0.9);
  struct Row {
    int64_t step;
    double rate, momentum;
  };
  for (const Row& r : {Row{175, 0.00549, 0.8945}, Row{1593, 0.05, 0.85}, Row{4779, 0.05, 0.85},
                       Row{6125, 0.00775, 0.8922}, Row{6299, 0.00229, 0.8977}}) {
    check_at(*s, r.step, 6300, r.rate, r.momentum, 5e-6, 5e-5);
  }
  check_at(*s, 0, 6300, 1e-7, 0.9);
  check_at(*s, 3186, 6300, 0.1, 0.8);
}

TEST_CASE("schedule: triangular2 halves its height with each cycle, momentum too") {
  const auto s = make_schedule("triangular2,up=2000,base=1e-5", 1e-3, 0.9);
  check_at(*s, 2000, 23400, 1e-3, 0.8);
  check_at(*s, 6000, 23400, 5.05e-4, 0.85);
  check_at(*s, 10000, 23400, 2.575e-4, 0.875);
  for (int64_t step : {0, 4000, 8000, 20000}) check_at(*s, step, 23400, 1e-5, 0.9);
}

// PyTorch's OneCycleLR: initial rate / 25, the top at 30 %, the end at rate / 25e4.
TEST_CASE("schedule: one-cycle") {
  const auto s = make_schedule("one-cycle", 0.1, 0.5);
  check_at(*s, 0, 100, 0.004, 0.95);
  check_at(*s, 29, 100, 0.1, 0.85);
  check_at(*s, 64, 100, (0.1 + 4e-7) / 2, 0.9);
  check_at(*s, 99, 100, 4e-7, 0.95, 1e-15);
  for (int64_t total : {1, 2, 3, 4}) {  // no rising part, or hardly one
    CAPTURE(total);
    const ScheduleValues last = s->at(total - 1, total);
    CHECK(last.rate == doctest::Approx(4e-7));
    CHECK(last.momentum == doctest::Approx(0.95));
  }
}

TEST_CASE("schedule: multi-step") {
  const auto s = make_schedule("multi-step,at=0.5/0.75", 0.1, 0.9);
  check_at(*s, 49, 100, 0.1, 0.9);
  check_at(*s, 50, 100, 0.01, 0.9);
  check_at(*s, 75, 100, 0.001, 0.9);
  const auto slow = make_schedule("multi-step,factor=0.5,at=0.7", 0.1, 0.9);
  check_at(*slow, 6, 10, 0.1, 0.9);
  check_at(*slow, 7, 10, 0.05, 0.9);
}

TEST_CASE("schedule: a triangle may fall slower than it rises") {
  // Wong et al. 2020 on MNIST: to the top at two fifths of ten epochs of 600 steps.
  const auto s = make_schedule("triangular,up=2400,down=3600", 5e-3, 0.9);
  CHECK(s->at(0, 6000).rate == 0);
  CHECK(s->at(1200, 6000).rate == doctest::Approx(2.5e-3));
  CHECK(s->at(2400, 6000).rate == doctest::Approx(5e-3));
  CHECK(s->at(4200, 6000).rate == doctest::Approx(2.5e-3));
  CHECK(s->at(5999, 6000).rate == doctest::Approx(5e-3 / 3600).epsilon(1e-6));
  CHECK(s->at(2400, 6000).momentum == doctest::Approx(0.8));
  CHECK_THROWS_AS(make_schedule("triangular,up=10,down=0", 1, 0.9), slope::ValueError);
}

TEST_CASE("schedule: triangular takes no momentum below 0") {
  CHECK(make_schedule("triangular,up=10", 0.5, 0.05)->at(10, 40).momentum == 0);
  CHECK(make_schedule("triangular,up=10", 0.5, 0.0)->at(10, 40).momentum == 0);
}

TEST_CASE("schedule: triangular keeps its height, triangular2 not") {
  const auto s = make_schedule("triangular,up=10,base=0.1", 0.5, 0.9);
  for (int64_t cycle : {0, 20, 60}) {
    check_at(*s, cycle, 80, 0.1, 0.9);
    check_at(*s, cycle + 5, 80, 0.3, 0.85);
    check_at(*s, cycle + 10, 80, 0.5, 0.8);
    check_at(*s, cycle + 15, 80, 0.3, 0.85);
  }
}

TEST_CASE("schedule: step") {
  const auto s = make_schedule("step,every=30,factor=0.5", 0.8, 0.9);
  check_at(*s, 29, 100, 0.8, 0.9);
  check_at(*s, 30, 100, 0.4, 0.9);
  check_at(*s, 90, 100, 0.1, 0.9);
}

TEST_CASE("schedule: plateau waits, then lowers the rate, and goes on from its state") {
  const auto s = make_schedule("plateau,patience=1,factor=0.5", 0.4, 0.9);
  const auto rate_after = [](Schedule& schedule, double loss) {
    schedule.observe(loss);
    return schedule.at(0, 10).rate;
  };
  CHECK(rate_after(*s, 2) == 0.4);
  CHECK(rate_after(*s, 1.99999) == 0.4);  // not enough less to count: one epoch without progress
  CHECK(rate_after(*s, 1) == 0.4);        // progress
  CHECK(rate_after(*s, 1) == 0.4);
  const auto resumed = make_schedule("plateau,patience=1,factor=0.5", 0.4, 0.9);
  resumed->restore(s->state());
  CHECK(rate_after(*s, NAN) == 0.2);  // the second epoch in turn
  CHECK(rate_after(*resumed, 3) == 0.2);
  CHECK(rate_after(*s, 1) == 0.2);  // it waits again
  CHECK(rate_after(*s, 1) == 0.1);
  CHECK(make_schedule("cosine", 0.4, 0.9)->state().empty());
}

TEST_CASE("schedule: a rise before any of them") {
  const auto s = make_schedule("cosine,warmup=4", 0.4, 0.9);
  for (int64_t i = 0; i < 4; ++i)
    check_at(*s, i, 104, 0.1 * static_cast<double>(i + 1), 0.9, 1e-15);
  const auto after = make_schedule("cosine", 0.4, 0.9);
  for (int64_t i : {0, 50, 99}) check_at(*s, i + 4, 104, after->at(i, 100).rate, 0.9);
  CHECK(make_schedule("step,every=2,warmup=9", 1, 0.9)->at(2, 3).rate == doctest::Approx(3.0 / 9));
  const auto plateau = make_schedule("plateau,patience=0,warmup=2", 1, 0.9);
  plateau->observe(1);
  plateau->observe(1);
  CHECK(plateau->at(5, 9).rate == doctest::Approx(0.1));
  CHECK(plateau->state().size() == 3);
}

TEST_CASE("schedule: words that mean nothing") {
  const auto refusal = [](const std::string& word) {
    return message_of<ValueError>([&] { make_schedule(word, 0.1, 0.9); });
  };
  CHECK(refusal("linear") ==
        "schedule: \"linear\" is not one of constant, cosine, one-cycle, triangular, triangular2, "
        "step, multi-step, plateau.");
  CHECK(refusal("") ==
        "schedule: \"\" is not one of constant, cosine, one-cycle, triangular, triangular2, step, "
        "multi-step, plateau.");
  CHECK(refusal("triangular2") == "schedule: triangular2 needs up=...");
  CHECK(refusal("triangular2,up=0") == "schedule: up must be a whole number from 1 on, got 0.");
  CHECK(refusal("triangular2,up=ten") ==
        "schedule: \"ten\" in triangular2,up=ten is not a number.");
  CHECK(refusal("triangular2,up=5x") == "schedule: \"5x\" in triangular2,up=5x is not a number.");
  CHECK(refusal("triangular2,up=inf") ==
        "schedule: \"inf\" in triangular2,up=inf is not a number.");
  CHECK(refusal("step") == "schedule: step needs every=...");
  CHECK(refusal("step,every=1.5") == "schedule: every must be a whole number from 1 on, got 1.5.");
  CHECK(refusal("plateau,factor=0") == "schedule: factor must be positive, got 0.");
  CHECK(refusal("plateau,warmup=-1") ==
        "schedule: warmup must be a whole number from 0 on, got -1.");
  CHECK(refusal("one-cycle,warmup=5") == "schedule: one-cycle has no option warmup; it has none.");
  CHECK(refusal("multi-step") == "schedule: multi-step needs at=...");
  CHECK(refusal("multi-step,at=0.5/") == "schedule: \"\" in multi-step,at=0.5/ is not a number.");
  const std::string at =
      "schedule: at has parts of the training, between 0 and 1 and rising, as in at=0.5/0.75; got ";
  CHECK(refusal("multi-step,at=2462/4104") == at + "2462 in multi-step,at=2462/4104.");
  CHECK(refusal("multi-step,at=0.5/0.5") == at + "0.5 in multi-step,at=0.5/0.5.");
  CHECK(refusal("multi-step,at=0.75/0.5") == at + "0.5 in multi-step,at=0.75/0.5.");
  CHECK(refusal("multi-step,at=0/0.5") == at + "0 in multi-step,at=0/0.5.");
  CHECK(refusal("multi-step,at=0.5/1") == at + "1 in multi-step,at=0.5/1.");
  CHECK(refusal("multi-step,at=-0.5") == at + "-0.5 in multi-step,at=-0.5.");
  CHECK(refusal("multi-step,at=0.5,factor=-1") == "schedule: factor must be positive, got -1.");
  CHECK(refusal("triangular,up=5,base=-1") == "schedule: base must be a rate from 0 on, got -1.");
  CHECK(refusal("step,every=0") == "schedule: every must be a whole number from 1 on, got 0.");
  CHECK(refusal("plateau,patience=-1") ==
        "schedule: patience must be a whole number from 0 on, got -1.");
  CHECK(refusal("cosine,base=1") == "schedule: cosine has no option base; it has warmup.");
  CHECK(refusal("cosine,base") == "schedule: \"base\" in cosine,base is not name=value.");
}
