// slope reproduce: the list, one preset at smoke scale, and how it goes on.
#include "tests/apps/program.h"

using namespace slope::program_test;

TEST_CASE("reproduce: the presets are listed") {
  const Folder folder;
  const Json list = run(folder, {"reproduce", "--json"}).json()["presets"];
  CHECK(list.size() >= 18);
  std::vector<std::string> names;
  for (const Json& preset : list) {
    names.push_back(preset["name"]);
    CHECK(!preset["what"].get<std::string>().empty());
    CHECK(!preset["source"].get<std::string>().empty());
  }
  for (const char* name :
       {"metasolver-mnist-u", "metasolver-cifar", "metasolver-families", "resnet-after-all-4a",
        "resnet-after-all-4b", "resnet-after-all-4d", "resnet-after-all-5", "tolerance-adaptation",
        "three-minima", "from-scratch", "tisode-noise", "tisode-adversarial", "odenet-solvers",
        "fast-at-mnist", "anode-vs-adjoint", "homework-cifar", "tisode-questions", "spheres-dims"})
    CHECK(std::count(names.begin(), names.end(), name) == 1);
  check_error(folder, {"reproduce", "three-maxima"}, 1, "Did you mean three-minima?");
  check_error(folder, {"reproduce", "three-minima", "--only", "euler"}, 1, "euler-64");
}

TEST_CASE("reproduce: a preset is run, told, kept, and used again") {
  const Folder folder;
  const Arguments command{"reproduce", "three-minima", "--scale", "smoke",    "--seeds",
                          "2",         "--only",       "euler-1", "--epochs", "3",
                          "--out",     "out",          "--json",  "--quiet"};
  const Json first = run(folder, command).json();
  CHECK(first["preset"] == "three-minima");
  CHECK(first["scale"] == "smoke");
  REQUIRE(first["rows"].is_array());
  // The parameters are known, of both seeds: no spread.
  const Json& parameters = first["rows"][0];
  CHECK(parameters["what"] == "parameters");
  CHECK(parameters["published"] == 3210);
  CHECK(parameters["measured"] == 3210);
  CHECK(parameters["n"] == 2);
  CHECK(parameters["stderr"] == 0);
  // Mean and standard error with n - 1: of two values half their distance.
  const Json& own = first["rows"][1];
  CHECK(own["what"] == "trained with euler:1, its own solver");
  REQUIRE(own["values"].size() == 2);
  const double a = own["values"][0], b = own["values"][1];
  CHECK(own["measured"].get<double>() == doctest::Approx((a + b) / 2));
  CHECK(own["stderr"].get<double>() == doctest::Approx(std::abs(a - b) / 2));
  CHECK(own["examples"] == 1000);
  CHECK(own["of"] == "last epoch");
  CHECK(own["published"].is_null());
  // What a hand would get: the same commands, the same figures.
  const Json evaluated =
      run(folder, {"eval", "out/euler-1/seed-1", "--json", "--quiet"}).json()["results"][0];
  CHECK(evaluated["accuracy"] == b);
  // Not run here: no figure, and it says so.
  const Json& adapted = first["rows"].back();
  CHECK(adapted["measured"].is_null());
  CHECK(adapted["n"] == 0);
  CHECK(adapted["note"].get<std::string>().find("not run") != std::string::npos);
  // What differs from the publication is told.
  const std::string changes = first["changes"].dump();
  CHECK(changes.find("2 seeds instead of 5") != std::string::npos);
  CHECK(changes.find("--epochs 3") != std::string::npos);
  const std::string report = read(folder / "out" / "report.html");
  CHECK(report.find("Published and measured") != std::string::npos);
  CHECK(report.find("trained with euler:1, its own solver") != std::string::npos);

  // Again: nothing is trained, the figures are the same.
  const auto weights = folder / "out" / "euler-1" / "seed-0" / "model.safetensors";
  const auto written = fs::last_write_time(weights);
  CHECK(run(folder, command).json()["rows"] == first["rows"]);
  CHECK(fs::last_write_time(weights) == written);
  // Half of it is gone, as after an interruption: that half is done again.
  fs::remove_all(folder / "out" / "euler-1" / "seed-1");
  CHECK(run(folder, command).json()["rows"] == first["rows"]);
  CHECK(fs::last_write_time(weights) == written);
  // The config.toml of a program that did not know some option yet is no other one.
  const auto config = folder / "out" / "euler-1" / "seed-0" / "config.toml";
  std::string text = read(config);
  const size_t line = text.find("test-limit = 0\n");
  REQUIRE(line != text.npos);
  text.erase(line, std::string("test-limit = 0\n").size());
  std::ofstream(config) << text;
  CHECK(run(folder, command).json()["rows"] == first["rows"]);
  CHECK(fs::last_write_time(weights) == written);
  // Other options in the same folder are refused.
  Arguments other = command;
  *std::find(other.begin(), other.end(), "3") = "4";
  check_error(folder, other, 1, "other options");
}

TEST_CASE("reproduce: fewer training and test samples, and the table says of how many") {
  const Folder folder;
  const Json done = run(folder, {"reproduce", "three-minima", "--seeds", "1", "--only", "euler-1",
                                 "--epochs", "1", "--limit", "256", "--test-limit", "100", "--out",
                                 "out", "--json", "--quiet"})
                        .json();
  const Json& own = done["rows"][1];
  CHECK(own["what"] == "trained with euler:1, its own solver");
  CHECK(own["examples"] == 100);
  const std::string changes = done["changes"].dump();
  CHECK(changes.find("--limit 256 in every training") != std::string::npos);
  CHECK(changes.find("first 100 test samples") != std::string::npos);
  // The commands are those that were run: typed by hand they give the same.
  REQUIRE(done["commands"].size() == 3);
  const std::string train = done["commands"][0], eval = done["commands"][1];
  CHECK(train.find("--epochs 1 --iterations 0 --limit 256 --test-limit 100") != std::string::npos);
  CHECK(eval.ends_with("--limit 100"));
  const Json trained = run(folder, {"train", "--config", "out/euler-1/seed-0/config.toml", "--out",
                                    "again", "--json", "--quiet"})
                           .json();
  CHECK(trained["test_examples"] == 100);
  CHECK(trained["test_accuracy"] == own["measured"]);
}
