// The picture of a classifier of points in the plane, for the report: what it decides where, its
// vector field, and how points move through it.
#pragma once

#include <filesystem>

#include "apps/models/classifier.h"
#include "nn/data/dataset.h"

namespace slope::program {

// Writes RUN/plane.json for a model whose ODE moves points (2) of the plane; does nothing for any
// other model, or where the solver fails:
//   {step, solver, reference, steps, classes: [names],
//    range, decided: [[class]], sure: [[its probability]], points: [[x, y, label]],
//    reach, fields: [{t, arrows: [[x, y, u, v]]}], head: {weight: [[a, b]], bias: [c]},
//    t: [..], moving: [{label, path: [[x, y]]}], flow_t: [..], flows: [path]}
// The points lie in the square from -range to range, their states in that from -reach to reach;
// `decided` and `sure` have their rows from the lowest y up. A path has a place for each of the
// times t: the ends of the solver's `steps` (of more than 64 every second, third, ..). `flows` are
// the paths of every 8th of the moving points by many small steps. One field, where it does not
// depend on t. The head decides for the class with the largest a x + b y + c. step: of the weights.
void write_plane(const std::filesystem::path& run, const models::Classifier& model,
                 const ode::Solver& solver, const nn::Dataset& test, Dtype dtype, int64_t step);

}  // namespace slope::program
