// The contract of the command line: what is printed where, JSON keys, exit statuses, what is said
// about wrong input.
#include <cmath>
#include <map>

#include "tests/apps/program.h"

using namespace slope::program_test;

namespace {

const Arguments kSpheres = {"train", "spheres-mlp", "--iterations", "60",     "--optimizer",
                            "adam",  "--lr",        "0.01",         "--json", "--quiet"};

Arguments with(Arguments a, const Arguments& more) {
  a.insert(a.end(), more.begin(), more.end());
  return a;
}

std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> names;
  for (const auto& [key, value] : object.items()) names.push_back(key);
  return names;
}

void check_keys(const Json& object, const std::vector<std::string>& wanted) {
  for (const std::string& key : wanted) {
    INFO(key, " in ", object.dump());
    CHECK(object.contains(key));
  }
}

}  // namespace

TEST_CASE("train: one JSON object, a run folder, numbered after those that exist") {
  Folder here;
  const Result r = run(here, kSpheres);
  const Json json = r.json();
  CHECK(r.error.empty());
  check_keys(json, {"run", "model", "parameters", "epochs", "test_accuracy", "best_accuracy",
                    "train_loss", "nfe_forward", "nfe_backward", "seconds", "examples_per_second"});
  CHECK(json["run"] == "runs/spheres-mlp-001");
  CHECK(json["parameters"] == 168);
  CHECK(json["nfe_forward"] == 4);  // rk4:1
  for (const char* file : {"config.toml", "metrics.csv", "model.safetensors", "best.safetensors",
                           "log.txt", "plane.json", "report.html"}) {
    INFO(file);
    CHECK(fs::file_size(here / "runs/spheres-mlp-001" / file) > 0);
  }
  CHECK(run(here, kSpheres).json()["run"] == "runs/spheres-mlp-002");
}

TEST_CASE("train: config.toml repeats the run bit for bit, and what is typed wins") {
  Folder here;
  run(here, with(kSpheres, {"--out", "a", "--seed", "7", "--batch", "100", "--clip-norm", "0.3"}))
      .json();
  run(here, {"train", "--config", "a/config.toml", "--out", "b", "--json", "--quiet"}).json();
  CHECK(read(here / "a/config.toml") == read(here / "b/config.toml"));
  // The files differ in how long it took, which the checkpoint keeps: compare what eval sees.
  const Json a = run(here, {"eval", "a", "--solver", "rk4:3", "--json"}).json()["results"][0];
  const Json b = run(here, {"eval", "b", "--solver", "rk4:3", "--json"}).json()["results"][0];
  CHECK(a["loss"].get<double>() == b["loss"].get<double>());
  run(here, {"train", "--config=a/config.toml", "--seed", "8", "--out", "c", "--quiet"});
  CHECK(read(here / "c/config.toml").find("seed = 8\n") != std::string::npos);
  CHECK(read(here / "c/config.toml").find("batch = 100\n") != std::string::npos);
}

TEST_CASE("train: a folder that exists is refused, and keeps what it has") {
  Folder here;
  run(here, with(kSpheres, {"--out", "a"})).json();
  const std::string weights = read(here / "a/model.safetensors");
  check_error(here, with(kSpheres, {"--out", "a"}), 1, "the run folder a exists");
  // Even with --force nothing goes before everything else is right.
  check_error(here, with(kSpheres, {"--out", "a", "--force", "--solver", "rk5"}), 1,
              "no method rk5");
  check_error(here, with(kSpheres, {"--out", "a", "--force", "--batch", "99999"}), 1, "99999");
  CHECK(read(here / "a/model.safetensors") == weights);
  run(here, with(kSpheres, {"--out", "a", "--force", "--seed", "1"})).json();
  CHECK(read(here / "a/model.safetensors") != weights);
}

