#include "apps/models/exchange.h"
#include "apps/slope/commands.h"
#include "apps/slope/output.h"
#include "apps/slope/run_folder.h"

namespace slope::program {
namespace {

struct ExportCommand {
  std::string run, out, layout = "torch";
};

int run(const ExportCommand& c, const Settings& settings) {
  apply_settings(settings);
  const Run trained = open_run(c.run, settings);
  if (std::filesystem::exists(c.out) && !settings.force)
    throw ValueError(concat(c.out, ": exists. Choose another --out, or overwrite with --force."));
  const std::vector<nn::NamedTensor> tensors =
      c.layout == "torch" ? models::torch_state(*trained.model, trained.step)
                          : model_tensors(*trained.model);
  nn::save_checkpoint(
      c.out, tensors,
      {{"format", c.layout == "torch" ? "pt" : "slope"}, {"model", trained.model->word()}});
  if (settings.json) {
    print_json({{"run", c.run},
                {"out", c.out},
                {"model", trained.model->word()},
                {"layout", c.layout},
                {"tensors", tensors.size()}});
  } else {
    print(concat(tensors.size(), " tensors of ", trained.model->word(), ", ", c.layout,
                 " layout: ", c.out, "\n"));
  }
  return 0;
}

}  // namespace

Command export_command(CLI::App& program, Settings& settings) {
  auto values = std::make_shared<ExportCommand>();
  CLI::App* app =
      add_command(program, "export", "The weights of a run as a PyTorch state_dict or as slope's");
  auto options = std::make_shared<OptionList>(*app);
  options->add("run", values->run, "Run folder (its last weights), or RUN/best.safetensors")
      ->required();
  options->add("--out", values->out, "FILE.safetensors")->required();
  options->add("--layout", values->layout, "Layout of the weights: torch or slope",
               one_of({"torch", "slope"}));
  return {app, options, [values, &settings] { return run(*values, settings); }};
}

}  // namespace slope::program
