// A run that is stopped, at whatever moment and however rudely, goes on to the same bits.
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <set>

#include "nn/checkpoint.h"
#include "tests/apps/program.h"

using namespace slope::program_test;

namespace {

// Long enough to be stopped in the middle. An epoch has 16 steps: checkpoints every 7 lie in the
// middle of epochs, those every 16 after an epoch's last step but before its end.
const Arguments kTrain = {"train", "spheres-mlp", "--iterations", "3000",     "--optimizer",
                          "adam",  "--lr",        "0.01",         "--solver", "rk4:2"};
const Arguments kResume = {"train", "--resume", "stopped", "--json"};

Arguments into(const std::string& folder, const char* checkpoint_every = "7") {
  Arguments a = kTrain;
  a.insert(a.end(), {"--checkpoint-every", checkpoint_every, "--json", "--out", folder});
  return a;
}

// The program under way: it has saved a checkpoint of its own, or has ended.
Running started(const Folder& here, const Arguments& arguments) {
  const fs::path file = here / "stopped/model.safetensors";
  const auto before = fs::exists(file) ? fs::last_write_time(file) : fs::file_time_type{};
  Running running(here, arguments);
  while (!running.ended() && (!fs::exists(file) || fs::last_write_time(file) == before))
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return running;
}

// Every tensor, optimiser state included, and the curves without the column of seconds.
void check_same(const Folder& here) {
  const auto a = slope::nn::load_checkpoint(here / "whole/model.safetensors"),
             b = slope::nn::load_checkpoint(here / "stopped/model.safetensors");
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    INFO(a.tensors[i].name);
    CHECK(a.tensors[i].name == b.tensors[i].name);
    CHECK(a.tensors[i].tensor.values() == b.tensors[i].tensor.values());
  }
  const auto curves = [&](const char* run) {
    std::istringstream in(read(here / run / "metrics.csv"));
    std::string text;
    for (std::string line; std::getline(in, line);) {
      std::istringstream row(line);
      std::string cell;
      for (int i = 0; std::getline(row, cell, ','); ++i) {
        if (i != 2) text += cell + ",";
      }
      text += "\n";
    }
    return text;
  };
  CHECK(curves("whole") == curves("stopped"));
}

}  // namespace

TEST_CASE("resume: after Ctrl-C, SIGTERM and SIGHUP a run ends as if it had not been stopped") {
  Folder here;
  ::signal(SIGHUP, SIG_DFL);  // it is heard unless it was ignored from the start, as under nohup
  const Json whole = run(here, into("whole")).json();
  const std::pair<int, int> signals[] = {{SIGINT, 130}, {SIGTERM, 143}, {SIGHUP, 129}};
  Arguments next = into("stopped");
  int stopped = 0;
  for (const auto& [number, status] : signals) {
    Running running = started(here, next);
    running.signal(number);
    const Result r = running.wait();
    INFO(r.error);
    if (r.status == 0) continue;  // it was faster than the signal
    CHECK(r.status == status);
    CHECK(r.out.empty());
    CHECK(r.error.find("slope train --resume stopped") != std::string::npos);
    next = kResume;
    ++stopped;
  }
  CHECK(stopped > 0);
  const Json json = run(here, kResume).json();
  CHECK(json["train_loss"] == whole["train_loss"]);
  CHECK(json["epochs"] == whole["epochs"]);
  check_same(here);
}

TEST_CASE("resume: a run that is killed has a whole checkpoint and goes on to the same bits") {
  for (const char* checkpoint_every : {"7", "16"}) {
    CAPTURE(checkpoint_every);
    Folder here;
    run(here, into("whole", checkpoint_every)).json();
    Arguments next = into("stopped", checkpoint_every);
    for (const int milliseconds : {0, 3, 11, 25}) {
      Running running = started(here, next);
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
      running.signal(SIGKILL);
      running.wait();
      REQUIRE(fs::exists(here / "stopped/model.safetensors"));
      CHECK(!slope::nn::load_checkpoint(here / "stopped/model.safetensors").tensors.empty());
      next = kResume;
    }
    run(here, kResume).json();
    check_same(here);
  }
}

