// Solver words: what they mean, how they are printed, what they refuse; and the grid of fixed
// steps.
#include <doctest/doctest.h>

#include "core/error.h"
#include "ode/number_text.h"
#include "ode/solver_word.h"

using namespace slope;
using namespace slope::ode;

namespace {

std::string canonical(const std::string& word) { return solver_word(parse_solver(word)); }

std::string message_of(const std::string& word) {
  try {
    parse_solver(word);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("numbers: read and printed") {
  CHECK(parse_number("1/3") == 1. / 3);
  CHECK(parse_number("-8/255") == -8. / 255);
  CHECK(parse_number("1e-3") == 1e-3);
  for (const char* bad :
       {"", "x", "1/0", "1/", "/3", "1/2/3", "nan", "inf", "1e999", "0x10", "1 "}) {
    CHECK_MESSAGE(!parse_number(bad), bad);
  }
  CHECK(number_text(1. / 3) == "1/3");
  CHECK(number_text(8. / 255) == "8/255");
  CHECK(number_text(0.3) == "0.3");
  CHECK(number_text(0.25) == "0.25");
  CHECK(number_text(1e-3) == "1e-3");
  CHECK(number_text(0) == "0");
  CHECK(number_text(-2) == "-2");
  CHECK(number_text(2000) == "2000");
  CHECK(number_text(1e22) == "1e22");
  for (double value : {0.1, 1. / 7, 3.14159265358979, 1e-300, -2.5e17, 0.5125, 999. / 998}) {
    CHECK(parse_number(number_text(value)) == value);
  }
}

TEST_CASE("solver words: canonical forms") {
  const std::vector<std::pair<const char*, const char*>> words = {
      {"euler:64", "euler:64"},
      {"rk4", "rk4:1"},
      {"dopri5", "dopri5@1e-3"},
      {"dopri5@1e-3", "dopri5@1e-3"},
      {"tsit5@1e-6,1e-8", "tsit5@1e-6,1e-8"},
      {"rk2,u=0.3:8", "rk2,u=0.3:8"},
      {"rk2", "rk2,u=0.5:1"},
      {"rk3,u=1/3,v=2/3:4", "rk3,u=1/3,v=2/3:4"},
      {"rk4,u3=0.3:4", "rk4,u3=0.3:4"},
      {"rk4,u=0.3,v=0.6:4", "rk4,u=0.3,v=0.6:4"},
      {"rk4:h=0.25", "rk4:h=0.25"},
      {"dopri5@1e-6~i", "dopri5@1e-6"},
      {"dopri5@1e-6~pi", "dopri5@1e-6~pi"},
      {"dopri5~pid,0.4,0.3,0", "dopri5@1e-3~pid,0.4,0.3,0"},
      {"dopri5~pid,0.2,0.65,0", "dopri5@1e-3~pi"},
      {"bosh3@1e-4~pid,0.3,0.3,0.1", "bosh3@1e-4~pid,0.3,0.3,0.1"},
      {"heun:8", "heun2:8"},
      {"adaptive_heun", "heun2@1e-3"},
      {"heun2", "heun2:1"},
      {"bogacki-shampine@0.001", "bosh3@1e-3"},
      {"dopri5:20", "dopri5:20"},
      {"cash-karp@1e-5,1e-5", "cash-karp@1e-5"},
      {"midpoint@1e-2", "midpoint@0.01"},
  };
  for (const auto& [word, expected] : words) {
    CHECK(canonical(word) == expected);
    CHECK(canonical(expected) == expected);
  }
  const Solver s = parse_solver("tsit5@1e-6,1e-8~pid,0.4,0.3,0.1");
  const Adaptive& how = std::get<Adaptive>(s.stepping);
  CHECK(how.rtol == 1e-6);
  CHECK(how.atol == 1e-8);
  CHECK(how.controller.proportional == 0.4);
  CHECK(how.controller.integral == 0.3);
  CHECK(how.controller.derivative == 0.1);
  CHECK(std::get<StepSize>(parse_solver("rk4:h=1/3").stepping).size == 1. / 3);
}

TEST_CASE("solver words: what is wrong with a word is said") {
  CHECK(message_of("rk4:0") ==
        "solver rk4:0: the number of steps must be a whole number from 1 to 1e8, got 0. For a step "
        "size write :h=0.");
  CHECK(message_of("rk4:2.5").find("whole number") != std::string::npos);
  CHECK(message_of("rk4:") ==
        "solver rk4:: the number of steps must be a number like 0.25, 1e-3 or 1/3, got \"\".");
  CHECK(message_of("rk4:h=-1") == "solver rk4:h=-1: the step size must be positive, got -1.");
  CHECK(message_of("dopri5@-1e-3") == "solver dopri5@-1e-3: rtol must be positive, got -1e-3.");
  CHECK(message_of("dopri5@0") == "solver dopri5@0: rtol must be positive, got 0.");
  CHECK(message_of("dopri5@1e-3,x").find("atol must be a number") != std::string::npos);
  CHECK(message_of("dopri5@1,2,3") == "solver dopri5@1,2,3: at most two tolerances: @RTOL,ATOL.");
  CHECK(
      message_of("rk4@1e-3") ==
      "solver rk4@1e-3: rk4 has no error estimate, so it cannot choose its steps. Write rk4:8, or "
      "take dopri5@1e-3.");
  CHECK(message_of("rk4:8~pi") ==
        "solver rk4:8~pi: a controller is for adaptive steps, as in dopri5@1e-3~pi.");
  CHECK(message_of("dopri5~pd") ==
        "solver dopri5~pd: there is no controller \"pd\". Write ~i, ~pi or ~pid,0.4,0.3,0.");
  CHECK(message_of("dopri5~pid,1").find("there is no controller") != std::string::npos);
  CHECK(message_of("rk2,0.3:8") ==
        "solver rk2,0.3:8: \"0.3\" is not name=value. Steps follow a colon: rk2:8.");
  CHECK(message_of("rk2,u=x:8") ==
        "solver rk2,u=x:8: u must be a number like 0.25, 1e-3 or 1/3, got \"x\".");
  CHECK(message_of("").find("the name of a method comes first") != std::string::npos);
  CHECK(message_of(":8").find("the name of a method comes first") != std::string::npos);
  CHECK(message_of("dorpi5@1e-3").find("Did you mean dopri5?") != std::string::npos);
  CHECK(message_of("rk2,u=0:8").find("u = 0 is a pole") != std::string::npos);
}

TEST_CASE("step grids: counts, sizes, output times, exact ends") {
  const auto grid = [](const char* word, const std::vector<double>& times) {
    return step_grid(parse_solver(word).stepping, times);
  };
  CHECK(grid("rk4:4", {0, 1}) == std::vector<double>{0, 0.25, 0.5, 0.75, 1});
  CHECK(grid("rk4:4", {1, 0}) == std::vector<double>{1, 0.75, 0.5, 0.25, 0});
  CHECK(grid("rk4:h=0.4", {0, 1}) == std::vector<double>{0, 0.4, 0.8, 1});
  CHECK(grid("rk4:h=0.4", {1, 0}).back() == 0);
  CHECK(grid("rk4:h=5", {0, 1}) == std::vector<double>{0, 1});
  CHECK(grid("rk4:2", {0, 0.3, 1}) == std::vector<double>{0, 0.3, 0.5, 1});
  CHECK(grid("rk4:10", {0, 0.3, 1})[3] == 0.3);  // 3 * 0.1 is not 0.3, but within rounding of it
  CHECK(grid("rk4:10", {0, 0.3, 1}).size() == 11);
  CHECK(grid("rk4:3", {2, 2}) == std::vector<double>{2});
  // h = 1/n makes n steps, in float32 arithmetic too; published code fails for n = 41 or 61.
  for (int n = 1; n <= 300; ++n) {
    CHECK(step_grid(StepSize{1. / n}, {0, 1}).size() == static_cast<size_t>(n) + 1);
    CHECK(step_grid(StepSize{static_cast<double>(1.f / static_cast<float>(n))}, {0, 1}).size() <=
          static_cast<size_t>(n) + 2);
    CHECK(step_grid(Steps{n}, {0, 3}).back() == 3);
  }
  CHECK_THROWS_AS(step_grid(Steps{0}, {0, 1}), ValueError);
  CHECK_THROWS_AS(step_grid(StepSize{0}, {0, 1}), ValueError);
  CHECK_THROWS_AS(step_grid(StepSize{1e-12}, {0, 1}), ValueError);
  CHECK_THROWS_AS(step_grid(StepGrid{{0, 0.5, 0.4, 1}}, {0, 1}), ValueError);
  CHECK_THROWS_AS(step_grid(StepGrid{{0, 0.5}}, {0, 1}), ValueError);
}
