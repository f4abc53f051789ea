// Exchange with PyTorch: layouts, names, matching by order; import, export and predict from the
// command line.
#include "apps/models/exchange.h"

#include <doctest/doctest.h>

#include "apps/models/classifier.h"
#include "core/ops.h"
#include "nn/data/idx.h"
#include "nn/data/image.h"
#include "tests/apps/program.h"
#include "tests/core/test_values.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::models;
using namespace slope::test;
using slope::program_test::check_error;
using slope::program_test::Folder;
using slope::program_test::Json;

namespace {

std::unique_ptr<Classifier> model_of(const std::string& word, uint64_t seed) {
  Rng rng(seed);
  return make_model(word, nullptr, rng);
}

std::vector<nn::NamedTensor> tensors_of(const nn::Module& model) {
  std::vector<nn::NamedTensor> all = model.named_parameters();
  for (const nn::NamedTensor& t : model.named_buffers()) all.push_back(t);
  return all;
}

// A state_dict without counters.
std::vector<nn::NamedTensor> state_of(const nn::Module& model) {
  std::vector<nn::NamedTensor> state;
  for (const nn::NamedTensor& t : torch_state(model, 0)) {
    if (!is_batch_counter(t.name)) state.push_back(t);
  }
  return state;
}

bool equal_tensors(const nn::Module& a, const nn::Module& b) {
  const auto x = tensors_of(a), y = tensors_of(b);
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i].tensor.values() != y[i].tensor.values()) return false;
  }
  return x.size() == y.size();
}

// Imports `sources` into another model of this word; whether it then equals `from`.
bool arrives(const std::vector<nn::NamedTensor>& sources, const Classifier& from, bool by_order) {
  const auto to = model_of(from.word(), 2);
  REQUIRE(!equal_tensors(from, *to));
  const auto targets = tensors_of(*to);
  const Assignment assignment = assign(sources, targets, Layout::torch, {}, "f");
  CHECK(assignment.by_order == by_order);
  import_state(sources, targets, assignment, Layout::torch);
  return equal_tensors(from, *to);
}

// Renames by the longest matching beginning, and sorts as Python's package does.
std::vector<nn::NamedTensor> renamed(std::vector<nn::NamedTensor> state,
                                     const std::vector<std::pair<std::string, std::string>>& map) {
  for (nn::NamedTensor& t : state) {
    for (const auto& [from, to] : map) {
      if (!t.name.starts_with(from)) continue;
      t.name = to + t.name.substr(from.size());
      break;
    }
  }
  std::sort(state.begin(), state.end(),
            [](const nn::NamedTensor& a, const nn::NamedTensor& b) { return a.name < b.name; });
  return state;
}

}  // namespace

TEST_CASE("exchange: PyTorch's shapes and layouts") {
  CHECK(torch_shape({64, 3, 3, 65}) == Shape{64, 65, 3, 3});
  CHECK(torch_shape({32, 3, 1}) == Shape{32, 1, 3});
  CHECK(torch_shape({10, 64}) == Shape{10, 64});
  const Tensor w = mixed({2, 3, 4, 5}, Dtype::f64), torch = to_torch(w);
  CHECK(torch.shape() == Shape{2, 5, 3, 4});
  CHECK(torch.values()[(1 * 5 + 4) * 12 + 2 * 4 + 3] == w.values()[(1 * 12 + 2 * 4 + 3) * 5 + 4]);
  for (const Shape& shape : {Shape{2, 3, 4, 5}, Shape{2, 3, 4}, Shape{2, 3}, Shape{2}}) {
    const Tensor x = mixed(shape, Dtype::f32);
    CHECK(from_torch(to_torch(x)).values() == x.values());
  }
}

TEST_CASE("exchange: a state_dict by its names, with and without a common prefix") {
  const auto from = model_of("rknet-mnist", 1);
  CHECK(arrives(state_of(*from), *from, false));
  CHECK(arrives(renamed(state_of(*from), {{"", "module."}}), *from, false));
  int counters = 0;
  for (const nn::NamedTensor& t : torch_state(*from, 7)) {
    if (!is_batch_counter(t.name)) continue;
    ++counters;
    CHECK(t.tensor.shape() == Shape{});
    CHECK(t.tensor.item() == 7);
  }
  CHECK(counters == 5);
  for (const char* word : {"premetanode4,param-norm=weight", "metanode6,param-norm=spectral"}) {
    const auto normed = model_of(word, 1);
    CHECK(arrives(state_of(*normed), *normed, false));
    CHECK(arrives(renamed(state_of(*normed), {{"stem.conv", "conv1"},
                                              {"layer1.residual1", "layer1.blocks_res.0"},
                                              {"layer1.ode1", "layer1.blocks_ode.0.rhs_func"},
                                              {"linear", "fc_layers.2"}}),
                  *normed, true));
  }
}

