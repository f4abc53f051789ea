// Meta-solvers: which solver solves a block, drawn anew or averaged (Gusak et al. 2021).
//
//   standalone       one solver
//   switching        one of several, drawn with given probabilities
//   smoothing        one whose parameters are drawn around their values
//   solver-ensemble  several; their results, the features, are averaged with given weights
//   model-ensemble   several models; their probabilities are averaged. No block knows of it: a
//                    caller runs each member alone
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ode/solver.h"

namespace slope::ode {

enum class RegimeKind { standalone, switching, smoothing, solver_ensemble, model_ensemble };
const char* name(RegimeKind kind);
// "standalone" and so on; anything else: ValueError that lists them.
RegimeKind parse_regime_kind(const std::string& word);

// Noise on the parameters u, v of a Runge-Kutta family.
struct SolverNoise {
  enum class Law { normal, cauchy };
  // What becomes of a draw of the first parameter at 2 scales or more from its value: the value
  // itself (as published: 4.6 % of normal draws, 29.5 % of Cauchy's), the nearer end, a new draw. v
  // is never touched.
  enum class Outside { reset, clip, resample };
  Law law = Law::normal;
  double scale = 0.0125;  // standard deviation, or Cauchy's scale
  Outside outside = Outside::reset;
};
// "normal,0.0125,reset": law, scale, and what happens outside (may be left out). Errors:
// ValueError.
SolverNoise parse_solver_noise(const std::string& word);

struct Regime {
  RegimeKind kind = RegimeKind::standalone;
  std::vector<Solver> solvers = {};
  std::vector<double> weights = {};  // probabilities or weights, sum 1; empty: all the same
  SolverNoise noise = {};            // of smoothing
  // Each block draws for itself; else all blocks of a pass share one draw, as published papers say
  // (their code draws per block).
  bool per_block = false;

  // Whether two passes over the same input may differ.
  bool random() const { return kind == RegimeKind::switching || kind == RegimeKind::smoothing; }
};
// Errors, all ValueError: no solver, several for one that takes one, weights that do not fit or do
// not sum to 1, noise on a method without parameters.
void check_regime(const Regime& regime);
// solvers: solver words joined by '+'; weights: numbers joined by ',' or empty; noise: as
// parse_solver_noise, empty for the default; draw: "batch" or "block".
Regime parse_regime(const std::string& kind, const std::string& solvers, const std::string& weights,
                    const std::string& noise, const std::string& draw);

// The same method with parameters drawn around its own, then moved off poles as published
// (published_clamp). Draw number `draw` of the stream (seed, stream): always the same.
Solver noised(const Solver& solver, const SolverNoise& noise, uint64_t seed, uint32_t stream,
              uint32_t draw);

// Hands out solvers pass by pass. A pass's draws are a function of the seed, the stream and the
// pass's number alone.
class MetaSolver {
 public:
  MetaSolver(Regime regime, uint64_t seed, uint32_t stream);

  struct Member {
    Solver solver;
    double weight = 1;
  };
  // Before a forward pass: its draw. Passes are counted from 0; one with a number draws what that
  // number draws, and the count goes on behind it.
  void begin_pass() { begin_pass(passes_); }
  void begin_pass(int64_t number);
  // What solves the next block of this pass: its result is the sum of weight * solution.
  std::vector<Member> next_block();

  const Regime& regime() const { return regime_; }
  // How often each solver was used, by its word: what a log shows.
  const std::vector<std::pair<std::string, int64_t>>& uses() const { return uses_; }

 private:
  Member draw(uint32_t number);

  Regime regime_;
  uint64_t seed_;
  uint32_t stream_;
  int64_t passes_ = 0;   // the next one's number
  uint32_t blocks_ = 0;  // of this pass
  std::vector<Member> shared_;
  std::vector<std::pair<std::string, int64_t>> uses_;
  std::map<std::string, size_t> places_;  // in uses_
};

}  // namespace slope::ode
