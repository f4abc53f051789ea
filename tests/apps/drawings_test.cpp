// What a run folder keeps for the drawings of its report, beside the network itself.
#include <algorithm>
#include <cmath>

#include "apps/slope/data_source.h"
#include "apps/slope/mistakes.h"
#include "apps/slope/plane.h"
#include "apps/slope/run_folder.h"
#include "apps/slope/solver_path.h"
#include "apps/slope/states.h"
#include "core/ops.h"
#include "ode/solver_word.h"
#include "ode/step.h"
#include "tests/apps/program.h"

using namespace slope;
using namespace slope::program;
using slope::program_test::Folder;
using slope::program_test::Json;
using slope::program_test::read;

namespace {

constexpr const char* kSolver = "euler:2";

// A network that has learnt a little.
struct Trained {
  Trained() {
    program_test::run(folder, {"train", "spheres-mlp", "--solver", kSolver, "--iterations", "100",
                               "--out", "a", "--json"})
        .json();
    Run run = open_run((folder / "a").string(), {});
    test = test_set(run, data_word(run.options), 0, {});
    model = std::move(run.model);
  }
  Folder folder;
  std::unique_ptr<models::Classifier> model;
  nn::Dataset test;
};

Tensor logits(const models::Classifier& model, const Tensor& x) {
  nn::Pass pass;
  return model.logits(x, pass, {.solver = ode::parse_solver(kSolver)});
}

double norm_of_row(const Tensor& y, int64_t row) {
  return std::sqrt(sum(square(slice(y, 0, row, row + 1))).item());
}

}  // namespace

TEST_CASE("plane.json: the decisions and their probabilities are those of the network") {
  const Trained t;
  const Json plane = Json::parse(read(t.folder / "a/plane.json"));
  const double range = plane["range"];
  const auto cells = static_cast<int64_t>(plane["decided"].size());
  REQUIRE(cells == 80);
  std::vector<float> middles;
  for (int64_t i = 0; i < cells * cells; ++i) {
    for (const int64_t k : {i % cells, i / cells})
      middles.push_back(static_cast<float>(
          range * ((2 * static_cast<double>(k) + 1) / static_cast<double>(cells) - 1)));
  }
  const std::vector<double> p =
      softmax(logits(*t.model, from_host(middles, {cells * cells, 2})), 1).values();
  int wrong = 0, classes[2] = {0, 0};
  double farthest = 0;
  for (size_t i = 0; i < p.size() / 2; ++i) {
    const Json &decided = plane["decided"][i / 80][i % 80], &sure = plane["sure"][i / 80][i % 80];
    const int best = p[2 * i + 1] > p[2 * i];
    ++classes[best];
    wrong += decided != best && std::fabs(p[2 * i] - 0.5) > 1e-5;
    farthest = std::max(farthest, std::fabs(sure.get<double>() - std::max(p[2 * i], p[2 * i + 1])));
  }
  CHECK(wrong == 0);
  CHECK(farthest < 6e-4);                         // three decimals are kept
  CHECK(std::min(classes[0], classes[1]) > 100);  // both are there to be told apart
}

TEST_CASE("states.json: norms of the states and slopes of the network's own steps") {
  const Trained t;
  const Json states = Json::parse(read(t.folder / "a/states.json"));
  const auto samples = states["samples"].get<int64_t>();
  const nn::Batch some = nn::make_batch(t.test, spread(t.test.size(), samples), Dtype::f32);
  nn::Pass pass;
  const ode::Field field = t.model->sample_field()->field(some.x.shape(), pass);
  const Json& own = states["blocks"][0]["own"];
  REQUIRE(own["t"] == Json({0, 0.5, 1}));
  Tensor y = some.x;
  for (size_t k = 0; k < 3; ++k) {
    const Tensor f = field(scalar(0.5 * static_cast<double>(k), Dtype::f32), y);
    for (const auto& [name, value] : {std::pair{"norm", y}, {"slope", f}}) {
      CAPTURE(name);
      std::vector<double> norms;
      double mean = 0;
      for (int64_t i = 0; i < samples; ++i) {
        norms.push_back(norm_of_row(value, i));
        mean += norms.back() / static_cast<double>(samples);
      }
      std::sort(norms.begin(), norms.end());
      const Json& found = own[name][k];
      CHECK(found[0].get<double>() == doctest::Approx(mean).epsilon(1e-3));
      // Ten per cent of 23 gaps: 2.3 of them.
      CHECK(found[1].get<double>() ==
            doctest::Approx(norms[2] + 0.3 * (norms[3] - norms[2])).epsilon(1e-3));
      CHECK(found[2].get<double>() ==
            doctest::Approx(norms[20] + 0.7 * (norms[21] - norms[20])).epsilon(1e-3));
    }
    y = y + 0.5 * f;
  }
}

TEST_CASE("mistakes.json: what is taken for what, and the surest mistakes first") {
  const Folder folder;
  nn::Dataset test{.name = "made up",
                   .sample = {1, 2, 1},
                   .classes = 3,
                   .pixels = {},
                   .points = {},
                   .labels = {}};
  std::vector<double> logits;
  // Samples 0, 3 and 4 are decided wrongly, with rising certainty.
  const double rows[][3] = {{1, 0, 0}, {0, 5, 0}, {0, 0, 2}, {0, 3, 0}, {7, 0, 0}};
  test.labels = {1, 1, 2, 0, 2};
  for (uint8_t i = 0; i < 5; ++i) {
    logits.insert(logits.end(), rows[i], rows[i] + 3);
    test.pixels.insert(test.pixels.end(), {i, static_cast<uint8_t>(100 + i)});
  }
  write_mistakes(folder.path(), logits, test, 12);
  const Json found = Json::parse(read(folder / "mistakes.json"));
  CHECK(found["step"] == 12);
  CHECK(found["confusion"] == Json({{0, 1, 0}, {1, 1, 0}, {1, 0, 1}}));
  REQUIRE(found["wrong"].size() == 3);
  const int order[] = {4, 3, 0};
  for (size_t i = 0; i < 3; ++i) {
    const Json& wrong = found["wrong"][i];
    const auto sample = static_cast<size_t>(order[i]);
    CHECK(wrong["label"] == test.labels[sample]);
    CHECK(wrong["pixels"] == Json({order[i], 100 + order[i]}));
    const double* row = rows[sample];
    const double* best = std::max_element(row, row + 3);
    CHECK(wrong["decided"] == best - row);
    CHECK(wrong["probability"].get<double>() ==
          doctest::Approx(std::exp(*best) /
                          (std::exp(row[0]) + std::exp(row[1]) + std::exp(row[2]))));
  }
}
