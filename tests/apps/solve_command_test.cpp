// slope solve: what it prints, its counts, and what it says about wrong input.
#include <cmath>

#include "tests/apps/program.h"

using namespace slope::program_test;

TEST_CASE("solve: the JSON of one problem") {
  Folder here;
  const Result r = run(here, {"solve", "cosine", "--solver", "rk4:64", "--solver", "dopri5@1e-6",
                              "--at", "1.25,2.5,5", "--json"});
  CHECK(r.error.empty());
  const Json json = r.json();
  CHECK(json["problem"] == "cosine");
  REQUIRE(json["results"].size() == 2);
  const Json fixed = json["results"][0], adaptive = json["results"][1];
  for (const Json& one : {fixed, adaptive}) {
    CHECK(one["problem"] == "cosine");
    CHECK(one["status"] == "success");
    CHECK(one["t"] == Json({1.25, 2.5, 5}));
    REQUIRE(one["y"].size() == 3);
    CHECK(one["error_against"] == "formula");
    double error = 0;
    for (size_t i = 0; i < 3; ++i) {
      REQUIRE(one["y"][i].size() == 1);
      error = std::max(error, std::abs(one["y"][i][0].get<double>() -
                                       std::exp(std::sin(one["t"][i].get<double>()))));
    }
    CHECK(one["error"].get<double>() == doctest::Approx(error).epsilon(1e-6));
    CHECK(one["seconds"].get<double>() > 0);
  }
  CHECK(fixed["solver"] == "rk4:64");
  CHECK(fixed["nfe"] == 256);
  CHECK(fixed["accepted"] == 64);
  CHECK(fixed["rejected"] == 0);
  CHECK(fixed["error"].get<double>() < 2e-5);
  CHECK(adaptive["solver"] == "dopri5@1e-6");
  const int attempts = adaptive["accepted"].get<int>() + adaptive["rejected"].get<int>();
  CHECK(adaptive["nfe"] == 2 + 6 * attempts);
  CHECK(adaptive["error"].get<double>() < 2e-5);
}

TEST_CASE("solve: orders show in a sweep; float64 is the default") {
  Folder here;
  const Json results = run(here, {"solve", "sine", "--solver", "heun", "--solver", "rk4", "--steps",
                                  "32,64,128", "--until", "2", "--json"})
                           .json()["results"];
  REQUIRE(results.size() == 6);
  const char* words[] = {"heun:32", "heun:64", "heun:128", "rk4:32", "rk4:64", "rk4:128"};
  for (size_t i = 0; i < 6; ++i) {
    CHECK(results[i]["solver"] == words[i]);
    if (i % 3 == 0) continue;
    const double order =
        std::log2(results[i - 1]["error"].get<double>() / results[i]["error"].get<double>());
    CHECK(order == doctest::Approx(i < 3 ? 2 : 4).epsilon(0.05));
  }
  const auto error = [&](const char* dtype) {
    return run(here,
               {"solve", "sine", "--solver", "rk4:128", "--until", "2", "--dtype", dtype, "--json"})
        .json()["results"][0]["error"]
        .get<double>();
  };
  CHECK(error("float64") == results[5]["error"].get<double>());
  CHECK(error("float32") > 1e-8);
  CHECK(run(here, {"solve", "--help"}).out.find("[float64]") != std::string::npos);
  CHECK(run(here, {"train", "--help"}).out.find("[float32]") != std::string::npos);
}

// The sums of ode-methods.md 3.4 for steps that are clipped at the end.
TEST_CASE("solve: DETEST with the I controller, evaluations in all") {
  Folder here;
  const std::pair<const char*, int> totals[] = {{"1e-3", 4526}, {"1e-6", 10502}, {"1e-9", 32912}};
  for (const auto& [tolerance, expected] : totals) {
    const std::string word = std::string("dopri5@") + tolerance + "~i";
    const Json results =
        run(here, {"solve", "detest", "--solver", word, "--json"}).json()["results"];
    REQUIRE(results.size() == 25);
    int sum = 0;
    for (const Json& r : results) {
      CHECK(r["status"] == "success");
      CHECK(r["nfe"] == 2 + 6 * (r["accepted"].get<int>() + r["rejected"].get<int>()));
      CHECK(r["error"].is_number());
      sum += r["nfe"].get<int>();
    }
    CHECK(std::abs(sum - expected) <= expected / 200);
    CHECK(results[0]["problem"] == "detest-a1");
    CHECK(results[24]["problem"] == "detest-e5");
  }
  const Result table = run(here, {"solve", "detest", "--solver", "dopri5@1e-3~i", "--quiet"});
  CHECK(table.status == 0);
  CHECK(table.out.find("detest-c5") != std::string::npos);
  CHECK(table.out.find("\ntotal ") != std::string::npos);
  CHECK(table.out.find(" 4526 ") != std::string::npos);
}