TEST_CASE("resume: a run that is stopped before its first checkpoint begins again") {
  Folder here;
  run(here, into("whole")).json();
  fs::create_directories(here / "stopped");
  fs::copy_file(here / "whole/config.toml", here / "stopped/config.toml");
  write(here / "stopped/log.txt", "what was before\n");
  // Weights that a finished run has lost are not made anew over its head, nor those of an import.
  for (const char* outcome : {R"({"state": "finished"})", ""}) {
    write(here / "stopped/outcome.json", outcome);
    check_error(here, {"train", "--resume", "stopped"}, 1, "model.safetensors is missing");
  }
  write(here / "stopped/outcome.json", R"({"state": "running"})");
  check_error(here, {"eval", "stopped"}, 1,
              "stopped: its training has not come to its first checkpoint. If it was stopped: "
              "slope train --resume stopped.");
  const Result r = run(here, kResume);
  CHECK(r.json()["run"] == "stopped");
  CHECK(r.error.starts_with("stopped: stopped before its first checkpoint; once more"));
  check_same(here);
  CHECK(read(here / "stopped/log.txt").find("what was before") == std::string::npos);
  // Longer, if asked for.
  fs::remove(here / "stopped/model.safetensors");
  write(here / "stopped/outcome.json", R"({"state": "failed"})");
  CHECK(run(here, {"train", "--resume", "stopped", "--epochs", "1", "--json"}).json()["epochs"] ==
        1);
}

// All that a run may carry from step to step. The average is what is saved, and evaluated.
TEST_CASE("resume: average, plateau, groups and regularisers go on to the same bits") {
  Folder here;
  const auto with_epochs = [](const char* epochs, const char* out) {
    return Arguments{"train",        "spheres-mlp",
                     "--epochs",     epochs,
                     "--out",        out,
                     "--solver",     "bosh3:2",
                     "--ema",        "0.99",
                     "--schedule",   "plateau,patience=0,warmup=20",
                     "--lr",         "0.3",
                     "--optimizer",  "nesterov",
                     "--group",      "vectors,weight-decay=0,rate=1/2",
                     "--regularize", "kinetic=0.01,jacobian=0.01,end-time=0.1,error=1",
                     "--json"};
  };
  const Json whole = run(here, with_epochs("6", "whole")).json();
  run(here, with_epochs("3", "stopped")).json();
  run(here, {"train", "--resume", "stopped", "--epochs", "6", "--json"}).json();
  check_same(here);

  const auto checkpoint = slope::nn::load_checkpoint(here / "whole/model.safetensors");
  const auto average = checkpoint.find("linear.weight"),
             trained = checkpoint.find("optimizer.trained.linear.weight");
  REQUIRE(average.defined());
  REQUIRE(trained.defined());
  CHECK(average.values() != trained.values());
  const Json eval = run(here, {"eval", "whole", "--json"}).json()["results"][0];
  CHECK(eval["accuracy"] == whole["test_accuracy"]);

  std::istringstream metrics(read(here / "whole/metrics.csv"));
  std::string header, first;
  std::getline(metrics, header);
  std::getline(metrics, first);
  CHECK(header.ends_with(",penalty"));
  CHECK(std::stod(first.substr(first.rfind(',') + 1)) > 0);
  const std::string config = read(here / "whole/config.toml");
  CHECK(config.find("group = ['vectors,weight-decay=0,rate=1/2']") != std::string::npos);

  const Json mistakes = Json::parse(read(here / "whole/mistakes.json"));
  int64_t samples = 0, right = 0;
  for (size_t i = 0; i < 2; ++i) {
    right += mistakes["confusion"][i][i].get<int64_t>();
    for (size_t j = 0; j < 2; ++j) samples += mistakes["confusion"][i][j].get<int64_t>();
  }
  CHECK(samples == 1000);
  CHECK(static_cast<double>(right) / 1000 == whole["test_accuracy"]);
  CHECK(read(here / "whole/report.html").find("\"confusion\":") != std::string::npos);

  check_error(here, {"train", "spheres-mlp", "--group", "stem"}, 1, "no parameter is in stem");
  check_error(here, {"train", "spheres-mlp", "--group", "bias,rate=-1"}, 1, "must be 0 or more");
  check_error(here, {"train", "spheres-mlp", "--group", "bias,lr=1"}, 1, "rate, weight-decay");
  check_error(here, {"train", "spheres-mlp", "--regularize", "energy=1"}, 1, "kinetic=W");
  check_error(here, {"train", "cnn-mnist", "--regularize", "kinetic=1"}, 1, "has no ODE block");
  check_error(here, {"train", "spheres-mlp", "--ema", "1"}, 1, "below 1");
}

