// What the program makes of its options is what the library does when it is told so by hand.
#include "apps/slope/augment_word.h"
#include "apps/slope/data_source.h"
#include "apps/slope/run_folder.h"
#include "core/ops.h"
#include "nn/data/loader.h"
#include "nn/schedule.h"
#include "nn/train.h"
#include "ode/solver_word.h"
#include "tests/apps/program.h"
#include "tests/paths.h"

using namespace slope;
using namespace slope::program;
using slope::program_test::Folder;
using slope::program_test::Json;
using slope::program_test::read;

namespace {

Settings with_test_data() {
  Settings settings;
  settings.data_dir = test::source_dir() + "/data";
  return settings;
}

program_test::Arguments words(const std::string& line) {
  program_test::Arguments all;
  std::istringstream in(line);
  for (std::string word; in >> word;) all.push_back(word);
  return all;
}

}  // namespace

TEST_CASE("by hand: every option of a training reaches its step") {
  const Folder here;
  program_test::run(
      here, words("train cnn-mnist --limit 230 --batch 64 --drop-last --iterations 5 --lr 0.05 "
                  "--momentum 0.8 --schedule triangular,up=2,down=3 --seed 9 "
                  "--augment crop,padding=3 --optimizer nesterov --out a --json "
                  "--label-smoothing 0.1 --clip-norm 0.05 --weight-decay 0.01"))
      .json();

  TrainingOptions options;
  options.model = "cnn-mnist";
  Settings settings = with_test_data();
  settings.seed = 9;
  const nn::Dataset data = load_data("mnist", settings.data_dir, 9).train.first(230);
  const auto model = new_model(options, settings, data);
  const auto optimizer = nn::make_optimizer("nesterov", model->named_parameters(),
                                            {.weight_decay = 0.01, .momentum = true});
  const auto schedule = nn::make_schedule("triangular,up=2,down=3", 0.05, 0.8);
  nn::TrainStep train([&](const Tensor& x, nn::Pass& pass) { return model->logits(x, pass, {}); },
                      *optimizer, {.label_smoothing = 0.1, .clip_norm = 0.05});
  nn::Loader loader(data, 64, true, 9, Dtype::f32, default_device(),
                    nn::Augmenter(parse_augment("crop,padding=3")), true);
  nn::Batch batch;
  for (int64_t step = 0; step < 5; ++step) {
    if (step % 3 == 0) loader.start(step / 3);
    REQUIRE(loader.next(&batch));
    const nn::ScheduleValues values = schedule->at(step, 5);
    train(batch.x, batch.labels, optimizer->numbers(values.rate, values.momentum, step + 1),
          nn::step_keys(9, model->key_count(), step), {});
  }
  const nn::Checkpoint found = nn::load_checkpoint(here / "a/model.safetensors");
  for (const nn::NamedTensor& p : model_tensors(*model)) {
    CAPTURE(p.name);
    CHECK(found.find(p.name).values() == p.tensor.values());
  }
}

TEST_CASE("by hand: the best epoch is chosen by the samples that were held out for it") {
  const Folder here;
  program_test::run(here, {"train", "spheres-mlp", "--epochs", "6", "--lr", "0.05", "--batch", "32",
                           "--validation", "0.02", "--seed", "1", "--out", "a", "--json"})
      .json();
  std::istringstream rows(read(here / "a/metrics.csv"));
  std::string row, cell;
  std::getline(rows, row);
  REQUIRE(row.ends_with(",validation_loss,validation_accuracy"));
  int by_test = 0, by_validation = 0;
  double best_test = -1, best_validation = -1;
  for (int epoch = 1; std::getline(rows, row); ++epoch) {
    std::vector<double> values;
    for (std::istringstream cells(row); std::getline(cells, cell, ',');)
      values.push_back(std::stod(cell));
    if (values.at(7) > best_test) best_test = values[7], by_test = epoch;
    if (values.back() > best_validation) best_validation = values.back(), by_validation = epoch;
  }
  REQUIRE(by_test != by_validation);
  CHECK(nn::load_checkpoint(here / "a/best.safetensors").metadata.at("epoch") ==
        std::to_string(by_validation));
}

TEST_CASE("by hand: predict solves with the solver that it is given") {
  const Folder here;
  program_test::run(here, {"train", "spheres-mlp", "--iterations", "40", "--out", "a", "--json"})
      .json();
  const Run run = open_run((here / "a").string(), {});
  const nn::Dataset test = test_set(run, data_word(run.options), 0, {});
  std::vector<int64_t> all;
  for (int64_t i = 0; i < test.size(); ++i) all.push_back(i);
  const nn::Batch batch = nn::make_batch(test, all);
  for (const char* solver : {"rk4:1", "euler:3", "dopri5@1e-3"}) {
    CAPTURE(solver);
    program_test::run(here, {"predict", "a", "--solver", solver, "--batch", "1000", "--out",
                             "logits.safetensors", "--force", "--json"})
        .json();
    nn::Pass pass;
    const Tensor logits = run.model->logits(batch.x, pass, {.solver = ode::parse_solver(solver)});
    CHECK(nn::load_checkpoint(here / "logits.safetensors").find("logits").values() ==
          logits.values());
  }
}
