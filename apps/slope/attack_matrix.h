// The solver matrix: attacks against what is defended under one regime, made with the gradient of
// another.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/slope/attack_word.h"
#include "apps/slope/regime.h"
#include "nn/data/dataset.h"

namespace slope::program {

// How far two gradients of the same loss agree, sample by sample.
struct GradientCosine {
  std::string with;  // the other gradient's word
  double mean = 0;   // of the cosines of all samples
  double least = 1;
  int64_t samples = 0;  // both of whose gradients are finite and not zero
};
// Of the cross-entropy's input gradients on the clean samples. Both sides draw the same, so that
// only the way of differentiating differs.
GradientCosine gradient_cosine(Defence& one, Defence& other, const nn::Dataset& data, int64_t batch,
                               Dtype dtype);

// One attack of one attacker on one defence.
struct Cell {
  std::string attack, solver, attack_solver;  // words as given
  std::string regime;
  std::string stepping;  // of the defence: shared or per-sample
  std::string attack_regime;
  double eps = -1;
  std::string settings;  // Attack::settings
  bool l2 = false;       // Attack::l2
  bool noise = false, one_step = false, historical = false;
  Accuracy clean, after;
  double change_linf = 0, change_l2 = 0;      // largest and mean length of the changes
  std::optional<GradientCosine> cosine = {};  // of the attack's gradient and another
  std::vector<std::string> warnings = {};
};

// Attacks a data set batch by batch with a gradient of its own.
class Attacker {
 public:
  // transfer: the result is meant for another solver, so an attack does not stop when it has fooled
  // its own.
  Attacker(Defence& defence, const Attack& attack, bool transfer);
  // The attacked data set, as points (it is no longer bytes). told: hears, pass by pass, how many
  // samples are finished, and of the batch that is not what the attack is doing.
  nn::Dataset operator()(const nn::Dataset& data, int64_t batch, Dtype dtype,
                         const std::function<void(int64_t, const std::string&)>& told);
  const nn::Target::Notes& notes() const { return target_.notes(); }

 private:
  Attack attack_;
  std::function<void(const std::string& part, int64_t passes, int64_t samples)> heard_;
  nn::Target target_;
};

// Sizes of the changes, in the pixel range: the largest of any value, and the mean Euclidean
// length.
void measure_changes(const nn::Dataset& clean, const nn::Dataset& changed, Dtype dtype, Cell& cell);

// Signs that one attack's result is not to be trusted (Athalye, Carlini, Wagner 2018; Carlini et
// al. 2019), from the attack itself.
// known: what the attacker differentiates.
void warn_of_attack(Cell& cell, const Attack& attack, const Defence& defence, const Defence& known,
                    const nn::Target::Notes& notes, int64_t samples);
// And from comparing results with each other: noise that beats an attack, one step that beats many,
// no gradient that beats gradients, accuracy that does not fall with eps.
void warn_of_comparisons(std::vector<Cell>& cells);

// The figure to quote for each (solver, norm, eps): samples that are right under every attack and
// attacker that was tried, noise apart.
struct Minimum {
  std::string solver;
  double eps = 0;
  bool l2 = false;
  double accuracy = 1;  // of samples that withstand all of them
  double lowest = 1;    // of the attackers, alone
  std::string by;       // the attack and attack solver that is the lowest
  int64_t attackers = 0;
  // Nothing but single steps and published settings that are known to be weak was tried: then the
  // figure says little.
  bool weak = true;
};
std::vector<Minimum> minima(const std::vector<Cell>& cells);

}  // namespace slope::program
