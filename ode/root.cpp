#include "ode/root.h"

#include <algorithm>
#include <cmath>

namespace slope::ode {

double find_root(const std::function<double(double)>& f, Bracket bracket, double width) {
  auto [a, fa, b, fb] = bracket;
  if (fa == 0) return a;
  const double range = std::abs(b - a), k1 = 0.2 / range;
  const double bisections = std::max(0.0, std::ceil(std::log2(range / width)));
  for (double n = 0; std::abs(b - a) > width && fb != 0; ++n) {
    const double middle = a + (b - a) / 2;
    if (middle == a || middle == b) break;
    // Interpolate, truncate towards the middle, and project into what bisection guarantees.
    const double falsi = (fb * a - fa * b) / (fb - fa);
    const double towards = middle > falsi ? 1 : -1;
    const double shift = k1 * (b - a) * (b - a);
    const double truncated = shift <= std::abs(middle - falsi) ? falsi + towards * shift : middle;
    const double radius = std::max(0.0, width * std::exp2(bisections - n) - std::abs(b - a) / 2);
    double x = std::abs(truncated - middle) <= radius ? truncated : middle - towards * radius;
    if (!(x > std::min(a, b) && x < std::max(a, b))) x = middle;
    const double fx = f(x);
    if ((fx > 0) == (fb > 0) || fx == 0) {
      b = x;
      fb = fx;
    } else {
      a = x;
      fa = fx;
    }
  }
  return std::abs(fa) < std::abs(fb) ? a : b;
}

}  // namespace slope::ode