TEST_CASE("exchange: other names, by order") {
  const auto from = model_of("odenet-mnist", 1);
  // torchdiffeq's example: one nn.Sequential, so numbers say the order even in a sorted file.
  CHECK(arrives(renamed(state_of(*from), {{"stem.conv1", "0"},
                                          {"stem.norm1", "1"},
                                          {"stem.conv2", "3"},
                                          {"stem.norm2", "4"},
                                          {"stem.conv3", "6"},
                                          {"ode.conv1", "7.odefunc.conv1._layer"},
                                          {"ode.conv2", "7.odefunc.conv2._layer"},
                                          {"ode.norm", "7.odefunc.norm"},
                                          {"head.norm", "8"},
                                          {"head.linear", "12"}}),
                *from, true));
  // The meta-solver's code, whose sections are known.
  CHECK(arrives(renamed(state_of(*from), {{"stem.conv1", "downsampling_layers.0"},
                                          {"stem.norm1", "downsampling_layers.1"},
                                          {"stem.conv2", "downsampling_layers.3"},
                                          {"stem.norm2", "downsampling_layers.4"},
                                          {"stem.conv3", "downsampling_layers.6"},
                                          {"ode.conv1", "blocks.0.rhs_func.conv1._layer"},
                                          {"ode.conv2", "blocks.0.rhs_func.conv2._layer"},
                                          {"ode.norm", "blocks.0.rhs_func.norm"},
                                          {"head.norm", "fc_layers.0"},
                                          {"head.linear", "fc_layers.4"}}),
                *from, true));
  const auto meta = model_of("premetanode10", 1);
  CHECK(arrives(
      renamed(state_of(*meta), {{"stem.conv", "conv1"},
                                {"layer1.residual1", "layer1.blocks_res.0"},
                                {"layer1.ode1", "layer1.blocks_ode.0.rhs_func"},
                                {"layer2.residual1.shortcut", "layer2.blocks_res.0.shortcut.0"},
                                {"layer2.residual1", "layer2.blocks_res.0"},
                                {"layer2.ode1", "layer2.blocks_ode.0.rhs_func"},
                                {"linear", "fc_layers.2"}}),
      *meta, true));
  // Sorted names that say nothing of the order are refused, not guessed.
  CHECK(contains(message_of<DataError>([&] {
                   arrives(renamed(state_of(*from), {{"", "net."}}), *from, true);
                 }),
                 "--names"));
}

TEST_CASE("exchange: every mismatch is listed at once, in the shapes of the file") {
  const auto model = model_of("odenet-mnist", 1);
  auto sources = state_of(*model);
  sources[0].tensor = zeros({64, 1, 5, 5});
  sources.erase(sources.begin() + 3);
  sources.push_back({"extra.weight", zeros({2})});
  const std::string text = message_of<DataError>([&] {
    assign(sources, tensors_of(*model), Layout::torch, {{"nowhere", "stem.conv1.bias"}},
           "w.safetensors");
  });
  CHECK(contains(text, "import: w.safetensors does not fit the model; nothing was imported."));
  CHECK(contains(text, "\n  stem.conv1.weight is (64, 1, 5, 5), the model has (64, 1, 3, 3)"));
  CHECK(contains(text, "\n  no stem.norm1.bias (64)"));
  CHECK(contains(text, "\n  extra.weight (2) is not in the model"));
  CHECK(contains(text, "\n  nowhere, renamed to stem.conv1.bias, is not in the file"));
}

