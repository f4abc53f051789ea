#include "ode/meta.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/random.h"
#include "core/word.h"
#include "ode/methods.h"
#include "ode/number_text.h"
#include "ode/solver_word.h"

namespace slope::ode {
namespace {

constexpr const char* kKinds[] = {"standalone", "switching", "smoothing", "solver-ensemble",
                                  "model-ensemble"};
constexpr uint32_t kBlocksPerPass = 64;  // draws of different passes have different numbers

std::vector<std::string> parts(const std::string& text, char separator) {
  std::vector<std::string> list;
  for (size_t begin = 0;;) {
    const size_t end = text.find(separator, begin);
    list.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
    if (end == std::string::npos) return list;
    begin = end + 1;
  }
}

double number(const std::string& what, const std::string& text) {
  const std::optional<double> value = parse_number(text);
  if (!value) throw ValueError(concat(what, ": \"", text, "\" is not a number."));
  return *value;
}

// Uniform draws of one (seed, stream, number).
class Draws {
 public:
  Draws(uint64_t seed, uint32_t stream, uint32_t number)
      : seed_(seed), stream_(stream), number_(number) {}
  double next() {
    const auto w = philox(seed_, stream_, number_, block_++);
    return static_cast<double>((uint64_t{w[0]} << 32 | w[1]) >> 11) * 0x1p-53;
  }
  // Around 0, scale 1.
  double deviation(SolverNoise::Law law) {
    const double u = next(), v = next();
    if (law == SolverNoise::Law::cauchy) return std::tan(std::numbers::pi * (u - 0.5));
    return std::sqrt(-2 * std::log(1 - u)) * std::cos(2 * std::numbers::pi * v);
  }

