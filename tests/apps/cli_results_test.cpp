// What a result is worth: printed or an error, finite or a warning, and never beside weights that
// it was not made with.
#include <limits>

#include "nn/checkpoint.h"
#include "tests/apps/program.h"

using namespace slope::program_test;
namespace nn = slope::nn;

namespace {

// A run "a" of a second or so.
void train(const Folder& here, const Arguments& more = {}) {
  Arguments a{"train", "spheres-mlp", "--epochs", "1", "--out", "a", "--quiet", "--json"};
  a.insert(a.end(), more.begin(), more.end());
  run(here, a).json();
}

// Weights times a factor; the optimiser's state stays.
void scale_weights(const Folder& here, float factor) {
  const fs::path file = here / "a/model.safetensors";
  nn::Checkpoint c = nn::load_checkpoint(file);
  for (nn::NamedTensor& t : c.tensors) {
    if (t.name.starts_with("optimizer.")) continue;
    std::vector<float> values = t.tensor.to_vector<float>();
    for (float& v : values) v *= factor;
    t.tensor = slope::from_host(values, t.tensor.shape());
  }
  nn::save_checkpoint(file, c.tensors, c.metadata);
}

int shell(const Folder& here, const std::string& arguments) {
  const std::string command =
      "cd '" + here.path().string() + "' && '" + slope::test::program() + "' " + arguments;
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("results: outputs that are not finite are a warning, weights that are not an error") {
  Folder here;
  train(here);
  scale_weights(here, 1e30F);
  // Debug builds repeat a plan eagerly, and an eager solve says itself that the field is infinite.
  ::setenv("SLOPE_CHECK_PLANS", "0", 1);
  for (const Arguments& command :
       {Arguments{"eval", "a", "--json", "--quiet"},
        Arguments{"attack", "a", "--attack", "fgsm,eps=0.1", "--json", "--quiet"}}) {
    const Result r = run(here, command);
    const Json result = r.json()["results"][0];
    REQUIRE(!result["warnings"].empty());
    CHECK(result["warnings"][0].get<std::string>().find("not finite") != std::string::npos);
    CHECK(r.error.starts_with("warning: "));
  }
  const Result people = run(here, {"eval", "a", "--quiet"});
  CHECK(people.out.find("-nan") == std::string::npos);
  ::unsetenv("SLOPE_CHECK_PLANS");

  scale_weights(here, std::numeric_limits<float>::quiet_NaN());
  check_error(here, {"eval", "a"}, 1, "not finite");
  check_error(here, {"attack", "a", "--attack", "fgsm"}, 1, "not finite");
  check_error(here, {"train", "--resume", "a", "--epochs", "2"}, 1, "not finite");
}

TEST_CASE("results: those of other data, dtype or seed stand beside each other, no two alike") {
  Folder here;
  train(here);
  const auto eval = [&](const Arguments& more) {
    Arguments a{"eval", "a", "--json"};
    a.insert(a.end(), more.begin(), more.end());
    return run(here, a).json()["results"][0]["loss"].get<double>();
  };
  const double loss = eval({});
  const double exact = eval({"--dtype", "float64"});
  CHECK(exact != loss);
  CHECK(exact == doctest::Approx(loss).epsilon(1e-4));
  CHECK(eval({"--data", "spheres,dim=2,test=1000"}) == loss);
  CHECK(eval({"--limit", "10"}) != loss);
  CHECK(eval({"--seed", "5"}) == loss);  // of the draws, not of what is tested
  CHECK(eval({}) == loss);
  const Json all = Json::parse(read(here / "a/results.json"));
  REQUIRE(all["eval"].size() == 5);
  CHECK(all["eval"][0]["data"] == "spheres,dim=2");
  CHECK(all["eval"][1]["dtype"] == "float64");
  CHECK(all["eval"][4]["seed"] == 5);
  CHECK(run(here, {"attack", "a", "--attack", "fgsm", "--dtype", "float64", "--json"})
            .json()["results"][0]["examples"] == 1000);
}

TEST_CASE("train: options that do not fit each other leave the run that --force overwrites alone") {
  Folder here;
  train(here);
  const std::string before = read(here / "a/model.safetensors");
  const std::pair<Arguments, const char*> wrong[] = {
      {{"--gradient", "reversible"}, "rk4 cannot be undone step by step"},
      {{"--regularize", "error=1"}, "needs a method that estimates its error"},
      {{"--regime", "switching", "--solver", "reversible-heun:2+rk4:2", "--gradient", "reversible"},
       "rk4 cannot be undone step by step"}};
  for (const auto& [options, message] : wrong) {
    for (const char* out : {"a", "b"}) {
      Arguments all{"train", "spheres-mlp", "--out", out, "--force"};
      all.insert(all.end(), options.begin(), options.end());
      check_error(here, all, 1, message);
    }
  }
  CHECK(read(here / "a/model.safetensors") == before);
  CHECK(fs::exists(here / "a/report.html"));
  CHECK(!fs::exists(here / "b"));
}

TEST_CASE("results: a training that goes on leaves none of those before") {
  Folder here;
  train(here);
  run(here, {"eval", "a", "--solver", "euler:7", "--json"}).json();
  run(here, {"train", "--resume", "a", "--json"}).json();  // nothing to do: they stay
  CHECK(read(here / "a/report.html").find("euler:7") != std::string::npos);
  run(here, {"train", "--resume", "a", "--epochs", "2", "--json"}).json();
  CHECK(!fs::exists(here / "a/results.json"));
  CHECK(read(here / "a/report.html").find("euler:7") == std::string::npos);
  // Nor where a run was killed, and its report never renewed.
  write(here / "a/results.json", R"({"step": 3, "attack": [{"attack": "fgsm,eps=0.7"}]})");
  run(here, {"eval", "a", "--json"}).json();
  CHECK(read(here / "a/report.html").find("fgsm,eps=0.7") == std::string::npos);
}

TEST_CASE("results: printed before they are kept; stdout that takes nothing is an error") {
  Folder here;
  train(here);
  fs::create_directories(here / "a/results.json/in the way");
  const Result r = run(here, {"eval", "a", "--json", "--quiet"});
  CHECK(r.json()["results"].size() == 1);
  CHECK(r.error.starts_with("warning: the run folder keeps no such result: a/results.json"));
  for (const char* command : {"eval a --quiet --json", "eval a --quiet", "info methods",
                              "info data --json", "--help", "solve sine --quiet"}) {
    CAPTURE(command);
    CHECK(shell(here, command + std::string(" >/dev/full 2>said")) == 1);
    CHECK(read(here / "said").find("error: stdout: ") != std::string::npos);
  }
}

TEST_CASE("train: the defaults of the models of points train; a loss that is not finite says so") {
  Folder here;
  for (const char* model : {"spheres-mlp", "spheres-conv"}) {
    CAPTURE(model);
    const Json json =
        run(here, {"train", model, "--iterations", "200", "--json", "--quiet"}).json();
    CHECK(json["test_accuracy"].get<double>() > 0.7);
    CHECK(json["warnings"].empty());
  }
  const Result r =
      run(here, {"train", "spheres-conv", "--optimizer", "sgd", "--lr", "1e9", "--quiet"});
  CHECK(r.status == 1);
  CHECK(r.error.find("not finite") + r.error.find("the loss is") != 2 * std::string::npos);
  CHECK(r.error.find("checkpoint") == std::string::npos);  // there is none
  CHECK(r.error.find("-nan") == std::string::npos);
}

TEST_CASE("train: an optimiser with decoupled decay has the learning rate of its sibling") {
  Folder here;
  const std::pair<const char*, const char*> rates[] = {
      {"adam", "0.01"},      {"adamw", "0.01"},    {"sgd", "0.05"},      {"sgdw", "0.05"},
      {"nesterovw", "0.05"}, {"rmsprop", "0.001"}, {"rmspropw", "0.001"}};
  for (const auto& [name, rate] : rates) {
    CAPTURE(name);
    run(here, {"train", "spheres-mlp", "--optimizer", name, "--iterations", "1", "--batch", "64",
               "--data", "spheres,dim=2,test=12", "--out", name, "--json", "--quiet"})
        .json();
    CHECK(read(here / name / "config.toml").find(std::string("\nlr = ") + rate + "\n") !=
          std::string::npos);
  }
}

TEST_CASE("resume: counters outside their range are refused; leftovers of a kill are removed") {
  Folder here;
  train(here);
  const fs::path file = here / "a/model.safetensors";
  const nn::Checkpoint whole = nn::load_checkpoint(file);
  const std::pair<const char*, const char*> cases[] = {
      {"step", "-5"},       {"batch", "999999999"},
      {"loss-sum", "nan"},  {"correct", "1"},
      {"seen", "2001"},     {"best-accuracy", "1.5"},
      {"seconds", "1e300"}, {"epoch", "99999999999999999999"}};
  for (const auto& [name, value] : cases) {
    nn::Metadata metadata = whole.metadata;
    metadata[name] = value;
    nn::save_checkpoint(file, whole.tensors, metadata);
    check_error(here, {"train", "--resume", "a", "--epochs", "2"}, 1,
                std::string("metadata \"") + name + "\"");
  }
  nn::save_checkpoint(file, whole.tensors, whole.metadata);
  const char* leftovers[] = {"model.safetensors.tmp123", "best.safetensors.tmp4",
                             "results.json.tmp"};
  for (const char* name : leftovers) write(here / "a" / name, "half");
  write(here / "a/notes.tmp", "mine");
  run(here, {"train", "--resume", "a", "--epochs", "2", "--json"}).json();
  for (const char* name : leftovers) CHECK(!fs::exists(here / "a" / name));
  CHECK(read(here / "a/notes.tmp") == "mine");
}

TEST_CASE(
    "options: before the command, twice, at their limits, folders and bytes that are no text") {
  Folder here;
  CHECK(run(here, {"--threads", "1", "--json", "info", "data"}).json().contains("data"));
  CHECK(run(here, {"--threads=1", "info", "data", "--json"}).json().contains("data"));
  train(here, {"--seed", "9223372036854775807"});
  CHECK(read(here / "a/config.toml").find("seed = 9223372036854775807\n") != std::string::npos);
  check_error(here, {"train", "spheres-mlp", "--seed", "9223372036854775808"}, 2,
              "got 9223372036854775808");
  check_error(here, {"train", "spheres-mlp", "--iterations", "5", "--iterations=6"}, 2,
              "--iterations is given 2 times");
  check_error(here, {"train", "spheres-mlp", "--config", "a"}, 1, "a: is a folder");
  check_error(here, {"eval", "a", "--limit", "999999"}, 1, "1000 samples");
  check_error(here, {"attack", "a", "--attack", "fgsm", "--limit", "999999"}, 1, "1000 samples");
  const std::string odd = "r\xff";
  const Json json =
      run(here, {"train", "spheres-mlp", "--epochs", "1", "--out", odd, "--json", "--quiet"})
          .json();
  CHECK(json["run"] == "r\xef\xbf\xbd");  // the replacement character
  CHECK(fs::exists(here / odd / "report.html"));
}

TEST_CASE("runs: the best weights are used by their file, and the report stays that of the last") {
  Folder here;
  run(here, {"train", "spheres-mlp", "--epochs", "4", "--lr", "0.3", "--out", "a", "--json"})
      .json();
  const auto accuracy = [&](const std::string& place) {
    return run(here, {"eval", place, "--json"}).json()["results"][0]["accuracy"].get<double>();
  };
  const double last = accuracy("a");
  const std::string results = read(here / "a/results.json");
  const nn::Metadata best = nn::load_checkpoint(here / "a/best.safetensors").metadata;
  CHECK(accuracy("a/best.safetensors") == std::stod(best.at("best-accuracy")));
  CHECK(accuracy("a/best.safetensors") != last);  // or the rest would show nothing
  CHECK(read(here / "a/results.json") == results);
  CHECK(accuracy("a/model.safetensors") == last);

  fs::copy(here / "a/best.safetensors", here / "alone.safetensors");
  check_error(here, {"eval", "alone.safetensors"}, 1, "config.toml is missing beside it");
  check_error(here, {"train", "--resume", "a/best.safetensors"}, 1, "is a file");
}

TEST_CASE("train --init: starts from the weights of a run, or of a file in one") {
  Folder here;
  train(here);
  const auto started = [&](const std::string& place, const Arguments& more) {
    Arguments a{"train", "spheres-mlp", "--init", place,     "--iterations", "1", "--optimizer",
                "sgd",   "--lr",        "1e-30",  "--force", "--out",        "b", "--json"};
    a.insert(a.end(), more.begin(), more.end());
    return run(here, a).json()["test_accuracy"].get<double>();
  };
  const double trained = run(here, {"eval", "a", "--json"}).json()["results"][0]["accuracy"];
  CHECK(started("a", {}) == trained);
  CHECK(started("a/best.safetensors", {"--dtype", "float64", "--ema", "0.5"}) ==
        doctest::Approx(trained).epsilon(0.002));
  const std::string place = fs::canonical(here / "a/best.safetensors").string();
  CHECK(read(here / "b/config.toml").find("init = '" + place + "'\n") != std::string::npos);
  CHECK(read(here / "b/log.txt").find("starts from " + place + ", step 16, SHA-256 ") !=
        std::string::npos);
  check_error(here, {"train", "spheres-mlp", "--init", "a", "--out", "a", "--force"}, 1,
              "Choose another --out");

  // The weights of a run that goes on are its own: where it began may be gone.
  fs::remove_all(here / "a");
  run(here, {"train", "--resume", "b", "--json"}).json();
  check_error(here, {"train", "spheres-mlp", "--init", "a"}, 1, "there is no such run folder");
  const Result narrower = run(here, {"train", "spheres-mlp,width=16", "--init", "b"});
  CHECK(narrower.status == 1);
  CHECK(narrower.error.find("ode.linear1.weight is (32, 2)") != std::string::npos);
  CHECK(!fs::exists(here / "runs"));
}

TEST_CASE("train: an epoch that --iterations cuts off is a part of one") {
  Folder here;
  const Json result = run(here, {"train", "spheres-mlp", "--batch", "100", "--iterations", "50",
                                 "--out", "a", "--json"})
                          .json();
  CHECK(result["epochs"] == 2.5);
  const std::string page = read(here / "a/report.html");
  CHECK(page.find(R"(["2.5","epochs"])") != std::string::npos);
  check_error(here, {"train", "--resume", "a", "--epochs", "4"}, 1, "in the middle of its epoch 3");
  run(here,
      {"train", "spheres-mlp", "--batch", "100", "--iterations", "5", "--out", "b", "--json"});
  CHECK(read(here / "b/report.html").find(R"(["0.2","epochs"])") != std::string::npos);
}
