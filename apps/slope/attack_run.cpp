#include "apps/slope/attack_run.h"

#include <algorithm>
#include <map>

#include "apps/slope/attack_matrix.h"
#include "apps/slope/results.h"
#include "apps/slope/run_folder.h"
#include "core/exact.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kPictures = 8;

// The first pictures, clean and attacked, as values in [0, 1], for the report.
Json pictures(const nn::Dataset& clean, const nn::Dataset& changed, const std::string& attack) {
  const int64_t count = std::min(kPictures, clean.size()), width = clean.sample.size();
  Json list = Json::array();
  for (int64_t i = 0; i < count; ++i) {
    Json one{{"label", clean.labels[static_cast<size_t>(i)]},
             {"clean", Json::array()},
             {"attacked", Json::array()}};
    for (int64_t j = i * width; j < (i + 1) * width; ++j) {
      one["clean"].push_back(clean.pixels[static_cast<size_t>(j)] / 255.0);
      one["attacked"].push_back(changed.points[static_cast<size_t>(j)]);
    }
    list.push_back(one);
  }
  return {{"attack", attack},
          {"shape", {clean.sample[0], clean.sample[1], clean.sample[2]}},
          {"pictures", list}};
}

// Every word of a list with the regime that it stands for.
struct Side {
  std::string word;
  ode::Regime regime;
};
std::vector<Side> sides(const RegimeOptions& options, const std::vector<std::string>& words) {
  std::vector<Side> list;
  for (const std::string& word : words) list.push_back({word, regime_of(options, word)});
  return list;
}

// An attacker that is not told otherwise knows the regime; a single solver of its own is
// standalone.
RegimeOptions attacker_options(const AttackRequest& c, const std::string& word) {
  RegimeOptions options = c.regime;
  if (!c.attack_regime.empty()) {
    options.regime = c.attack_regime;
    if (options.regime != "smoothing") options.noise.clear();
    if (options.regime != "model-ensemble") options.ensemble.clear();
  } else if (!c.attack_solvers.empty() && word.find('+') == std::string::npos &&
             options.regime != "smoothing" && options.ensemble.empty()) {
    options.regime = "standalone";
  }
  if (options.regime == "standalone" || options.regime != c.regime.regime) options.weights.clear();
  return options;
}

Json json_of(const Cell& cell, const std::string& gradient) {
  Json json{{"attack", cell.attack},
            {"solver", cell.solver},
            {"attack_solver", cell.attack_solver},
            {"regime", cell.regime},
            {"attack_regime", cell.attack_regime},
            {"gradient", gradient},
            {"stepping", cell.stepping},
            {"clean_accuracy", cell.clean.value()},
            {"accuracy", cell.after.value()},
            {"examples", cell.after.examples},
            {"largest_change", cell.change_linf},
            {"mean_l2_change", cell.change_l2},
            {"warnings", cell.warnings}};
  if (cell.cosine)
    json["gradient_cosine"] = {{"with", cell.cosine->with},
                               {"mean", cell.cosine->mean},
                               {"least", cell.cosine->least},
                               {"samples", cell.cosine->samples}};
  return json;
}

// Each warning once, with the result that it came from first and how many more have it.
void tell_warnings(const std::vector<Cell>& cells, Progress& progress) {
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  for (const Cell& cell : cells) {
    const std::string where =
        concat(cell.attack, ", ", cell.solver,
               cell.attack_solver == cell.solver ? "" : " through " + cell.attack_solver);
    for (const std::string& text : cell.warnings) {
      const auto same = [&](const auto& group) { return group.first == text; };
      auto group = std::find_if(groups.begin(), groups.end(), same);
      if (group == groups.end()) group = groups.insert(groups.end(), {text, {}});
      group->second.push_back(where);
    }
  }
  for (const auto& [text, where] : groups)
    progress.warning(concat(
        where[0], where.size() > 1 ? concat(" and ", where.size() - 1, " more") : "", ": ", text));
}

}  // namespace

