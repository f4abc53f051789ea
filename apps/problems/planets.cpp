// DETEST's C5: the five outer planets, 30 equations. Distances in astronomical units, time in
// hundreds of days.
#include "apps/problems/parts.h"
#include "core/ops.h"

namespace slope::problems {
namespace {

constexpr double kGravity = 2.95912208286, kSun = 1.00000597682;
const std::vector<double> kMasses = {0.000954786104043, 0.000285583733151, 0.0000437273164546,
                                     0.0000517759138449, 0.00000277777777778};

}  // namespace

std::vector<double> planets_start() {
  return {
      // positions of Jupiter, Saturn, Uranus, Neptune, Pluto
      3.42947415189, 3.35386959711, 1.35494901715,   //
      6.64145542550, 5.97156957878, 2.18231499728,   //
      11.2630437207, 14.6952576794, 6.27960525067,   //
      -30.1552268759, 1.65699966404, 1.43785752721,  //
      -21.1238353380, 28.4465098142, 15.3882659679,  //
      // velocities
      -0.557160570446, 0.505696783289, 0.230578543901,     //
      -0.415570776342, 0.365682722812, 0.169143213293,     //
      -0.325325669158, 0.189706021964, 0.0877265322780,    //
      -0.0240476254170, -0.287659532608, -0.117219543175,  //
      -0.176860753121, -0.216393453025, -0.0148647893090,  //
  };
}

// r_j'' = k2 (-(m0 + m_j) r_j / |r_j|^3
//             + sum over k != j of m_k ((r_k - r_j) / |r_k - r_j|^3 - r_k / |r_k|^3))
ode::Field planets_field(Dtype dtype) {
  constexpr int64_t n = 5;
  std::vector<double> identity, own, pulls;
  for (size_t j = 0; j < n; ++j) {
    own.push_back(kSun + kMasses[j]);
    for (size_t k = 0; k < n; ++k) {
      identity.push_back(j == k);
      pulls.push_back(j == k ? 0 : kMasses[k]);
    }
  }
  const Tensor same = tensor(identity, {n, n, 1}, dtype), mass = tensor(own, {n, 1}, dtype),
               pull = tensor(pulls, {n, n, 1}, dtype);
  return {.context = {same, mass, pull},
          .evaluate = [](const Tensor&, const Tensor& y, const Tensors& context) {
            const int64_t samples = y.dim(0);
            const Tensor r = slice(y, 1, 0, 3 * n).reshape({samples, n, 3});
            const auto over_cube = [](const Tensor& x) {  // x / |x|^3 is x times this
              return pow(sum(square(x), {-1}, true), -1.5);
            };
            const Tensor sunward = r * over_cube(r);
            // (N, j, k, 3): from j to k. A planet itself is at distance 0; the 1 keeps its
            // weight of zero from meeting an infinity.
            const Tensor apart = unsqueeze(r, 1) - unsqueeze(r, 2);
            const Tensor distance2 = sum(square(apart), {-1}, true) + context[0];
            const Tensor others = apart * pow(distance2, -1.5) - unsqueeze(sunward, 1);
            const Tensor force = sum(context[2] * others, {2}) - context[1] * sunward;
            return join({slice(y, 1, 3 * n, 6 * n), (kGravity * force).reshape({samples, 3 * n})});
          }};
}

}  // namespace slope::problems