// BatchNorm's statistics of the test are those that are saved.
TEST_CASE("resume: --bn-batches, with an average of the weights, goes on to the same bits") {
  Folder here;
  const auto train = [](const char* out, const Arguments& more) {
    Arguments a{"train",
                "rknet-mnist",
                "--epochs",
                "2",
                "--solver",
                "euler:1",
                "--limit",
                "70",
                "--batch",
                "16",
                "--lr",
                "0.02",
                "--test-limit",
                "40",
                "--augment",
                "crop,padding=2",
                "--ema",
                "0.9",
                "--checkpoint-every",
                "3",
                "--json",
                "--out",
                out};
    a.insert(a.end(), more.begin(), more.end());
    return a;
  };
  // More batches than the five of an epoch, the last of which is smaller.
  const Arguments anew = {"--bn-batches", "7"};
  const Json whole = run(here, train("whole", anew)).json();
  Running running = started(here, train("stopped", anew));  // in the middle of an epoch
  running.signal(SIGINT);
  CHECK(running.wait().status == 130);
  run(here, kResume).json();
  check_same(here);
  CHECK(read(here / "whole/config.toml").find("\nbn-batches = 7\n") != std::string::npos);

  const Json eval = run(here, {"eval", "whole", "--limit", "40", "--json"}).json()["results"][0];
  CHECK(eval["accuracy"] == whole["test_accuracy"]);
  const std::string metrics = read(here / "whole/metrics.csv");
  std::istringstream last(metrics.substr(metrics.find("\n2,") + 1));
  std::string cell;
  for (int i = 0; i < 7; ++i) std::getline(last, cell, ',');
  CHECK(std::stod(cell) == doctest::Approx(eval["loss"].get<double>()).epsilon(1e-6));

  // The weights learn what they learn without; only the statistics are others.
  run(here, train("running", {})).json();
  const auto a = slope::nn::load_checkpoint(here / "whole/model.safetensors"),
             b = slope::nn::load_checkpoint(here / "running/model.safetensors");
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    const std::string& name = a.tensors[i].name;
    CAPTURE(name);
    const bool statistic = name.find("running_") != std::string::npos;
    CHECK((a.tensors[i].tensor.values() != b.tensors[i].tensor.values()) == statistic);
  }

  check_error(here, {"train", "odenet-mnist", "--bn-batches", "1", "--out", "none"}, 1,
              "statistics: odenet-mnist has no BatchNorm.");
  check_error(here,
              {"train", "rknet-mnist", "--bn-batches", "1", "--train-noise", "noise,sigma=0.1",
               "--out", "none"},
              1, "bn-batches: the statistics would be of samples as they are");
  check_error(here, {"train", "rknet-mnist", "--bn-batches", "-1", "--out", "none"}, 2,
              "--bn-batches: must be 0 or more, got -1");
  CHECK_FALSE(fs::exists(here / "none"));
}

// Files may not grow beyond a limit here, which a program sees as it sees a full disk.
TEST_CASE("train: a disk that is full ends the run with one line; what was saved before stays") {
  Folder here;
  run(here, {"train", "spheres-mlp,width=256", "--epochs", "1", "--out", "a", "--json"}).json();
  const std::string before = read(here / "a/model.safetensors");
  const auto limited = [](rlim_t bytes) {
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  };
  const auto old = std::signal(SIGXFSZ, SIG_IGN);  // the program inherits it, and gets an error
  limited(4096);
  Running running(here, {"train", "--resume", "a", "--epochs", "2", "--quiet"});
  limited(RLIM_INFINITY);
  std::signal(SIGXFSZ, old);
  const Result r = running.wait();
  INFO(r.error);
  CHECK(r.status == 1);
  CHECK(r.error.starts_with("error: "));
  CHECK(std::count(r.error.begin(), r.error.end(), '\n') == 1);
  CHECK(r.error.find(".safetensors") != std::string::npos);
  CHECK(read(here / "a/model.safetensors") == before);
  CHECK(read(here / "a/outcome.json").find("failed") != std::string::npos);
  run(here, {"train", "--resume", "a", "--epochs", "2", "--json"}).json();
}

TEST_CASE("resume: a metrics file that lost its header, or its last line's end, is mended") {
  Folder here;
  const auto with_epochs = [](const char* epochs, const char* out) {
    return Arguments{"train", "spheres-mlp", "--epochs", epochs, "--out", out, "--json"};
  };
  run(here, with_epochs("4", "whole")).json();
  run(here, with_epochs("2", "stopped")).json();
  const fs::path file = here / "stopped/metrics.csv";
  const std::string text = read(file);
  const size_t first = text.find('\n') + 1;
  // Without the header, and with a third epoch that was cut off in the middle of a number.
  std::ofstream(file) << text.substr(first) << text.substr(text.find("\n2,") + 1, 20);
  run(here, {"train", "--resume", "stopped", "--epochs", "4", "--json"}).json();
  check_same(here);
}