TEST_CASE("eval and attack: results in the order given, words as given, exact fractions") {
  Folder here;
  run(here, with(kSpheres, {"--out", "a"})).json();
  const Json eval =
      run(here, {"eval", "a", "--solver", "heun:2", "--solver", "dopri5@1e-3", "--json"}).json();
  CHECK(eval["run"] == "a");
  REQUIRE(eval["results"].size() == 2);
  CHECK(eval["results"][0]["solver"] == "heun:2");
  CHECK(eval["results"][1]["solver"] == "dopri5@1e-3");
  for (const Json& r : eval["results"]) {
    check_keys(r, {"solver", "regime", "accuracy", "correct", "examples", "loss", "nfe"});
    CHECK(r["examples"] == 1000);
    CHECK(r["accuracy"].get<double>() == r["correct"].get<double>() / 1000);
    CHECK(r["regime"] == "standalone");
  }
  CHECK(eval["results"][0]["nfe"] == 4);
  // Per batch: two of the first step's choice and six of each attempt. Four batches make quarters.
  const double nfe = eval["results"][1]["nfe"].get<double>();
  CHECK(nfe >= 8);
  CHECK(std::fmod(4 * nfe - 4 * 2, 6) == 0);

  const Json own = run(here, {"eval", "a", "--solver", "dopri5@1e-3", "--solver", "rk4:2",
                              "--stepping", "per-sample", "--json"})
                       .json()["results"];
  CHECK(eval["results"][1]["stepping"] == "shared");
  CHECK(own[0]["stepping"] == "per-sample");
  CHECK(own[1]["stepping"] == "shared");  // fixed steps are
  CHECK(own[0]["nfe"].get<double>() >= 8);
  check_error(here, {"eval", "a", "--stepping", "own"}, 1, "Write shared or per-sample");

  const Json sweep = run(here, {"eval", "a", "--solver", "euler", "--solver", "rk4:9", "--steps",
                                "1,2", "--limit", "10", "--json"})
                         .json()["results"];
  REQUIRE(sweep.size() == 4);
  const char* words[] = {"euler:1", "euler:2", "rk4:1", "rk4:2"};
  for (size_t i = 0; i < 4; ++i) {
    CHECK(sweep[i]["solver"] == words[i]);
    CHECK(sweep[i]["examples"] == 10);
  }

  const Json attack =
      run(here, {"attack", "a", "--attack", "fgsm,eps=1/10", "--attack", "fgsm,eps=0", "--solver",
                 "euler:1", "--solver", "rk4:1", "--attack-solver", "euler:2", "--attack-solver",
                 "rk4:1", "--json"})
          .json()["results"];
  REQUIRE(attack.size() == 8);
  for (size_t i = 0; i < 8; ++i) {
    check_keys(attack[i], {"attack", "solver", "attack_solver", "gradient", "clean_accuracy",
                           "accuracy", "examples", "warnings"});
    CHECK(attack[i]["attack"] == (i < 4 ? "fgsm,eps=1/10" : "fgsm,eps=0"));
    CHECK(attack[i]["solver"] == (i / 2 % 2 == 0 ? "euler:1" : "rk4:1"));
    CHECK(attack[i]["attack_solver"] == (i % 2 == 0 ? "euler:2" : "rk4:1"));
    if (i >= 4) CHECK(attack[i]["accuracy"] == attack[i]["clean_accuracy"]);
  }
  const Json results = Json::parse(read(here / "a/results.json"));
  CHECK(results["eval"].size() == 8);
  CHECK(results["attack"].size() == 8);
  CHECK(read(here / "a/report.html").find("fgsm,eps=1/10") != std::string::npos);
}

TEST_CASE("MNIST: trains, evaluates and attacks on real digits" * doctest::test_suite("long")) {
  Folder here;
  const Json train = run(here, {"train", "odenet-mnist", "--solver", "euler:1", "--limit", "256",
                                "--epochs", "1", "--batch", "64", "--out", "m", "--json"})
                         .json();
  CHECK(train["parameters"] == 208266);
  const Json eval = run(here, {"eval", "m", "--limit", "100", "--json"}).json()["results"][0];
  CHECK(eval["solver"] == "euler:1");
  CHECK(eval["examples"] == 100);
  const Json attack =
      run(here, {"attack", "m", "--attack", "fgsm,eps=0.3", "--limit", "50", "--json"})
          .json()["results"][0];
  CHECK(attack["examples"] == 50);
  CHECK(attack["accuracy"].get<double>() <= attack["clean_accuracy"].get<double>());
  CHECK(Json::parse(read(here / "m/pictures.json"))["pictures"].size() == 8);
}

