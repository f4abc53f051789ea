// What robust training makes small, beyond the cross-entropy of attacked samples.
#pragma once

#include "nn/train.h"

namespace slope::nn {

// TRADES (Zhang et al. 2019, "Theoretically principled trade-off between robustness and accuracy"):
//   cross_entropy(z) + beta mean(KL(softmax(z) || softmax(z')))
// with the logits z of the batch and z' of its one version, the attacked samples: those of pgd with
// AttackLoss::kl, PgdStart::normal and `last`. The gradient goes through z in both terms.
// ValueError: beta that is negative.
Objective trades_objective(double beta, double label_smoothing = 0);

// The sum of the cross-entropies of the batch and all its versions: the gradient of the attack's
// start added to that of its end, as the meta-solver code trains by not setting it to zero between.
Objective summed_objective(double label_smoothing = 0);

}  // namespace slope::nn
