// Position: where a training run stands, and how a checkpoint's metadata keeps it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/checkpoint.h"
#include "nn/schedule.h"

namespace slope::program {

// Written into the checkpoint, so that a run goes on exactly where it stopped.
struct Position {
  int64_t step = 0;     // optimiser steps done
  int64_t epoch = 0;    // epochs done
  int64_t batch = 0;    // batches done in the epoch that is under way
  double loss_sum = 0;  // over the samples of this epoch so far
  double penalty_sum = 0;
  int64_t correct = 0;
  int64_t seen = 0;
  double seconds = 0;       // of training, evaluations not counted
  double test_seconds = 0;  // of the evaluations at the ends of the epochs
  int64_t examples = 0;     // of the whole run
  double train_loss = 0;    // mean of the last finished epoch
  double test_accuracy = 0;
  double best_accuracy = 0;  // on the test set
  double validation_accuracy = 0;
  double best_validation = 0;
  double forward_sum = 0;   // evaluations of the field, over the passes of this epoch so far
  double backward_sum = 0;  // the same, by the gradient
  int64_t passes = 0;
  double nfe_forward = 0;  // the means of the epoch that is under way, or of the last one
  double nfe_backward = 0;
  double robust_accuracy = 0;  // of training samples under PGD, where attacks are trained on
  double best_robust = 0;

  // Share of the samples seen in this epoch.
  double train_accuracy() const { return static_cast<double>(correct) / static_cast<double>(seen); }
  void begin_epoch() {
    ++epoch;
    batch = correct = seen = 0;
    loss_sum = penalty_sum = 0;
    forward_sum = backward_sum = 0;
    passes = 0;
  }
};

void write_position(const Position& position, nn::Metadata& metadata);
// Of a schedule that learns from the losses, what it has learnt; of others nothing.
void write_schedule(const nn::Schedule& schedule, nn::Metadata& metadata);

// The numbers in a checkpoint's metadata. One that is missing, no number, or outside its range,
// which would lead the run astray, is a DataError that names the file and the field.
class MetadataReader {
 public:
  // file: for messages. Both live longer.
  MetadataReader(const nn::Metadata& metadata, const std::string& file)
      : metadata_(metadata), file_(file) {}
  void read(const char* name, int64_t& value) const;
  void read(const char* name, double& value) const;
  // As many as `values` has; any but nan.
  void read(const char* name, std::vector<double>& values) const;
  void check(bool sound, const char* name, const std::string& what) const;

 private:
  const std::string& text(const char* name) const;

  const nn::Metadata& metadata_;
  const std::string& file_;
};

// batches: of an epoch; samples: of the training set.
Position read_position(const MetadataReader& reader, int64_t batches, int64_t samples);
void read_schedule(const MetadataReader& reader, nn::Schedule& schedule);

}  // namespace slope::program