TEST_CASE("info: golden counts, methods that eval takes, files") {
  Folder here;
  const Json models = run(here, {"info", "models", "--json"}).json()["models"];
  std::map<std::string, int> counts;
  for (const Json& m : models) {
    counts[m["name"]] = m["parameters"];
    CHECK(m["tensors"][0]["shape"].size() == m["tensors"][0]["torch_shape"].size());
  }
  CHECK(counts["odenet-mnist"] == 208266);
  CHECK(counts["resnet-mnist"] == 576778);
  CHECK(counts["rknet-mnist"] == 208138);
  CHECK(counts["spheres-conv"] == 3207);
  CHECK(counts["tisode-mnist"] == 141130);
  CHECK(counts["premetanode10"] == 674762);
  CHECK(counts["odenet-pixels"] == 179213);
  const Json methods = run(here, {"info", "methods", "--json"}).json();
  for (const Json& m : methods["methods"]) {
    check_keys(m, {"name", "order", "embedded_order", "stages", "fsal", "adaptive", "implicit",
                   "multistep", "separable", "dense_order", "example"});
  }
  for (const char* topic : {"attacks", "devices", "ops"})
    CHECK(keys(run(here, {"info", topic, "--json"}).json()) == std::vector<std::string>{topic});
  run(here, with(kSpheres, {"--out", "a"})).json();
  check_keys(run(here, {"info", "a", "--json"}).json(), {"run", "model", "parameters", "solver"});
  CHECK(run(here, {"info", "a/model.safetensors", "--json"}).json()["tensors"].size() == 18);
}

TEST_CASE("train, eval: implicit methods, whose steps no plan can hold") {
  Folder here;
  const auto accuracy = [](const Json& j) { return j["results"][0]["accuracy"].get<double>(); };
  const Arguments train = {"train",  "spheres-mlp", "--iterations", "3",
                           "--seed", "1",           "--solver",     "implicit-euler:4",
                           "--out",  "a",           "--json",       "--quiet"};
  run(here, train).json();
  for (const char* solver : {"implicit-euler:4", "gauss4:2", "kvaerno3@1e-3"}) {
    const double found = accuracy(run(here, {"eval", "a", "--solver", solver, "--json"}).json());
    CHECK(found > 0);
    CHECK(found <= 1);
  }
}

TEST_CASE("bench: the keys of a case") {
  Folder here;
  const Json cases = run(here, {"bench", "train-step", "--model", "spheres-mlp", "--solver",
                                "rk4:2", "--samples", "3", "--json"})
                         .json()["cases"];
  REQUIRE(cases.size() == 1);
  check_keys(cases[0], {"name", "min_ms", "median_ms", "samples", "nfe", "gflop", "peak_gflops",
                        "bytes_peak"});
  CHECK(cases[0]["nfe"] == 8);
  CHECK(cases[0]["samples"] == 3);
}

TEST_CASE(
    "bench: solves of a problem, with shared steps and with own ones; samples of other data") {
  Folder here;
  const auto the_case = [&](const Arguments& more) {
    Arguments a{"bench",     "solve",    "--problem",   "lotka-volterra", "--until",
                "2",         "--solver", "dopri5@1e-6", "--batch",        "9",
                "--samples", "2",        "--json"};
    a.insert(a.end(), more.begin(), more.end());
    return run(here, a).json()["cases"].at(0);
  };
  const Json shared = the_case({}), own = the_case({"--stepping", "per-sample"});
  check_keys(shared, {"name", "min_ms", "median_ms", "samples", "nfe", "gflop", "peak_gflops",
                      "bytes_peak"});
  const Json solved = run(here, {"solve", "lotka-volterra", "--until", "2", "--solver",
                                 "dopri5@1e-6", "--batch", "9", "--json"})
                          .json()["results"][0];
  CHECK(shared["nfe"] == solved["nfe"]);
  CHECK(own["nfe"].get<double>() == doctest::Approx(shared["nfe"].get<double>()).epsilon(0.2));
  CHECK(own["name"] == "solve lotka-volterra dopri5@1e-6 per-sample b9");
  check_error(here, {"bench", "solve", "--problem", "bouncing-ball"}, 1, "has events");
  const Json wide = run(here, {"bench", "eval-step", "--model", "spheres-mlp", "--data",
                               "spheres,dim=50,train=4,test=4", "--samples", "1", "--json"})
                        .json()["cases"][0];
  const Json flat =
      run(here, {"bench", "eval-step", "--model", "spheres-mlp", "--samples", "1", "--json"})
          .json()["cases"][0];
  CHECK(wide["gflop"].get<double>() > 5 * flat["gflop"].get<double>());
}