TEST_CASE("resume: more epochs with --epochs; a finished run has nothing to do") {
  Folder here;
  const Arguments two = {"train", "spheres-mlp", "--epochs", "2", "--out", "stopped", "--json"};
  const Arguments four = {"train", "spheres-mlp", "--epochs", "4", "--out", "whole", "--json"};
  run(here, four).json();
  run(here, two).json();
  const Json again = run(here, kResume).json();
  CHECK(again["epochs"] == 2);
  const Json more = run(here, {"train", "--resume", "stopped", "--epochs", "4", "--json"}).json();
  CHECK(more["epochs"] == 4);
  check_same(here);  // the rate is constant, so two and two epochs are four
  CHECK(more["warnings"].empty());
  check_error(here, {"train", "--resume", "stopped", "--epochs", "3"}, 1,
              "steps behind it already");
  CHECK(read(here / "stopped/config.toml").find("epochs = 4") != std::string::npos);
}

TEST_CASE("resume: a schedule of parts of the whole says that more epochs change it") {
  Folder here;
  run(here, {"train", "spheres-mlp", "--epochs", "2", "--schedule", "cosine", "--out", "a"});
  const Json more = run(here, {"train", "--resume", "a", "--epochs", "4", "--json"}).json();
  REQUIRE(more["warnings"].size() == 1);
  CHECK(more["warnings"][0].get<std::string>().find("cosine counts 64 steps now") !=
        std::string::npos);
}

// The evaluations of an epoch are its own, not a mean over what this process has done.
TEST_CASE("resume: an adaptive solver's evaluations per epoch are those of a run left alone") {
  Folder here;
  const auto with_epochs = [](const char* epochs, const char* out) {
    return Arguments{"train",    "spheres-mlp", "--solver", "dopri5@1e-5", "--lr",  "0.05",
                     "--epochs", epochs,        "--out",    out,           "--json"};
  };
  const Json whole = run(here, with_epochs("6", "whole")).json();
  run(here, with_epochs("3", "stopped")).json();
  const Json rest = run(here, {"train", "--resume", "stopped", "--epochs", "6", "--json"}).json();
  check_same(here);
  CHECK(rest["nfe_forward"] == whole["nfe_forward"]);
  std::set<std::string> evaluations;
  std::istringstream rows(read(here / "whole/metrics.csv"));
  for (std::string line; std::getline(rows, line);)
    evaluations.insert(line.substr(line.find_last_of(',', line.find_last_of(',') - 1)));
  CHECK(evaluations.size() > 2);  // the header, and at least two that differ
}

TEST_CASE("train: a folder that a run is writing is left alone, also with --force") {
  Folder here;
  Arguments endless = into("stopped");
  *std::find(endless.begin(), endless.end(), "3000") = "10000000";
  endless.push_back("--quiet");  // its lines would come between those of the others
  Running running = started(here, endless);
  const std::string config = read(here / "stopped/config.toml");
  check_error(here, {"train", "--resume", "stopped"}, 1, "another slope train is writing this run");
  check_error(here, {"train", "spheres-conv", "--epochs", "1", "--out", "stopped", "--force"}, 1,
              "another slope train is writing this run");
  fs::copy(here / "stopped/model.safetensors", here / "weights.safetensors");
  check_error(here,
              {"import", "weights.safetensors", "--model", "spheres-mlp", "--layout", "slope",
               "--out", "stopped", "--force"},
              1, "another slope train is writing this run");
  CHECK(read(here / "stopped/config.toml") == config);
  running.signal(SIGINT);
  CHECK(running.wait().status == 130);
  run(here, {"train", "spheres-mlp", "--epochs", "1", "--out", "stopped", "--force", "--json"})
      .json();
}

TEST_CASE("train: a limit that leaves classes out says so") {
  Folder here;
  const auto warnings = [&](const char* limit) {
    return run(here, {"train", "spheres-mlp", "--epochs", "1", "--limit", limit, "--json"})
        .json()["warnings"];
  };
  const Json few = warnings("500");
  REQUIRE(few.size() == 1);
  CHECK(few[0] == "the first 500 training samples are of 1 of the 2 classes");
  CHECK(warnings("2000").empty());
}