TEST_CASE("import, export: a round trip keeps every bit, in both layouts") {
  const Folder here;
  const auto model = model_of("rknet-mnist", 3);
  nn::save_checkpoint(here / "torch.safetensors", torch_state(*model, 5));
  const Json imported =
      run(here, {"import", "torch.safetensors", "--model", "rknet-mnist", "--out", "a", "--json"})
          .json();
  CHECK(imported["parameters"] == 208138);
  CHECK(imported["matched"] == "names");
  for (const std::string layout : {"torch", "slope"}) {
    CAPTURE(layout);
    const std::string file = layout + "-again.safetensors";
    run(here, {"export", "a", "--out", file, "--layout", layout, "--json"}).json();
    run(here,
        {"import", file, "--model", "rknet-mnist", "--layout", layout, "--out", layout, "--json"})
        .json();
    const nn::Checkpoint kept = nn::load_checkpoint(here / layout / "model.safetensors");
    for (const auto& [name, tensor] : tensors_of(*model)) {
      CAPTURE(name);
      REQUIRE(kept.find(name).defined());
      CHECK(kept.find(name).values() == tensor.values());
    }
  }
  const nn::Checkpoint torch = nn::load_checkpoint(here / "torch-again.safetensors");
  CHECK(torch.find("conv2.weight").shape() == Shape{64, 64, 4, 4});
  CHECK(torch.find("norm1.num_batches_tracked").dtype() == Dtype::i32);
  check_error(here, {"export", "a", "--out", "torch-again.safetensors"}, 1,
              "exists. Choose another");
  check_error(here, {"import", "none.safetensors", "--model", "rknet-mnist"}, 1,
              "cannot be opened");
  check_error(here, {"import", "torch.safetensors", "--model", "rknet-mnist", "--names", "none"}, 1,
              "none: cannot be opened");
  program_test::write(here / "list.json", "[1]");
  check_error(here,
              {"import", "torch.safetensors", "--model", "rknet-mnist", "--names", "list.json"}, 1,
              "must be a JSON object");
}