 private:
  uint64_t seed_;
  uint32_t stream_, number_;
  uint64_t block_ = 0;
};

// A family's name and parameters from its method's name: "rk2,u=0.5".
MethodParameters parameters_of(const Word& word) {
  MethodParameters list;
  for (const auto& [name, text] : word.options()) list.emplace_back(name, number("solver", text));
  return list;
}
bool has_family(const Solver& solver) {
  const Word word("solver", solver.method.name());
  return !word.options().empty() &&
         (word.name() == "rk2" || word.name() == "rk3" || word.name() == "rk4");
}

}  // namespace

const char* name(RegimeKind kind) { return kKinds[static_cast<size_t>(kind)]; }

RegimeKind parse_regime_kind(const std::string& word) {
  for (size_t i = 0; i < std::size(kKinds); ++i)
    if (word == kKinds[i]) return static_cast<RegimeKind>(i);
  throw ValueError(concat("regime: there is no regime ", word,
                          ". It can be standalone, switching, smoothing, solver-ensemble or "
                          "model-ensemble."));
}

SolverNoise parse_solver_noise(const std::string& word) {
  const std::vector<std::string> p = parts(word, ',');
  SolverNoise noise;
  if (p[0] == "cauchy") {
    noise.law = SolverNoise::Law::cauchy;
  } else if (p[0] != "normal") {
    throw ValueError(concat("noise: there is no law ", p[0],
                            ". Write normal or cauchy, e.g. "
                            "normal,0.0125,reset."));
  }
  if (p.size() > 1) noise.scale = number("noise", p[1]);
  if (!(noise.scale > 0))
    throw ValueError(
        concat("noise: the scale must be above 0, got ", number_text(noise.scale), "."));
  if (p.size() > 2) {
    const char* words[] = {"reset", "clip", "resample"};
    const auto found = std::find(std::begin(words), std::end(words), p[2]);
    if (found == std::end(words) || p.size() > 3)
      throw ValueError(concat("noise: ", word, " is not law,scale,reset|clip|resample."));
    noise.outside = static_cast<SolverNoise::Outside>(found - words);
  }
  return noise;
}

void check_regime(const Regime& r) {
  const auto fail = [&](auto&&... text) {
    throw ValueError(concat("regime ", name(r.kind), ": ", text...));
  };
  if (r.solvers.empty()) fail("there is no solver.");
  for (const Solver& solver : r.solvers) check_stepping(solver);
  const bool one = r.kind == RegimeKind::standalone || r.kind == RegimeKind::smoothing;
  if (one && r.solvers.size() > 1)
    fail("it takes one solver, got ", r.solvers.size(),
         ". Choose --regime switching, "
         "solver-ensemble or model-ensemble.");
  if (!r.weights.empty()) {
    if (one) fail("it takes no weights.");
    if (r.kind == RegimeKind::model_ensemble)
      fail("probabilities are averaged equally; it takes no weights.");
    if (r.weights.size() != r.solvers.size())
      fail("there are ", r.weights.size(), " weights for ", r.solvers.size(), " solvers.");
    double sum = 0;
    for (const double w : r.weights) {
      if (!(w >= 0)) fail("a weight must not be negative, got ", number_text(w), ".");
      sum += w;
    }
    if (std::abs(sum - 1) > 1e-6) fail("the weights sum to ", rounded_text(sum), ", not to 1.");
  }
  if (r.kind == RegimeKind::smoothing && !has_family(r.solvers[0]))
    fail(r.solvers[0].method.name(), " has no parameter to draw. Use a family, e.g. rk2,u=0.5:8.");
}

Regime parse_regime(const std::string& kind, const std::string& solvers, const std::string& weights,
                    const std::string& noise, const std::string& draw) {
  Regime regime{.kind = parse_regime_kind(kind)};
  for (const std::string& word : parts(solvers, '+')) regime.solvers.push_back(parse_solver(word));
  if (!weights.empty())
    for (const std::string& w : parts(weights, ',')) regime.weights.push_back(number("weights", w));
  if (!noise.empty()) regime.noise = parse_solver_noise(noise);
  if (draw != "batch" && draw != "block")
    throw ValueError(concat("draw: it can be batch or block, got ", draw, "."));
  regime.per_block = draw == "block";
  check_regime(regime);
  return regime;
}

Solver noised(const Solver& solver, const SolverNoise& noise, uint64_t seed, uint32_t stream,
              uint32_t draw) {
  const Word word("solver", solver.method.name());
  MethodParameters parameters = parameters_of(word);
  if (parameters.empty())
    throw ValueError(concat("noise: ", solver.method.name(), " has no parameter to draw."));
  Draws draws(seed, stream, draw);
  for (size_t i = 0; i < parameters.size(); ++i) {
    double deviation = draws.deviation(noise.law);
    if (i == 0 && std::abs(deviation) >= 2) {
      if (noise.outside == SolverNoise::Outside::reset) deviation = 0;
      if (noise.outside == SolverNoise::Outside::clip) deviation = std::copysign(2, deviation);
      if (noise.outside == SolverNoise::Outside::resample)
        while (std::abs(deviation) >= 2) deviation = draws.deviation(noise.law);
    }
    parameters[i].second += noise.scale * deviation;
  }
  Solver result = solver;
  result.method = method(word.name() + "-clamped", parameters);
  return result;
}

MetaSolver::MetaSolver(Regime regime, uint64_t seed, uint32_t stream)
    : regime_(std::move(regime)), seed_(seed), stream_(stream) {
  check_regime(regime_);
  if (regime_.kind == RegimeKind::model_ensemble)
    throw ValueError("regime model-ensemble: its members run one by one, each standalone.");
}

MetaSolver::Member MetaSolver::draw(uint32_t number) {
  const std::vector<Solver>& solvers = regime_.solvers;
  if (regime_.kind == RegimeKind::smoothing)
    return {noised(solvers[0], regime_.noise, seed_, stream_, number)};
  if (regime_.kind == RegimeKind::standalone) return {solvers[0]};
  double u = Draws(seed_, stream_, number).next();
  for (size_t i = 0; i + 1 < solvers.size(); ++i) {
    u -= regime_.weights.empty() ? 1 / static_cast<double>(solvers.size()) : regime_.weights[i];
    if (u < 0) return {solvers[i]};
  }
  return {solvers.back()};
}

void MetaSolver::begin_pass(int64_t number) {
  blocks_ = 0;
  shared_.clear();
  passes_ = number + 1;
}

std::vector<MetaSolver::Member> MetaSolver::next_block() {
  if (passes_ == 0) begin_pass();
  if (shared_.empty() || regime_.per_block) {
    shared_.clear();
    if (regime_.kind == RegimeKind::solver_ensemble) {
      const double equal = 1 / static_cast<double>(regime_.solvers.size());
      for (size_t i = 0; i < regime_.solvers.size(); ++i)
        shared_.push_back(
            {regime_.solvers[i], regime_.weights.empty() ? equal : regime_.weights[i]});
    } else {
      const auto pass = static_cast<uint32_t>(passes_ - 1);
      shared_.push_back(draw(pass * kBlocksPerPass + blocks_ % kBlocksPerPass));
    }
  }
  ++blocks_;
  for (const Member& member : shared_) {
    const std::string word = solver_word(member.solver);
    const auto [place, first] = places_.emplace(word, uses_.size());
    if (first) uses_.emplace_back(word, 0);
    ++uses_[place->second].second;
  }
  return shared_;
}

}  // namespace slope::ode