TEST_CASE("solve: a batch has starts of its own") {
  Folder here;
  const Json one = run(here, {"solve", "kepler,e=0.5", "--solver", "rk4:400", "--until", "3",
                              "--batch", "4", "--json"})
                       .json()["results"][0];
  const Json single =
      run(here, {"solve", "kepler,e=0.5", "--solver", "rk4:400", "--until", "3", "--json"})
          .json()["results"][0];
  REQUIRE(one["y"].size() == 1);
  REQUIRE(one["y"][0].size() == 4);
  CHECK(one["y"][0][0] == single["y"][0]);
  CHECK(one["y"][0][3] != single["y"][0]);
  CHECK(one["error_against"] == "dopri8@1e-13");
  CHECK(one["error"].get<double>() < 1e-5);
}

TEST_CASE("solve: steps per sample, each sample as if it were alone") {
  Folder here;
  const auto solved = [&](const char* batch, const char* stepping) {
    return run(here, {"solve", "lotka-volterra", "--solver", "dopri5@1e-6", "--at", "1,10",
                      "--batch", batch, "--stepping", stepping, "--json"})
        .json()["results"][0];
  };
  const Json alone = solved("1", "shared"), shared = solved("4", "shared");
  const Json each = solved("4", "per-sample");
  CHECK(alone["stepping"] == "shared");
  CHECK(shared["stepping"] == "shared");
  CHECK(each["stepping"] == "per-sample");
  CHECK(each["status"] == "success");
  CHECK(each["statuses"] == Json({"success", "success", "success", "success"}));
  CHECK(each["error"].get<double>() < 1e-3);
  REQUIRE(each["y"].size() == 2);
  for (size_t i = 0; i < 2; ++i) {
    CHECK(each["y"][i][0] == alone["y"][i]);  // to the bit
    CHECK(each["y"][i][3] != shared["y"][i][3]);
  }
  CHECK(solved("1", "per-sample")["nfe"] == alone["nfe"]);
  CHECK(each["nfe"].get<double>() <= shared["nfe"].get<double>());  // of a sample, on average
  CHECK(each["rows_evaluated"].get<double>() >= 4 * each["nfe"].get<double>());
  // Fixed steps are shared anyway.
  const Json fixed = run(here, {"solve", "cosine", "--solver", "rk4:8", "--stepping", "per-sample",
                                "--batch", "2", "--json"})
                         .json()["results"][0];
  CHECK(fixed["stepping"] == "shared");
  CHECK(fixed["nfe"] == 32);
  check_error(here, {"solve", "cosine", "--stepping", "own"}, 1, "Write shared or per-sample");
  run(here, {"solve", "cosine", "--batch", "3", "--stepping", "per-sample", "--report", "r"});
  CHECK(read(here / "r/report.html").find("\"nfe\":") != std::string::npos);
}

TEST_CASE("solve: a ball bounces where the formula says") {
  Folder here;
  const Json ball = run(here, {"solve", "bouncing-ball", "--solver", "dopri5@1e-6", "--solver",
                               "rk4:20", "--at", "1,5,10", "--json", "--report", "r"})
                        .json();
  for (const Json& r : ball["results"]) {
    CHECK(r["status"] == "success");
    CHECK(r["error"].get<double>() < 1e-8);
    CHECK(r["error_against"] == "formula");
    CHECK(r["t"] == Json({1, 5, 10}));
    REQUIRE(r["events"].size() == 4);
    double t = std::sqrt(2 * 10 / 9.81), flight = 2 * t;
    for (const Json& e : r["events"]) {
      CHECK(e["event"] == "bounce");
      CHECK(e["t"].get<double>() == doctest::Approx(t).epsilon(1e-9));
      CHECK(std::abs(e["y"][0].get<double>()) < 1e-8);
      CHECK(e["y"][1].get<double>() < 0);  // before it jumps
      flight *= 0.9;
      t += flight;
    }
  }
  CHECK(read(here / "r/report.html").find("\"truth_source\":\"formula\"") != std::string::npos);
  const Result text = run(here, {"solve", "bouncing-ball"});
  CHECK(text.out.find("\nbounce ") != std::string::npos);
  // Bounces that come faster and faster are a status, not an endless loop.
  const Result zeno = run(here, {"solve", "bouncing-ball", "--until", "30", "--json"});
  CHECK(zeno.json()["results"][0]["status"] == "step_limit");
  CHECK(zeno.json()["results"][0]["events"].size() > 100);
  CHECK(zeno.error.find("bouncing-ball, dopri5@1e-6: solve: ") != std::string::npos);
  check_error(here, {"solve", "bouncing-ball", "--batch", "2"}, 1, "Leave out --batch");
  check_error(here, {"solve", "bouncing-ball", "--until=-1"}, 1, "forward in time only");
}