TEST_CASE("import: a counter of 64 bits is passed over, weights of 64 bits make a float64 run") {
  const Folder here;
  const auto model = model_of("spheres-mlp", 3);
  std::vector<nn::NamedTensor> doubles;
  for (const auto& [name, tensor] : tensors_of(*model))
    doubles.push_back({"other." + name, cast(tensor, Dtype::f64)});
  nn::save_checkpoint(here / "f64.safetensors", doubles);
  // The file's header, with one tensor more: PyTorch's counter.
  std::string bytes = program_test::read(here / "f64.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  Json header = Json::parse(bytes.substr(8, length));
  const std::string values = bytes.substr(8 + length) + std::string(8, '\x01');
  header["norm.num_batches_tracked"] = {{"dtype", "I64"},
                                        {"shape", Json::array()},
                                        {"data_offsets", {values.size() - 8, values.size()}}};
  const std::string text = header.dump();
  length = text.size();
  std::string with_counter(8, '\0');
  std::memcpy(with_counter.data(), &length, 8);
  program_test::write(here / "f64.safetensors", with_counter + text + values);

  Json map;
  for (const nn::NamedTensor& t : doubles) map[t.name] = t.name.substr(6);
  program_test::write(here / "map.json", map.dump());
  run(here, {"import", "f64.safetensors", "--model", "spheres-mlp", "--names", "map.json",
             "--solver", "euler:3", "--out", "a", "--json"})
      .json();
  const nn::Checkpoint kept = nn::load_checkpoint(here / "a/model.safetensors");
  CHECK(kept.find("linear.weight").dtype() == Dtype::f64);
  const Json eval = run(here, {"eval", "a", "--json"}).json()["results"][0];
  CHECK(eval["solver"] == "euler:3");
}

TEST_CASE("predict: the raw outputs on a data set, as a file") {
  const Folder here;
  const auto model = model_of("spheres-mlp", 3);
  nn::save_checkpoint(here / "w.safetensors", torch_state(*model, 0));
  run(here, {"import", "w.safetensors", "--model", "spheres-mlp", "--out", "a", "--json"}).json();
  const Json said =
      run(here, {"predict", "a", "--data", "spheres,dim=2,test=40", "--solver", "euler:2",
                 "--limit", "30", "--batch", "7", "--out", "l.safetensors", "--json"})
          .json();
  CHECK(said["examples"] == 30);
  const nn::Checkpoint file = nn::load_checkpoint(here / "l.safetensors");
  REQUIRE(file.tensors.size() == 1);
  CHECK(file.find("logits").shape() == Shape{30, 2});
  for (double v : file.find("logits").values()) CHECK(std::isfinite(v));
  const Json eval = run(here, {"eval", "a", "--data", "spheres,dim=2,test=40", "--solver",
                               "euler:2", "--limit", "30", "--json"})
                        .json()["results"][0];
  CHECK(eval["examples"] == 30);
  check_error(here, {"predict", "a", "--out", "l.safetensors"}, 1, "exists. Choose another");
  check_error(here, {"predict", "a"}, 2, "IMAGE.. or --data D --out");
  check_error(here, {"predict", "a", "digit.png"}, 1, "not for pictures");
}

TEST_CASE("predict: the classes of pictures, the same as from the data set") {
  const Folder here;
  const auto model = model_of("cnn-mnist", 3);
  nn::save_checkpoint(here / "w.safetensors", torch_state(*model, 0));
  run(here, {"import", "w.safetensors", "--model", "cnn-mnist", "--out", "a", "--json"}).json();
  // The first test digits as pictures: as they are, as dark ink on white, and twice as large.
  const std::string files = source_dir() + "/data/mnist/t10k-";
  const nn::Dataset digits =
      nn::read_idx(files + "images-idx3-ubyte.gz", files + "labels-idx1-ubyte.gz", 10, "digits")
          .first(2);
  for (size_t i = 0; i < 2; ++i) {
    const auto from = digits.pixels.begin() + static_cast<std::ptrdiff_t>(784 * i);
    nn::Image image{28, 28, 1, {from, from + 784}};
    nn::write_png(here / concat("light", i, ".png"), image);
    for (uint8_t& v : image.pixels) v = static_cast<uint8_t>(255 - v);
    nn::write_png(here / concat("dark", i, ".png"), image);
    nn::write_png(here / concat("large", i, ".png"), nn::resized(image, 56, 56));
  }
  run(here, {"predict", "a", "--limit", "2", "--out", "l.safetensors", "--json"}).json();
  const std::vector<double> expected =
      softmax(nn::load_checkpoint(here / "l.safetensors").find("logits"), 1).values();
  const auto predictions = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"predict", "a", "--json"});
    return run(here, arguments).json()["predictions"];
  };
  const Json light = predictions({"light0.png", "light1.png"});
  REQUIRE(light.size() == 2);
  for (size_t i = 0; i < 2; ++i) {
    CHECK(light[i]["image"] == concat("light", i, ".png"));
    const auto found = light[i]["probabilities"].get<std::vector<double>>();
    REQUIRE(found.size() == 10);
    for (size_t j = 0; j < 10; ++j) CHECK(found[j] == doctest::Approx(expected[10 * i + j]));
    const auto best = std::max_element(found.begin(), found.end());
    CHECK(light[i]["class"] == best - found.begin());
    CHECK(light[i]["probability"] == *best);
    CHECK(light[i]["name"] == std::to_string(best - found.begin()));  // imported: no other names
  }
  const Json dark = predictions({"dark0.png", "dark1.png", "--invert"});
  CHECK(dark[0]["probabilities"] == light[0]["probabilities"]);
  CHECK(dark[1]["probabilities"] == light[1]["probabilities"]);
  CHECK(predictions({"dark0.png"})[0]["probabilities"] != light[0]["probabilities"]);
  CHECK(predictions({"large0.png", "--invert", "--resize"}).size() == 1);

  check_error(here, {"predict", "a", "large0.png"}, 1,
              "56x56 pixels, the model was made for 28x28");
  check_error(here, {"predict", "a", "none.png"}, 1, "none.png");
  check_error(here, {"predict", "a", "w.safetensors"}, 1, "w.safetensors");
  check_error(here, {"predict", "a", "light0.png", "--out", "x.safetensors"}, 2, "choose one");
}

TEST_CASE("import: no training to go on with; one starts from it") {
  const Folder here;
  nn::save_checkpoint(here / "file.safetensors", tensors_of(*model_of("spheres-mlp", 3)));
  program_test::run(here, {"import", "file.safetensors", "--model", "spheres-mlp", "--layout",
                           "slope", "--out", "a", "--json"})
      .json();
  check_error(here, {"train", "--resume", "a"}, 1, "Start one from them");
  program_test::run(here, {"train", "spheres-mlp", "--init", "a", "--iterations", "1", "--json"})
      .json();
}
