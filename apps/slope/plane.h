// The picture of a classifier of points in the plane, for the report: what it decides where, its
// vector field, and the paths of some points.
#pragma once

#include <filesystem>

#include "apps/models/classifier.h"
#include "nn/data/dataset.h"

namespace slope::program {

// Writes RUN/plane.json for a model of two classes whose ODE moves points (2) of the plane; does
// nothing for any other model, or where the solver fails:
//   {step, range, decision: [[probability of class 1]], field: [[x, y, u, v]],
//    trajectories: [{label, points, flow}], points: [[x, y, label]]}
// The square reaches from -range to range; decision has its rows from the lowest y up. `points` are
// the steps of the solver, `flow` the same path by many small steps. step: of the weights.
void write_plane(const std::filesystem::path& run, const models::Classifier& model,
                 const ode::Solver& solver, const nn::Dataset& test, Dtype dtype, int64_t step);

}  // namespace slope::program
