// Who may include whom (the table of layers). Reads every #include of the tree and fails with the
// file, the line, what is allowed there and the way out.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/paths.h"

namespace {

struct Layer {
  std::string files;                     // the rule holds for paths that start with this
  std::vector<std::string> may_include;  // beginnings of the paths they may include
  std::string way_out;
};

const std::vector<std::string> kEverything = {"core/",     "autograd/", "nn/",    "ode/",
                                              "backends/", "apps/",     "tests/", "bench/"};

const std::string kTakeAFunction =
    "Take what you need as a function or an interface, and let the higher layer pass it in.";

// The rule whose `files` is the longest match decides.
const std::vector<Layer> kLayers = {
    {"core/", {"core/"}, "core knows nobody. " + kTakeAFunction},
    // Every backend: core and its own folder (added by layer_of).
    {"backends/", {"core/"}, "Backends do not know each other. Move what they share to core."},
    {"backends/cpu/", {"core/", "backends/cpu/", "backends/reference/"}, "Move it to core."},
    {"backends/backends.", {"core/", "backends/"}, "This file only lists the backends."},
    {"autograd/", {"core/", "autograd/"}, kTakeAFunction},
    {"nn/", {"core/", "nn/"}, "Gradients belong to nn/train.* or nn/attack/. " + kTakeAFunction},
    {"nn/train.", {"core/", "nn/", "autograd/"}, kTakeAFunction},
    {"nn/attack/", {"core/", "nn/", "autograd/"}, kTakeAFunction},
    {"ode/",
     {"core/", "ode/"},
     "Gradients belong to ode/gradient*, implicit*, event.* or regularize.*, modules to "
     "ode/layer.*. " +
         kTakeAFunction},
    {"ode/gradient", {"core/", "ode/", "autograd/"}, kTakeAFunction},
    {"ode/implicit", {"core/", "ode/", "autograd/"}, kTakeAFunction},
    {"ode/event", {"core/", "ode/", "autograd/"}, kTakeAFunction},
    {"ode/regularize.", {"core/", "ode/", "autograd/"}, kTakeAFunction},
    {"ode/layer.", {"core/", "ode/", "nn/module.h"}, "A layer of ode needs nn/module.h only."},
    {"apps/",
     {"core/", "autograd/", "nn/", "ode/", "backends/", "apps/"},
     "Move what a program needs out of tests and bench into a library folder."},
    {"apps/models/",
     {"core/", "nn/", "ode/", "apps/models/"},
     "A model is layers and fields: training, attacks and printing belong to the program."},
    {"slope.h", {"core/", "autograd/", "nn/", "ode/"}, "The umbrella shows libraries only."},
    {"tests/", kEverything, ""},
    {"bench/", kEverything, ""},
};

bool starts_with_any(const std::string& path, const std::vector<std::string>& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](const std::string& beginning) { return path.starts_with(beginning); });
}

// The rule for a file, or a rule without `files` when none holds.
Layer layer_of(const std::string& file) {
  Layer best;
  for (const Layer& layer : kLayers) {
    if (file.starts_with(layer.files) && layer.files.size() > best.files.size()) best = layer;
  }
  if (best.files == "backends/") {
    best.files = file.substr(0, file.find('/', best.files.size()) + 1);
    best.may_include.push_back(best.files);
  }
  return best;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Why `file` may not include `included`; empty when it may.
std::string verdict(const std::string& file, const std::string& included) {
  const Layer layer = layer_of(file);
  if (layer.files.empty()) return "The folder has no rule. Add one to the table in this test.";
  if (!starts_with_any(included, kEverything) && included != "slope.h") {
    return "Write our own headers as a path from the top of the tree, as in \"core/tensor.h\", and "
           "those of other libraries in angle brackets.";
  }
  // slope::slope must link without slope::data and its file format libraries.
  if (included.starts_with("nn/data/") && file.starts_with("nn/") &&
      !file.starts_with("nn/data/")) {
    return "Only nn/data, apps, tests and bench may include nn/data. " + kTakeAFunction;
  }
  const bool umbrella =
      included == "slope.h" && starts_with_any(file, {"apps/", "tests/", "bench/"});
  if (umbrella || starts_with_any(included, layer.may_include)) return "";
  return layer.files + " may include: " + joined(layer.may_include) + ". " + layer.way_out;
}

// One message per forbidden include in `text`, the content of `file`.
std::vector<std::string> violations(const std::string& file, const std::string& text) {
  static const std::regex kInclude(R"re(^\s*#\s*include\s*(["<])([^">]+)[">])re");
  std::vector<std::string> found;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::smatch match;
    if (!std::regex_search(line, match, kInclude)) continue;
    const std::string included = match[2];
    // Angle brackets hide nothing: <core/tensor.h> is ours as well.
    if (match[1] == "<" && !starts_with_any(included, kEverything)) continue;
    const std::string reason = verdict(file, included);
    if (reason.empty()) continue;
    found.push_back(file + ":" + std::to_string(number) + ": includes \"" + included + "\". " +
                    reason);
  }
  return found;
}

