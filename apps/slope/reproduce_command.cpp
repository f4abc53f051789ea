#include <iostream>

#include "apps/reproduce/reproduce.h"
#include "apps/slope/commands.h"
#include "apps/slope/output.h"

namespace slope::program {
namespace {

struct ReproduceCommand {
  std::string preset;
  std::string scale = "smoke";
  reproduce::Request request;
};

int list(const Settings& settings) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows{{"preset", "what", "source"}};
  for (const reproduce::Preset& p : reproduce::presets()) {
    all.push_back({{"name", p.name}, {"what", p.what}, {"source", p.source}});
    rows.push_back({p.name, p.what, p.source});
  }
  if (settings.json) {
    print_json({{"presets", all}});
  } else {
    print(table_text(rows) + "\nslope reproduce PRESET --scale smoke|full runs one.\n");
  }
  return 0;
}

int run(ReproduceCommand c, const Settings& settings) {
  if (c.preset.empty()) return list(settings);
  apply_settings(settings);
  const reproduce::Preset& preset = reproduce::preset(c.preset);
  c.request.scale = c.scale == "full" ? reproduce::Scale::full : reproduce::Scale::smoke;
  Progress progress(settings.quiet);
  const reproduce::Reproduced done = reproduce::reproduce(preset, c.request, settings, progress);
  if (done.stopped_by) {
    std::cerr << "stopped and saved; the same command goes on where it stopped\n";
    return 128 + done.stopped_by;
  }
  if (settings.json) {
    print_json(done.result);
  } else {
    print(done.text);
  }
  return 0;
}

}  // namespace

Command reproduce_command(CLI::App& program, Settings& settings) {
  auto values = std::make_shared<ReproduceCommand>();
  CLI::App* app = add_command(program, "reproduce",
                              "Published experiments, their figures beside measured ones; lists "
                              "them without a preset");
  auto options = std::make_shared<OptionList>(*app);
  options->add("preset", values->preset, "Which one; none: the list");
  options->add("--scale", values->scale,
               "smoke: minutes on two cores, what it leaves out is said; full: as published",
               one_of({"smoke", "full"}));
  options->add(
      "--out", values->request.out,
      "Folder; default: runs/reproduce-PRESET-SCALE. What is finished there is used again");
  options->add("--seeds", values->request.seeds,
               "Trainings of each experiment, from --seed on; 0: as the preset says",
               not_negative());
  options->add("--epochs", values->request.epochs,
               "Epochs of every training; 0: as the preset says", not_negative());
  options->add("--limit", values->request.limit,
               "First samples of every training set; 0: as the preset says", not_negative());
  options->add("--test-limit", values->request.test_limit,
               "No figure of more than the first N test samples; 0: as the preset says",
               not_negative());
  options->add("--only", values->request.only, "This experiment of the preset; repeat it for more")
      ->allow_extra_args(false);
  return {app, options, [values, &settings] { return run(*values, settings); }};
}

}  // namespace slope::program
