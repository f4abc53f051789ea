// A ball that bounces: the problem with events.
#include <cmath>

#include "apps/problems/parts.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"

namespace slope::problems {
namespace {

constexpr double kGravity = 9.81;     // m / s^2
constexpr double kHeight = 10;        // m
constexpr double kRestitution = 0.9;  // of the speed, at each bounce

// Parabolas from bounce to bounce. The flights get shorter by kRestitution: the last of them ends
// at a finite time, after which the ball lies still. t: not negative.
std::vector<double> flight(double t) {
  double start = std::sqrt(2 * kHeight / kGravity);  // of a flight, and its speed there
  double speed = kGravity * start;
  if (t < start) return {kHeight - kGravity * t * t / 2, -kGravity * t};
  if (t >= start + 2 * speed * kRestitution / (kGravity * (1 - kRestitution))) return {0, 0};
  speed *= kRestitution;
  while (t >= start + 2 * speed / kGravity) {
    start += 2 * speed / kGravity;
    speed *= kRestitution;
  }
  t -= start;
  return {speed * t - kGravity * t * t / 2, speed - kGravity * t};
}

}  // namespace

Problem make_bouncing_ball(Dtype dtype) {
  const ode::Event bounce{.condition = [](const Tensor&, const Tensor& y,
                                          const Tensors&) { return reshape(part(y, 0), {}); },
                          .crossing = ode::Crossing::falling,
                          .stop_at = 0,
                          .jump =
                              [](const Tensor&, const Tensor& y, const Tensors&) {
                                return join({part(y, 0), -kRestitution * part(y, 1)});
                              }};
  return {.name = "bouncing-ball",
          .what = "a ball let fall from 10 m; it keeps 0.9 of its speed at each bounce, an event",
          .field = {.evaluate =
                        [](const Tensor&, const Tensor& y, const Tensors&) {
                          const Tensor velocity = part(y, 1);
                          return join({velocity, full_like(velocity, -kGravity)});
                        }},
          .y0 = row({kHeight, 0}, dtype),
          .end = 10,
          .components = {"height", "velocity"},
          .solution = flight,
          .events = {{"bounce", bounce}}};
}

}  // namespace slope::problems