TEST_CASE("bench: a model with dropout gets its random keys") {
  Folder here;
  const Json cases = run(here, {"bench", "train-step", "--model", "odenet-cifar", "--batch", "1",
                                "--samples", "1", "--json"})
                         .json()["cases"];
  REQUIRE(cases.size() == 1);
  CHECK(cases[0]["nfe"] == 4);
}

TEST_CASE("wrong usage: exit status 2, one line, the nearest right word") {
  Folder here;
  check_error(here, {}, 2, "no command was given");
  check_error(here, {"trian"}, 2, "Did you mean train?");
  check_error(here, {"train"}, 2, "MODEL");
  check_error(here, {"train", "spheres-mlp", "--epoch", "2"}, 2, "Did you mean --epochs?");
  check_error(here, {"train", "spheres-mlp", "--epochs", "0"}, 2, "must be positive, got 0");
  check_error(here, {"train", "spheres-mlp", "--limit", "-1"}, 2, "must be 0 or more, got -1");
  check_error(here, {"train", "spheres-mlp", "--lr", "nan"}, 2, "--lr");
  check_error(here, {"train", "spheres-mlp", "--dtype", "float16"}, 2, "float32, float64");
  check_error(here, {"train", "spheres-mlp", "--seed", "-1"}, 2, "--seed");
  check_error(here, {"eval", "a", "--steps", "1,0"}, 2, "must be positive, got 0");
  check_error(here, {"attack", "a"}, 2, "--attack");
  check_error(here, {"bench", "nothing"}, 2, "train-step");
  CHECK(!fs::exists(here / "runs"));
}

TEST_CASE("words that mean nothing: exit status 1, one line, no run folder") {
  Folder here;
  const auto train = [&](const Arguments& more, const std::string& text) {
    check_error(here, with({"train", "spheres-mlp"}, more), 1, text);
  };
  check_error(here, {"train", "odenet"}, 1, "Did you mean odenet-mnist?");
  check_error(here, {"train", "spheres-mlp,size=3"}, 1, "has no option size");
  check_error(here, {"train", "spheres-mlp,width=0"}, 1, "width must be a whole number");
  train({"--solver", "rk4:0"}, "got 0");
  train({"--solver", "dopri5@-1"}, "rtol must be positive, got -1");
  train({"--solver", "dopri"}, "Did you mean dopri5?");
  train({"--solver", "rk4@1e-3"}, "no error estimate");
  train({"--gradient", "backwards"}, "no gradient");
  train({"--optimizer", "adma"}, "adam");
  train({"--schedule", "linear"}, "schedule");
  train({"--data", "sphere"}, "Did you mean spheres?");
  train({"--data", "mnist"}, "samples like (2)");
  train({"--batch", "2001"}, "2000 samples");
  train({"--limit", "2001"}, "2000 samples");
  train({"--device", "tpu"}, "tpu");
  for (const char* threads : {"1025", "20000", "1000000"})
    train({"--threads", threads}, "at most 1024 threads: got " + std::string(threads));
  check_error(here, {"info", "method"}, 1, "Did you mean methods?");
  check_error(here, {"eval", "nowhere"}, 1, "there is no such run folder");
  CHECK(!fs::exists(here / "runs"));
}

