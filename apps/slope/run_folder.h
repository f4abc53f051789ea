// A run folder: config.toml, metrics.csv, model.safetensors, best.safetensors, log.txt,
// report.html.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "apps/models/classifier.h"
#include "apps/slope/data_source.h"
#include "apps/slope/training_options.h"
#include "nn/checkpoint.h"

namespace slope::program {

// Makes the folder: `out`, or runs/MODEL-001 and so on when it is empty. An existing one that is
// not empty is refused (ValueError) unless force.
std::filesystem::path make_run_folder(const std::string& out, const std::string& model, bool force);

// One program at a time trains in a run folder; the lock ends with its holder, however that ends.
class RunLock {
 public:
  // DataError where another program holds it.
  explicit RunLock(const std::filesystem::path& folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int descriptor_;
};

// Removes the files of a run that a new one in the same folder (--force) must not inherit.
void remove_run_files(const std::filesystem::path& folder);

// Removes what a killed process has left of files that it was writing: NAME.tmp123.
void remove_leftovers(const std::filesystem::path& folder);

// A trained model with what it was trained on.
struct Run {
  std::filesystem::path folder;
  std::filesystem::path weights;  // the file they are from
  TrainingOptions options;
  std::string solver = {};  // to use it with: that of the training, as far as it was adapted
  Settings settings;  // seed, dtype as trained unless given; exact as trained or given; else given
  uint64_t data_seed = 0;  // of its training: which samples are the test set is no later choice
  std::unique_ptr<models::Classifier> model;
  nn::Checkpoint checkpoint;
  int64_t step = 0;                           // optimiser steps behind the weights
  std::vector<std::string> class_names = {};  // (classes) of the data it was trained on, or none
};
// place: a run folder, that is its last weights, or one of its files, FOLDER/best.safetensors.
// Weights are cast where another dtype is given. Errors: not a run folder, a checkpoint that does
// not fit the model or has weights that are not finite.
Run open_run(const std::string& place, const Settings& settings);
// The options of the training that writes or wrote a run folder, and of the settings what changes
// its numbers.
void read_config(const std::filesystem::path& folder, TrainingOptions& options, Settings& settings);
// Whether a training was stopped there before its first checkpoint.
bool has_only_begun(const std::filesystem::path& folder);
// The config.toml of a run folder as it would be written now: options that were not there yet when
// it was have their defaults. Empty: there is none, or it is malformed.
std::string config_text(const std::filesystem::path& folder);
// Whether these are the weights that the folder's report and results are about.
bool has_last_weights(const Run& run);
// Whether `slope train` wrote it, with all that it takes to go on; imported weights are not.
bool can_go_on(const Run& run);
// Weights of another run (see open_run) for a model that has the same tensors. -> what they are, in
// words, with the file's SHA-256.
std::string start_from(const std::string& place, const Settings& settings,
                       const models::Classifier& model);

// Fills in what was left open: data, optimizer and learning rate become the model's own.
void complete(TrainingOptions& options);
// The word of the data set that a model is trained on.
std::string data_word(const TrainingOptions& options);
// The first `limit` test samples of a data set (0: all). Errors: samples that do not fit the model.
nn::Dataset test_set(const Run& run, const std::string& word, int64_t limit,
                     const Settings& settings);
// A fresh model for data like this.
std::unique_ptr<models::Classifier> new_model(const TrainingOptions& options,
                                              const Settings& settings, const nn::Dataset& data);
// The name of the first of these that has a value which is not finite; empty when all are.
std::string not_finite(const std::vector<nn::NamedTensor>& tensors);
// What a checkpoint says of its model, so that open_run can make it again.
nn::Metadata model_metadata(const models::Classifier& model, const TrainingOptions& options,
                            const Settings& settings);
// Parameters and buffers, by name.
std::vector<nn::NamedTensor> model_tensors(const nn::Module& model);

}  // namespace slope::program
