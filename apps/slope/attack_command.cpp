#include "apps/slope/attack_run.h"
#include "apps/slope/commands.h"

namespace slope::program {
namespace {

int run(const AttackRequest& request, const Settings& settings) {
  apply_settings(settings);
  Progress progress(settings.quiet);
  const Attacked done = attack_run(request, settings, progress);
  if (settings.json) {
    print_json({{"run", request.run}, {"results", done.results}, {"minima", done.minima}});
  } else {
    print(done.table);
  }
  return 0;
}

}  // namespace

Command attack_command(CLI::App& program, Settings& settings) {
  auto values = std::make_shared<AttackRequest>();
  CLI::App* app = add_command(program, "attack",
                              "Accuracy of a trained model under attack, as a matrix over solvers");
  auto options = std::make_shared<OptionList>(*app);
  add_attack_options(*options, *values);
  return {app, options, [values, options, &settings] {
            values->limit_given = options->given("limit");
            return run(*values, settings);
          }};
}

}  // namespace slope::program
