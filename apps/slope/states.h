// How far and how fast the states of a network's ODE blocks move, for the report.
#pragma once

#include <filesystem>

#include "apps/models/classifier.h"
#include "nn/data/dataset.h"

namespace slope::program {

// Writes RUN/states.json for a model with ODE blocks; does nothing for any other, or where the
// solver fails:
//   {step, solver, reference, samples, blocks: [{shape, own: PATH, flow: PATH}]}
//   PATH: {steps, t: [..], norm: [[mean, 10 %, 90 %]..], slope: the same}
// norm is the Euclidean norm of a sample's state y(t), slope that of f(t, y(t)); their mean and
// percentiles over some test samples. `own` is the solver's path, `flow` that by many small steps.
// Each block starts where the run's solver has brought the state. step: of the weights.
void write_states(const std::filesystem::path& run, const models::Classifier& model,
                  const ode::Solver& solver, const nn::Dataset& test, Dtype dtype, int64_t step);

}  // namespace slope::program