TEST_CASE("solve: a tolerance below rounding is a warning") {
  Folder here;
  const Result r = run(here, {"solve", "cosine", "--solver", "dopri5@1e-9", "--until", "1",
                              "--dtype", "float32", "--json"});
  REQUIRE(r.json()["results"][0]["warnings"].size() == 1);
  CHECK(r.error.find("warning: cosine, dopri5@1e-9: ") != std::string::npos);
  CHECK(run(here, {"solve", "cosine", "--json"}).json()["results"][0]["warnings"].empty());
}

TEST_CASE("solve: -v says what will be done before it is done") {
  Folder here;
  const Result r = run(
      here, {"solve", "cosine", "--solver", "rk4:8", "--solver", "dopri5@1e-6", "-v", "--json"});
  const Json results = r.json()["results"];
  CHECK(r.error.find("cosine, rk4:8: from t = 0 to 10, 8 steps, 32 evaluations\n") !=
        std::string::npos);
  CHECK(results[0]["nfe"] == 32);
  CHECK(r.error.find("rtol 1e-6, atol 1e-6, first step 0.0") != std::string::npos);
  CHECK(r.error.find("2 evaluations to start, then 6 for each attempt\n") != std::string::npos);
  CHECK(run(here, {"solve", "cosine", "--json"}).error.empty());
}

TEST_CASE("solve: the report is one file with everything in it") {
  Folder here;
  run(here, {"solve", "kepler", "--solver", "rk4:200", "--solver", "dopri5@1e-6", "--report", "r",
             "--json"})
      .json();
  const std::string page = read(here / "r/report.html");
  for (const char* part : {"\"truth_source\":\"formula\"", "\"numerator\"", "\"precision\"",
                           "Work and precision", "\"solver\":\"dopri5@1e-6\""}) {
    INFO(std::string(part));
    CHECK(page.find(part) != std::string::npos);
  }
  CHECK(page.find("{{") == std::string::npos);
  CHECK(page.find("<script src") == std::string::npos);  // nothing from elsewhere
  check_error(here, {"solve", "cosine", "--report", "r"}, 1, "r/report.html exists");
  CHECK(read(here / "r/report.html") == page);
  run(here, {"solve", "detest", "--solver", "bosh3@1e-3", "--report", "r", "--force", "--json"})
      .json();
  CHECK(read(here / "r/report.html").find("detest-e5") != std::string::npos);
}

TEST_CASE("solve: failure is data, with a line that says why") {
  Folder here;
  const Result r = run(here, {"solve", "vanderpol,mu=100", "--solver", "rk4:50", "--json"});
  const Json failed = r.json()["results"][0];
  CHECK(failed["status"] == "not_finite");
  CHECK(failed["error"].is_null());
  CHECK(failed["y"].empty());
  CHECK(failed["message"].get<std::string>().find("Try smaller steps") != std::string::npos);
  CHECK(r.error.find("vanderpol,mu=100, rk4:50: solve: ") != std::string::npos);
  const Result table = run(here, {"solve", "vanderpol,mu=100", "--solver", "rk4:50"});
  CHECK(table.status == 0);
  CHECK(table.out.find("not finite") != std::string::npos);
  // The last good state comes along.
  CHECK(failed["last"]["t"].get<double>() >= 0);
  CHECK(failed["last"]["y"].size() == 2);
  // Several problems, steps per sample: the total is the sum of the rows.
  const Json total = run(here, {"solve", "detest", "--solver", "bosh3@1e-2", "--batch", "2",
                                "--stepping", "per-sample", "--json"})
                         .json()["results"];
  double sum = 0;
  for (const Json& one : total) sum += one["nfe"].get<double>();
  char text[32];
  std::snprintf(text, sizeof text, " %.1f ", sum);
  CHECK(run(here, {"solve", "detest", "--solver", "bosh3@1e-2", "--batch", "2", "--stepping",
                   "per-sample"})
            .out.find(text) != std::string::npos);
}

TEST_CASE("solve: wrong words and times, one line each") {
  Folder here;
  check_error(here, {"solve"}, 2, "problem is required");
  check_error(here, {"solve", "cosin"}, 1, "Did you mean cosine?");
  check_error(here, {"solve", "kepler,e=2"}, 1, "from 0 to below 0.999");
  check_error(here, {"solve", "cosine", "--solver", "dopri"}, 1, "Did you mean dopri5?");
  check_error(here, {"solve", "cosine", "--until", "soon"}, 1, "--until must be a number");
  check_error(here, {"solve", "cosine", "--at", "2,1"}, 1, "1 comes after 2");
  check_error(here, {"solve", "cosine", "--at", "1", "--until=-1"}, 1, "must lead away from 0");
  check_error(here, {"solve", "cosine", "--batch", "0"}, 2, "must be positive");
  const Json problems = run(here, {"info", "problems", "--json"}).json()["problems"];
  CHECK(problems.size() >= 35);
  for (const Json& p : problems) CHECK(!p["what"].get<std::string>().empty());
}