bool forbidden(const std::string& file, const std::string& included) {
  return !violations(file, "#pragma once\n#include \"" + included + "\"\n").empty();
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("layering: no file of the tree includes across layers") {
  const std::filesystem::path root = slope::test::source_dir();
  const std::vector<std::string> extensions = {".h", ".cpp", ".def", ".cu", ".cuh", ".inc"};
  int files = 0;
  const auto check = [&](const std::filesystem::path& path) {
    const std::string extension = path.extension().string();
    if (std::find(extensions.begin(), extensions.end(), extension) == extensions.end()) return;
    ++files;
    const std::string name = path.lexically_relative(root).generic_string();
    for (const std::string& message : violations(name, read_text(path))) FAIL_CHECK(message);
  };
  for (const char* folder :
       {"core", "autograd", "nn", "ode", "backends", "apps", "bench", "tests"}) {
    if (!std::filesystem::exists(root / folder)) continue;
    // A user's project is no part of the tree's layers.
    for (auto entry = std::filesystem::recursive_directory_iterator(root / folder);
         entry != std::filesystem::recursive_directory_iterator(); ++entry) {
      if (entry->path() == root / "tests" / "install")
        entry.disable_recursion_pending();
      else if (entry->is_regular_file())
        check(entry->path());
    }
  }
  check(root / "slope.h");
  MESSAGE(files << " files read");
  CHECK(files > 10);
}

TEST_CASE("layering: an include across layers is found and explained") {
  const auto found =
      violations("core/tensor.h", "#pragma once\n\n  # include \"autograd/tape.h\"\n");
  REQUIRE(found.size() == 1);
  CHECK(
      found[0] ==
      "core/tensor.h:3: includes \"autograd/tape.h\". core/ may include: core/. core knows nobody. "
      "Take what you need as a function or an interface, and let the higher layer pass it in.");
}

TEST_CASE("layering: the table holds in both directions") {
  SUBCASE("forbidden") {
    CHECK(forbidden("core/ops/matmul.cpp", "backends/cpu/gemm.h"));
    CHECK(forbidden("autograd/tape.cpp", "nn/module.h"));
    CHECK(forbidden("backends/reference/kernels.cpp", "backends/cpu/gemm.h"));
    CHECK(forbidden("backends/cuda/api.h", "backends/reference/kernels.h"));
    CHECK(forbidden("backends/cpu/gemm.cpp", "autograd/tape.h"));
    CHECK(forbidden("nn/conv.cpp", "autograd/tape.h"));
    CHECK(forbidden("nn/trainer.cpp", "autograd/tape.h"));
    CHECK(forbidden("nn/train.cpp", "ode/solve.h"));
    CHECK(forbidden("nn/attack/fgsm.cpp", "ode/solve.h"));
    CHECK(forbidden("nn/module.cpp", "nn/data/idx.h"));
    CHECK(forbidden("ode/solve.cpp", "autograd/tape.h"));
    CHECK(forbidden("ode/layer.h", "nn/linear.h"));
    CHECK(forbidden("ode/layer.cpp", "autograd/tape.h"));
    CHECK(forbidden("ode/gradient.cpp", "nn/module.h"));
    CHECK(forbidden("apps/models/odenet.cpp", "autograd/tape.h"));
    CHECK(forbidden("apps/models/odenet.cpp", "apps/slope/commands.h"));
    CHECK(forbidden("apps/slope/train.cpp", "tests/skip.h"));
    CHECK(forbidden("core/tensor.cpp", "slope.h"));
    CHECK(forbidden("core/tensor.cpp", "tensor.h"));
    CHECK(forbidden("core/tensor.cpp", "nlohmann/json.hpp"));
    CHECK(forbidden("newfolder/file.cpp", "core/tensor.h"));
    CHECK(!violations("core/tensor.cpp", "#include <autograd/tape.h>").empty());
  }
  SUBCASE("allowed") {
    CHECK(!forbidden("core/ops/matmul.cpp", "core/op.h"));
    CHECK(!forbidden("autograd/tape.cpp", "core/op.h"));
    CHECK(!forbidden("backends/cpu/kernels.cpp", "backends/reference/kernels.h"));
    CHECK(!forbidden("backends/cuda/gemm.cpp", "backends/cuda/api.h"));
    CHECK(!forbidden("backends/backends.cpp", "backends/cpu/backend.h"));
    CHECK(!forbidden("nn/train.cpp", "autograd/tape.h"));
    CHECK(!forbidden("nn/attack/fgsm.cpp", "autograd/tape.h"));
    CHECK(!forbidden("nn/data/loader.cpp", "nn/data/idx.h"));
    CHECK(!forbidden("ode/gradient.cpp", "autograd/custom.h"));
    CHECK(!forbidden("ode/layer.cpp", "nn/module.h"));
    CHECK(!forbidden("apps/models/odenet.cpp", "ode/layer.h"));
    CHECK(!forbidden("apps/slope/train.cpp", "nn/data/idx.h"));
    CHECK(!forbidden("apps/slope/train.cpp", "slope.h"));
    CHECK(!forbidden("tests/ops/gradient_test.cpp", "autograd/tape.h"));
    CHECK(violations("core/tensor.cpp", "#include <vector>\n// #include \"x\"\n").empty());
  }
}
