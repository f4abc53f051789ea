#include "apps/slope/training_options.h"

#include <toml++/toml.h>

namespace slope::program {

void add_training_options(OptionList& options, TrainingOptions& v) {
  options.add("--data", v.data, "Data set; default: the model's own (slope info data)");
  options.add("--solver", v.solver,
              "METHOD[,name=value]..[:STEPS|:h=SIZE|@RTOL[,ATOL]] (slope info methods)");
  options.add("--gradient", v.gradient, "How to differentiate the solve: checkpointed or through");
  options.add("--epochs", v.epochs, "Passes over the training set")->check(CLI::PositiveNumber);
  options.add("--iterations", v.iterations, "Optimiser steps instead of epochs; 0: epochs count")
      ->check(CLI::NonNegativeNumber);
  options.add("--batch", v.batch, "Samples per step")->check(CLI::PositiveNumber);
  options
      .add("--lr", v.lr,
           "Learning rate, the highest of the schedule; 0: 0.05 for sgd, 0.001 for the others")
      ->check(CLI::NonNegativeNumber);
  options.add("--optimizer", v.optimizer, "sgd, adam, adamw or rmsprop");
  options.add("--momentum", v.momentum, "Momentum of sgd and rmsprop")->check(CLI::Range(0.0, 1.0));
  options.add(
      "--schedule", v.schedule,
      "constant, cosine, one-cycle, triangular2,up=S[,base=B] or multi-step,at=A/B[,factor=F]");
  options.add("--weight-decay", v.weight_decay, "L2 penalty (adamw: decoupled)")
      ->check(CLI::NonNegativeNumber);
  options
      .add("--label-smoothing", v.label_smoothing, "Share of the target spread over all classes")
      ->check(CLI::Range(0.0, 1.0));
  options.add("--clip-norm", v.clip_norm, "Largest L2 norm of all gradients together; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  options
      .add("--checkpoint-every", v.checkpoint_every, "Steps between checkpoints; 0: one per epoch")
      ->check(CLI::NonNegativeNumber);
  options.add("--limit", v.limit, "Train on the first N samples; 0: all")
      ->check(CLI::NonNegativeNumber);
}

double usual_rate(const std::string& optimizer) { return optimizer == "sgd" ? 0.05 : 0.001; }

std::string to_toml(const TrainingOptions& v, const Settings& s) {
  const toml::table table{{"model", v.model},
                          {"data", v.data},
                          {"solver", v.solver},
                          {"gradient", v.gradient},
                          {"epochs", v.epochs},
                          {"iterations", v.iterations},
                          {"batch", v.batch},
                          {"lr", v.lr},
                          {"optimizer", v.optimizer},
                          {"momentum", v.momentum},
                          {"schedule", v.schedule},
                          {"weight-decay", v.weight_decay},
                          {"label-smoothing", v.label_smoothing},
                          {"clip-norm", v.clip_norm},
                          {"checkpoint-every", v.checkpoint_every},
                          {"limit", v.limit},
                          {"seed", static_cast<int64_t>(s.seed)},
                          {"dtype", s.dtype}};
  return concat("# slope train --config FILE repeats this run.\n", table, "\n");
}

}  // namespace slope::program