Attacked attack_run(const AttackRequest& c, const Settings& settings, Progress& progress) {
  const Run trained = open_run(c.run, settings);
  const ExactScope exact(trained.settings.exact);
  const std::string word = c.data.empty() ? data_word(trained.options) : c.data;
  const nn::Range range = data_range(word);
  const uint64_t seed = trained.settings.seed;
  std::vector<Attack> attacks;
  for (const std::string& a : c.attacks) attacks.push_back(parse_attack(a, range, seed));
  const std::vector<Side> defended = sides(
      c.regime,
      c.solvers.empty() ? std::vector<std::string>{default_solver(c.regime, trained)} : c.solvers);
  const ode::GradientChoice gradient = ode::parse_gradient_word(c.gradient);
  const ode::BatchSteps steps =
      ode::parse_batch_steps(c.stepping.empty() ? trained.options.stepping : c.stepping);
  const Members members(trained, c.regime, settings);
  nn::Dataset test = test_set(trained, word, c.limit_given ? c.limit : 0, settings);
  if (!c.limit_given) test = test.first(std::min(c.limit, test.size()));
  const Dtype dtype = trained.settings.value_dtype();

  std::vector<Cell> cells;
  std::map<std::string, Accuracy> clean;          // by solver
  std::map<std::string, GradientCosine> cosines;  // by the attack's solver
  Json shown_pictures;
  const auto compared = [&](const RegimeOptions& regime, const std::string& solver) {
    const ode::GradientChoice other = ode::parse_gradient_word(c.compare_gradient);
    const auto make = [&](const ode::GradientChoice& g) {
      return std::make_unique<Defence>(members.models(), regime_of(regime, solver), steps, g, seed,
                                       kAttackerStream);
    };
    GradientCosine cosine = gradient_cosine(*make(gradient), *make(other), test, c.batch, dtype);
    cosine.with = c.compare_gradient;
    return cosine;
  };
  for (size_t a = 0; a < attacks.size(); ++a) {
    for (const Side& side : defended) {
      SolveMeter meter;
      // It is only evaluated: its solver need not have the gradient that the attack takes.
      Defence defence(members.models(), side.regime, steps, {}, seed, kDefenceStream, &meter);
      Evaluator evaluate([&](const Tensor& x, nn::Pass& pass) { return defence(x, pass); },
                         defence.plan(), meter);
      if (!clean.contains(side.word)) clean[side.word] = evaluate(test, c.batch, dtype);
      // Without --attack-solver the attack knows the solver it is up against.
      for (const std::string& attack_solver :
           c.attack_solvers.empty() ? std::vector<std::string>{side.word} : c.attack_solvers) {
        const std::string doing = concat("attack ", c.attacks[a], ", solver ", side.word,
                                         ", attack solver ", attack_solver);
        const auto told = [&](int64_t samples, const std::string& doing_now) {
          progress.moving(concat(doing, ": ", samples, " of ", test.size(), " samples", doing_now));
        };
        told(0, "");
        const RegimeOptions attacker_regime = attacker_options(c, attack_solver);
        Defence known(members.models(), regime_of(attacker_regime, attack_solver), steps, gradient,
                      seed, kAttackerStream);
        const bool transfer =
            attack_solver != side.word || attacker_regime.regime != c.regime.regime;
        Attacker attacker(known, attacks[a], transfer);
        const nn::Dataset changed = attacker(test, c.batch, dtype, told);
        Cell cell{.attack = c.attacks[a],
                  .solver = side.word,
                  .attack_solver = attack_solver,
                  .regime = c.regime.regime,
                  .stepping = defence.stepping(),
                  .attack_regime = attacker_regime.regime,
                  .eps = attacks[a].eps,
                  .settings = attacks[a].settings,
                  .l2 = attacks[a].l2,
                  .noise = attacks[a].noise,
                  .one_step = attacks[a].one_step,
                  .historical = attacks[a].historical,
                  .clean = clean[side.word],
                  .after = evaluate(changed, c.batch, dtype)};
        for (const int64_t i : attacker.notes().not_finite)
          cell.after.right[static_cast<size_t>(i)] = false;
        cell.after.correct = std::count(cell.after.right.begin(), cell.after.right.end(), true);
        measure_changes(test, changed, dtype, cell);
        warn_of_attack(cell, attacks[a], defence, known, attacker.notes(), test.size());
        if (const std::string few = few_classes(test, "test"); !few.empty())
          cell.warnings.push_back(few);
        if (!c.compare_gradient.empty()) {
          if (!cosines.contains(attack_solver))
            cosines[attack_solver] = compared(attacker_regime, attack_solver);
          cell.cosine = cosines[attack_solver];
        }
        cells.push_back(std::move(cell));
        if (test.has_pixels()) shown_pictures = pictures(test, changed, c.attacks[a]);
      }
    }
  }
  warn_of_comparisons(cells);

  Json results = Json::array(), quoted = Json::array();
  std::vector<std::vector<std::string>> rows{
      {"attack", "solver", "attack solver", "clean", "attacked"}};
  for (const Cell& cell : cells) {
    results.push_back(json_of(cell, c.gradient));
    rows.push_back({cell.attack, cell.solver, cell.attack_solver, percent(cell.clean.value()),
                    percent(cell.after.value())});
    if (cell.cosine) rows.back().push_back(concat(shown(cell.cosine->mean)));
  }
  if (!c.compare_gradient.empty()) rows[0].push_back("cosine with " + c.compare_gradient);
  tell_warnings(cells, progress);
  std::vector<std::vector<std::string>> figures{{"solver", "eps", "withstand all", "lowest", "by"}};
  for (const Minimum& m : minima(cells)) {
    quoted.push_back({{"solver", m.solver},
                      {"eps", m.eps},
                      {"norm", m.l2 ? "l2" : "linf"},
                      {"accuracy", m.accuracy},
                      {"lowest", m.lowest},
                      {"by", m.by},
                      {"attackers", m.attackers},
                      {"weak", m.weak}});
    if (m.attackers > 1)
      figures.push_back({m.solver, shown(m.eps), percent(m.accuracy), percent(m.lowest),
                         m.by + (m.weak ? " (weak: add pgd or autoattack)" : "")});
  }
  std::string text = table_text(rows);
  if (figures.size() > 1)
    text += "\nThe figure to quote: samples that withstand every attacker\n" + table_text(figures);
  text += concat(test.size(), " test samples, regime ", c.regime.regime, ", gradient ", c.gradient,
                 "\n");
  keep_results(trained, "attack", results,
               {"attack", "solver", "attack_solver", "regime", "attack_regime", "gradient",
                "stepping", "examples"},
               word, shown_pictures);
  return {results, quoted, text};
}