// 32 pictures that look like nothing, as MNIST has them: few enough to be quick.
void write_small_mnist(const fs::path& folder) {
  fs::create_directories(folder);
  const std::string sizes{0, 0, 0, 32, 0, 0, 0, 28, 0, 0, 0, 28};
  std::string pixels, labels;
  for (uint32_t i = 0; i < 32 * 28 * 28; ++i) pixels += static_cast<char>(i * 2654435761u >> 24);
  for (int i = 0; i < 32; ++i) labels += static_cast<char>(i % 10);
  for (const char* part : {"train", "t10k"}) {
    const std::string start = folder / part;
    write(start + "-images-idx3-ubyte", std::string{0, 0, 8, 3} + sizes + pixels);
    write(start + "-labels-idx1-ubyte", std::string{0, 0, 8, 1, 0, 0, 0, 32} + labels);
  }
}

TEST_CASE("--exact belongs to the run: what uses it computes as it was trained") {
  Folder here;
  write_small_mnist(here / "data/mnist");
  const auto slope = [&](Arguments words) {
    words.insert(words.end(), {"--data-dir", "data", "--quiet"});
    const Result r = run(here, words);
    INFO(r.error);
    REQUIRE(r.status == 0);
  };
  const auto train = [&](Arguments more) {
    more.insert(more.begin(), {"train", "odenet-mnist", "--solver", "euler:1", "--batch", "16"});
    slope(more);
  };
  const auto logits = [&](const char* folder, Arguments more = {}) {
    more.insert(more.begin(), {"predict", folder, "--data", "mnist", "--out", "l.safetensors"});
    more.push_back("--force");
    slope(more);
    return read(here / "l.safetensors");
  };
  const auto says_exact = [&](const char* folder) {
    return read(here / folder / "config.toml").find("exact = true") != std::string::npos;
  };
  train({"--epochs", "2", "--exact", "--out", "whole"});
  CHECK(says_exact("whole"));
  const std::string direct = logits("whole");
  CHECK(logits("whole", {"--exact"}) == direct);

  train({"--epochs", "1", "--exact", "--out", "resumed"});
  slope({"train", "--resume", "resumed", "--epochs", "2"});
  CHECK(says_exact("resumed"));
  CHECK(logits("resumed") == direct);

  slope({"train", "--config", "whole/config.toml", "--out", "again"});
  CHECK(says_exact("again"));
  CHECK(logits("again") == direct);

  // What --exact changes in this model.
  train({"--epochs", "2", "--out", "fast"});
  CHECK_FALSE(says_exact("fast"));
  CHECK(logits("fast") != logits("fast", {"--exact"}));
}

// As a kill during the last test leaves it, where checkpoints are written by steps.
TEST_CASE(
    "resume: a checkpoint behind the last step and before the end of its epoch gets that end") {
  Folder here;
  run(here, {"train", "spheres-mlp", "--epochs", "2", "--out", "whole", "--json"}).json();
  const fs::path file = here / "stopped/model.safetensors";
  run(here, {"train", "spheres-mlp", "--epochs", "1", "--out", "stopped", "--json"}).json();
  fs::remove(here / "stopped/best.safetensors");
  run(here, {"train", "--resume", "stopped", "--epochs", "2", "--json"}).json();
  slope::nn::Checkpoint c = slope::nn::load_checkpoint(file);
  const double loss = std::stod(c.metadata.at("train-loss"));
  const std::pair<const char*, std::string> before_the_end[] = {
      {"epoch", "1"},         {"batch", "16"},
      {"seen", "2000"},       {"correct", "1000"},
      {"test-accuracy", "0"}, {"passes", "16"},
      {"forward-sum", "64"},  {"backward-sum", "64"},
      {"best-accuracy", "0"}, {"loss-sum", std::to_string(2000 * loss)}};
  for (const auto& [name, value] : before_the_end) c.metadata.at(name) = value;
  slope::nn::save_checkpoint(file, c.tensors, c.metadata);
  fs::remove(here / "stopped/best.safetensors");

  const Json ended = run(here, kResume).json();
  CHECK(ended["epochs"] == 2);
  CHECK(ended["test_accuracy"].get<double>() > 0);
  CHECK(ended["best_accuracy"] == ended["test_accuracy"]);
  CHECK(fs::exists(here / "stopped/best.safetensors"));
  const std::string curve = read(here / "stopped/metrics.csv");
  CHECK(std::count(curve.begin(), curve.end(), '\n') == 3);
  CHECK(slope::nn::load_checkpoint(file).metadata.at("batch") == "0");
}
