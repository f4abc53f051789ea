// Square: random search with squares, no gradient at all (Andriushchenko, Croce, Flammarion, Hein
// 2020). What it finds and gradients miss is a sign that they are hidden.
#pragma once

#include "nn/attack/ball.h"

namespace slope::nn {

struct SquareOptions {
  double eps = 8.0 / 255;
  int64_t queries = 5000;
  double p = 0.8;  // share of the picture that the first squares cover
  AttackNorm norm = AttackNorm::linf;
  Range range = {};
  uint64_t seed = 0;
};
// L-infinity: starts with vertical stripes of +-eps, then tries squares of +-eps, one sign for each
// channel. L2: starts with tiles of small hills, then takes the length that one window's change has
// away and gives it, with what is left of eps, to a hill in another. Keeps what lowers the margin.
// Each sample has random numbers of its own and stops when the model is fooled. samples.x: (N, H,
// W, C); points (N, d) are a row of d pixels.
Tensor square(Target& target, const AttackSamples& samples, const SquareOptions& options);

// The side of the square at query `query`, for a picture h x w: round(sqrt(p h w)) with p halved at
// queries 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001; between 1 and the shorter side.
int64_t square_side(int64_t query, double p, int64_t h, int64_t w);

}  // namespace slope::nn
