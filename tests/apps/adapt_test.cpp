// Training with --adapt: its record, its checkpoint and what the run is used with afterwards.
#include "tests/apps/program.h"

using namespace slope::program_test;

namespace {

// Steps of one training; adapted every 5 steps, so that some decisions change the solver.
Arguments training(const std::string& solver, const std::string& adapt, const std::string& out) {
  return {"train",  "spheres-conv", "--data", "spheres,dim=2,train=400,test=100",
          "--json", "--solver",     solver,   "--adapt",
          adapt,    "--batch",      "100",    "--lr",
          "0.003",  "--iterations", "60",     "--out",
          out,      "--quiet"};
}

std::vector<std::vector<std::string>> csv(const fs::path& path) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream in(read(path));
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> cells;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, ',');) cells.push_back(cell);
    rows.push_back(cells);
  }
  return rows;
}

}  // namespace

TEST_CASE("adapt: the step's course is recorded, and the run is used with the last one") {
  const Folder folder;
  const Json trained = run(folder, training("euler:1", "step,every=5,max-steps=40", "a")).json();
  const auto rows = csv(folder / "a" / "adapt.csv");
  REQUIRE(rows.size() == 14);  // head, start, every fifth of 60
  CHECK(rows[0][0] == "step");
  CHECK(rows[1][3] == "start");
  int64_t changes = 0;
  for (size_t i = 2; i < rows.size(); ++i) {
    CHECK(rows[i][0] == std::to_string(5 * (i - 1)));
    const double before = std::stod(rows[i - 1][1]), after = std::stod(rows[i][1]);
    CHECK(after <= 1);
    if (rows[i][3] == "finer") CHECK(after < before);
    if (rows[i][3] == "coarser") CHECK(after > before);
    if (rows[i][3] == "kept") CHECK(after == before);
    changes += after != before;
  }
  CHECK(changes > 0);
  const double size = std::stod(rows.back()[1]);
  CHECK(trained["adapted_size"].get<double>() == size);
  CHECK(trained["adapted_steps"].get<int>() == std::stoi(rows.back()[2]));
  const std::string solver = trained["adapted_solver"];
  CHECK(solver.starts_with("euler:h="));
  // What the model is now: eval without a solver uses the adapted one.
  const Json evaluated = run(folder, {"eval", "a", "--json", "--quiet"}).json();
  CHECK(evaluated["results"][0]["solver"] == solver);
  CHECK(evaluated["results"][0]["accuracy"] == trained["test_accuracy"]);
  CHECK(evaluated["results"][0]["nfe"] == trained["adapted_steps"]);
}

TEST_CASE("adapt: a run that was stopped goes on to the bit") {
  for (const auto& [solver, adapt] :
       {std::pair{"euler:1", "step,every=3"},
        std::pair{"fehlberg2@1e-2", "tolerance,every=3,first=0.01"}}) {
    CAPTURE(std::string(adapt));
    const Folder folder;
    run(folder, training(solver, adapt, "whole")).json();
    Arguments half = training(solver, adapt, "half");
    *(std::find(half.begin(), half.end(), "60")) = "32";
    run(folder, half).json();
    // The same options as the whole one has, at step 32 of 60.
    fs::path config = folder / "half" / "config.toml";
    std::string text = read(config);
    text.replace(text.find("iterations = 32"), 15, "iterations = 60");
    write(config, text);
    run(folder, {"train", "--resume", "half", "--json", "--quiet"}).json();
    CHECK(read(folder / "whole" / "adapt.csv") == read(folder / "half" / "adapt.csv"));
    for (const char* run_name : {"whole", "half"}) {
      run(folder, {"predict", run_name, "--data", "spheres,dim=2,train=400,test=100", "--out",
                   std::string(run_name) + ".safetensors", "--quiet"});
    }
    CHECK(read(folder / "whole.safetensors") == read(folder / "half.safetensors"));
  }
}

TEST_CASE("adapt: what cannot be adapted is refused before a folder is made") {
  const Folder folder;
  const auto refused = [&](const Arguments& further, const std::string& text) {
    Arguments all{"train", "spheres-conv", "--out", "x"};
    all.insert(all.end(), further.begin(), further.end());
    check_error(folder, all, 1, text);
    CHECK(!fs::exists(folder / "x"));
  };
  refused({"--solver", "dopri5@1e-3", "--adapt", "step"}, "chooses its own steps");
  refused({"--solver", "euler:4", "--adapt", "tolerance"}, "have no tolerance");
  refused({"--solver", "euler:4", "--adapt", "speed"}, "a step or a tolerance");
  refused({"--solver", "euler:4", "--adapt", "step,every=0"}, "every");
  refused({"--solver", "euler:4+euler:8", "--regime", "switching", "--adapt", "step"}, "regime");
  check_error(folder, {"train", "cnn-mnist", "--out", "x", "--adapt", "step", "--limit", "100"}, 1,
              "no ODE block");
}