void add_attack_options(OptionList& options, AttackRequest& values) {
  options.add("run", values.run, "Run folder (its last weights), or RUN/best.safetensors")
      ->required();
  options
      .add("--attack", values.attacks,
           "NAME[,name=value]..; repeat it for more (slope info attacks)")
      ->required()
      ->allow_extra_args(false);
  options
      .add("--solver", values.solvers,
           "Solver that is attacked; repeat it for more. Default: that of the training")
      ->allow_extra_args(false);
  options
      .add("--attack-solver", values.attack_solvers,
           "Solver the attack differentiates; default: the one attacked")
      ->allow_extra_args(false);
  add_regime_options(options, values.regime);
  options.add("--attack-regime", values.attack_regime,
              "Regime of the attack's own model; default: the one attacked, or standalone for a "
              "single --attack-solver");
  options.add("--gradient", values.gradient, "How the attack differentiates the solve");
  options.add("--compare-gradient", values.compare_gradient,
              "Also tell the cosine between the input gradients by this and by --gradient, e.g. "
              "adjoint");
  options.add("--stepping", values.stepping,
              "Adaptive steps: shared by the batch, or per-sample. Default: that of the training");
  options.add("--data", values.data, "Another data set of the same shape");
  options.add("--limit", values.limit, "The first N test samples; 0: all", not_negative());
  options.add("--batch", values.batch, "Samples at a time", positive());
}

}  // namespace slope::program
