// What a long run says meanwhile, and how long it thinks it takes.
#include "apps/slope/progress.h"

#include <cstdlib>

#include "apps/slope/evaluation.h"
#include "apps/slope/training_record.h"
#include "nn/data/spheres.h"
#include "tests/apps/program.h"

using namespace slope;
using namespace slope::program;
using slope::program_test::Folder;
using slope::program_test::read;

TEST_CASE("progress: a state stays in the log where nothing else was said for a while") {
  const Folder here;
  const std::string log = (here / "log.txt").string();
  {
    Progress often(true, log, std::chrono::milliseconds(0));
    often.moving("a state");
    often.line("a line");
  }
  CHECK(read(log) == "a state\na line\n");
  {
    Progress seldom(true, log, std::chrono::hours(1));
    for (int i = 0; i < 3; ++i) seldom.moving("another state");
    seldom.warning("trouble");
  }
  CHECK(read(log) == "a state\na line\nwarning: trouble\n");
}

TEST_CASE("progress: on a terminal a line that will be replaced is no wider than it") {
  const Folder here;
  // script(1) gives the program a terminal.
  const std::string command = "cd " + here.path().string() + " && script -qec \"stty cols 60; " +
                              slope::test::program() +
                              " train spheres-mlp --iterations 4000 --out run\" said >/dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
  const std::string said = read(here / "said"), begin = "\r\033[K";
  int replaced = 0;
  for (size_t at = said.find(begin); at != std::string::npos; at = said.find(begin, at + 1)) {
    const size_t first = at + begin.size(), end = said.find('\r', first);
    if (end == std::string::npos || said[end + 1] == '\n') continue;  // it stays
    CHECK(end - first < 60);
    CHECK(said.substr(first, 6) == "epoch ");
    ++replaced;
  }
  CHECK(replaced > 0);
}

TEST_CASE("progress: an evaluation ends where it is told to") {
  const nn::Dataset points = nn::spheres({.dim = 2, .size = 40, .seed = 1, .test = true});
  SolveMeter meter;
  Evaluator evaluate([](const Tensor& x, nn::Pass&) { return x; }, false, meter);
  std::vector<int64_t> seen;
  const auto until = [&](int64_t most) {
    seen.clear();
    return evaluate(points, 16, Dtype::f32, nullptr, [&](int64_t done) {
      seen.push_back(done);
      return done < most;
    });
  };
  CHECK(until(100).examples == 40);
  CHECK(seen == std::vector<int64_t>{16, 32, 40});
  CHECK(until(10).examples == 16);
  CHECK(seen == std::vector<int64_t>{16});
}

TEST_CASE("progress: the time that is left counts the tests to come") {
  Position at{.step = 50, .seconds = 5};                     // of 3 epochs of 100 steps
  CHECK(seconds_left(at, 100, 300) == doctest::Approx(25));  // what a test takes is not known
  at = {.step = 150, .epoch = 1, .seconds = 15, .test_seconds = 4};
  CHECK(seconds_left(at, 100, 300) == doctest::Approx(15 + 2 * 4));
  at = {.step = 300, .epoch = 3, .seconds = 30, .test_seconds = 12};
  CHECK(seconds_left(at, 100, 300) == 0);
  at = {.step = 200, .epoch = 2, .seconds = 20, .test_seconds = 8};  // the third is cut off
  CHECK(seconds_left(at, 100, 250) == doctest::Approx(5 + 4));
}
