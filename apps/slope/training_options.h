// What a training run is made of: the options of `slope train`, and the config.toml of a run
// folder, which has them all.
#pragma once

#include <string>
#include <vector>

#include "apps/slope/settings.h"
#include "nn/optimizer.h"

namespace slope::program {

struct TrainingOptions {
  std::string model;
  std::string data;  // "": the model's own
  std::string init;  // a run to start from (open_run); "": random weights
  std::string solver = "rk4:1";
  std::string regime = "standalone";  // the solvers of ODE blocks while training; these are its
  std::string weights, noise;         // options (ode/meta.h)
  std::string draw = "batch";
  std::string gradient = "checkpointed";
  std::string stepping = "shared";
  int64_t epochs = 3;
  int64_t iterations = 0;  // > 0: so many steps instead of epochs
  int64_t batch = 128;
  bool drop_last = false;
  double lr = 0;          // 0: the usual one (usual_rate)
  std::string optimizer;  // "": the model's own
  double momentum = 0.9;
  std::string schedule = "constant";
  double weight_decay = 0;
  double label_smoothing = 0;
  double clip_norm = 0;            // 0: no clipping
  double ema = 0;                  // decay of the average of the weights; 0: none
  int64_t bn_batches = 0;          // for BatchNorm's statistics of a test; 0: the running ones
  std::vector<std::string> group;  // parse_groups
  std::string regularize;          // ode::parse_regularization
  std::string adapt;               // ode::parse_adapt; "": the solver stays
  int64_t checkpoint_every = 0;    // steps between checkpoints; 0: once per epoch
  int64_t limit = 0;               // first samples of the training set; 0: all
  int64_t test_limit = 0;          // first samples of the test set, as it is tested on; 0: all
  double validation = 0;           // share of the training set that is held out
  std::string augment;             // of the training pictures; "": none
  std::string train_attack;        // an attack on each batch before the model learns it; "": none
  std::string train_noise;         // the same with noise
};

// Registers them all; the same names are the keys of config.toml.
void add_training_options(OptionList& options, TrainingOptions& values);

// NAME[,rate=X][,weight-decay=X] each. ValueError: another option, numbers that are none or below
// 0.
std::vector<nn::ParameterGroup> parse_groups(const std::vector<std::string>& words);

// The complete text of config.toml.
std::string to_toml(const TrainingOptions& values, const Settings& settings);

}  // namespace slope::program