TEST_CASE("--config: a malformed file, an unknown key, a wrong type or value name file and line") {
  Folder here;
  const std::pair<const char*, const char*> cases[] = {
      {"epoch = 3", "Did you mean epochs?"}, {"epochs = \"3\"", "whole number, got text"},
      {"epochs = 1.5", "whole number"},      {"epochs = 0", "must be positive, got 0"},
      {"epochs = [1]", "got a list"},        {"solver = 3", "must be text"},
      {"dtype = 'f16'", "float32, float64"}, {"lr = inf", "0 or more"},
      {"force = 1", "true or false"},        {"epochs = ", "c.toml:2"}};
  for (const auto& [line, text] : cases) {
    write(here / "c.toml", std::string("# one\n") + line + "\n");
    check_error(here, {"train", "spheres-mlp", "--config", "c.toml"}, 1, "c.toml:2: ");
    check_error(here, {"train", "spheres-mlp", "--config", "c.toml"}, 1, text);
  }
  check_error(here, {"train", "spheres-mlp", "--config", "none.toml"}, 1, "cannot be opened");
}

TEST_CASE("damaged runs: one line that names the file") {
  Folder here;
  run(here, with(kSpheres, {"--out", "a"})).json();
  const std::string weights = read(here / "a/model.safetensors"),
                    config = read(here / "a/config.toml");
  const fs::path file = here / "a/model.safetensors";
  for (const size_t size : {size_t{0}, size_t{7}, size_t{100}, weights.size() - 1}) {
    write(file, weights.substr(0, size));
    check_error(here, {"eval", "a"}, 1, "a/model.safetensors: ");
    check_error(here, {"train", "--resume", "a"}, 1, "a/model.safetensors: ");
    check_error(here, {"info", "a/model.safetensors"}, 1, "a/model.safetensors: ");
  }
  // Metadata of the same length that are no numbers.
  std::string damaged = weights;
  const size_t at = damaged.find("\"step\":\"");
  REQUIRE(at != std::string::npos);
  damaged[at + 8] = 'x';
  write(file, damaged);
  check_error(here, {"train", "--resume", "a"}, 1, "metadata \"step\"");
  CHECK(read(file) == damaged);
  write(file, weights);

  std::string other = config;
  other.replace(other.find("spheres-mlp"), 11, "spheres-conv");
  write(here / "a/config.toml", other);
  const Result r = run(here, {"eval", "a"});
  CHECK(r.status == 1);
  CHECK(r.error.find("does not fit the model") != std::string::npos);
  CHECK(r.error.find("no ode.conv1.weight (32, 1, 1)") != std::string::npos);
  write(here / "a/config.toml", config + "surprise = 1\n");
  check_error(here, {"eval", "a"}, 1, "no option surprise");
  write(here / "a/config.toml", config);
  check_error(here, {"eval", "a", "--data", "spheres,dim=3"}, 1, "samples (3)");
  check_error(here, {"eval", "a", "--limit", "5000"}, 1, "1000 samples");
  check_error(here, {"train", "--resume", "a", "--solver", "rk4:2"}, 2, "--solver");
  fs::remove(file);
  check_error(here, {"eval", "a"}, 1, "model.safetensors is missing");
  write(here / "a/outcome.json", R"({"state": "running"})");
  check_error(here, {"eval", "a"}, 1, "its training has not come to its first checkpoint");
}

TEST_CASE("data that is missing or damaged: one line that names it") {
  Folder here;
  const fs::path mnist = fs::path(slope::test::source_dir()) / "data/mnist";
  fs::create_directories(here / "d/mnist");
  const Arguments train = {"train", "odenet-mnist", "--data-dir", "d"};
  check_error(here, train, 1, "train-images-idx3-ubyte");
  for (const auto& entry : fs::directory_iterator(mnist)) {
    if (entry.path().extension() == ".gz")
      fs::copy(entry.path(), here / "d/mnist" / entry.path().filename());
  }
  const fs::path labels = here / "d/mnist/train-labels-idx1-ubyte.gz";
  const std::string whole = read(labels);
  write(labels, whole.substr(0, whole.size() / 2));
  check_error(here, train, 1, "train-labels-idx1-ubyte.gz");
  write(labels, "not an archive");
  check_error(here, train, 1, "train-labels-idx1-ubyte.gz");
  // A folder that was named is the only one: SLOPE_DATA, which has the digits, is no way out.
  fs::create_directories(here / "empty");
  for (const char* folder : {"empty", "nowhere"})
    check_error(here, {"train", "odenet-mnist", "--data-dir", folder}, 1,
                std::string("mnist is not in ") + folder + "/mnist.");
  CHECK(!fs::exists(here / "runs"));
}
