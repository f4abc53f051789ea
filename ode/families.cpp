#include "ode/families.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "ode/family_formulas.h"
#include "ode/number_text.h"

namespace slope::ode {
namespace {

// Refuses a parameter within kPoleDistance of a zero of a denominator. `value` names what is wrong,
// "u = 0.5"; `reason` the formula that has no value there.
void refuse_pole(double distance, const std::string& word, const std::string& value,
                 const char* reason) {
  if (std::abs(distance) >= kPoleDistance) return;
  throw ValueError(concat("solver ", word, ": ", value, " is a pole of the family: ", reason,
                          " divides by zero. Choose a parameter farther than ",
                          number_text(kPoleDistance), " away from it."));
}

void refuse_nonfinite(double value, const std::string& word) {
  if (!std::isfinite(value)) {
    throw ValueError(concat("solver ", word, ": the parameters must be finite numbers."));
  }
}

std::string word_of(const char* family, const char* parameter, double u) {
  return concat(family, ",", parameter, "=", number_text(u));
}

std::string word_of(const char* family, double u, double v) {
  return concat(word_of(family, "u", u), ",v=", number_text(v));
}

std::string equals(const char* name, double value) {
  return concat(name, " = ", number_text(value));
}

// A tableau from the family's formulas. a_used: its structure.
Tableau made(std::string name, int order, FamilyMember<double> member,
             std::vector<uint32_t> a_used) {
  Tableau m{.name = std::move(name), .order = order};
  m.c = std::move(member.c);
  m.a = std::move(member.a);
  m.b = std::move(member.b);
  m.b_used = (1u << m.b.size()) - 1;
  m.a_used = std::move(a_used);
  return m;
}

Tableau completed(Tableau m) {
  complete(m);
  return m;
}

}  // namespace

Tableau rk2(double u) {
  const std::string name = word_of("rk2", "u", u);
  refuse_nonfinite(u, name);
  refuse_pole(u, name, equals("u", u), "b2 = 1 / (2u)");
  Tableau m = made(name, 2, rk2_formulas(1., u), {0, 0b1});
  m.embedded_order = 1;
  m.b_error = {-m.b[1], m.b[1]};  // against Euler's method
  return completed(m);
}

Tableau rk3(double u, double v) {
  const std::string name = word_of("rk3", u, v);
  refuse_nonfinite(u + v, name);
  refuse_pole(u, name, equals("u", u), "b2 = (2 - 3v) / (6u (u - v))");
  refuse_pole(v, name, equals("v", v), "b3 = (2 - 3u) / (6v (v - u))");
  refuse_pole(u - v, name, concat("u = v = ", number_text(u)), "b2 = (2 - 3v) / (6u (u - v))");
  refuse_pole(u - 2. / 3, name, equals("u", u), "a32 = v (v - u) / (u (2 - 3u))");
  return completed(made(name, 3, rk3_formulas(1., u, v), {0, 0b1, 0b11}));
}

Tableau rk4_u1(double u) {
  const std::string name = word_of("rk4", "u1", u);
  refuse_nonfinite(u, name);
  refuse_pole(u, name, equals("u1", u), "a32 = 1 / (12u)");
  return completed(made(name, 4, rk4_u1_formulas(1., u), {0, 0b1, 0b11, 0b111}));
}

Tableau rk4_u2(double u) {
  const std::string name = word_of("rk4", "u2", u);
  refuse_nonfinite(u, name);
  refuse_pole(u, name, equals("u2", u), "a32 = 1 / (6u)");
  return completed(made(name, 4, rk4_u2_formulas(1., u), {0, 0b1, 0b11, 0b110}));
}

Tableau rk4_u3(double u) {
  const std::string name = word_of("rk4", "u3", u);
  refuse_nonfinite(u, name);
  refuse_pole(u, name, equals("u3", u), "a43 = 1 / (3u)");
  return completed(made(name, 4, rk4_u3_formulas(1., u), {0, 0b1, 0b11, 0b111}));
}

Tableau rk4(double u, double v) {
  const std::string name = word_of("rk4", u, v);
  const double d = 6 * u * v - 4 * (u + v) + 3;
  refuse_nonfinite(u + v, name);
  refuse_pole(u, name, equals("u", u), "b2 = (2v - 1) / (12u (1 - u) (v - u))");
  refuse_pole(1 - u, name, equals("u", u), "b2 = (2v - 1) / (12u (1 - u) (v - u))");
  refuse_pole(u - 0.5, name, equals("u", u), "a32 = v (v - u) / (2u (1 - 2u))");
  refuse_pole(v, name, equals("v", v), "b3 = (1 - 2u) / (12v (1 - v) (v - u))");
  refuse_pole(1 - v, name, equals("v", v), "b3 = (1 - 2u) / (12v (1 - v) (v - u))");
  refuse_pole(u - v, name, concat("u = v = ", number_text(u)),
              "b2 = (2v - 1) / (12u (1 - u) (v - u))");
  refuse_pole(d, name, concat(equals("u", u), ", ", equals("v", v)),
              "a43 = (1 - 2u) (1 - u) (1 - v) / (v (v - u) (6uv - 4u - 4v + 3))");
  return completed(made(name, 4, rk4_formulas(1., u, v), {0, 0b1, 0b11, 0b111}));
}

// Like the published code: eps is the machine epsilon of float16 for parameters in float32, and of
// float32 for parameters in float64.
FamilyParameters published_clamp(const std::string& family, FamilyParameters p, double eps) {
  const auto apart = [&] {
    if (p.u == p.v) p.v = p.u < 1 - eps ? p.u + eps : p.u - eps;
  };
  if (family == "rk2") {
    p.u = std::clamp(p.u, eps, 1.);
  } else if (family == "rk3") {
    p.u = std::clamp(p.u, eps, 1.);
    p.v = std::clamp(p.v, eps, 1.);
    apart();
  } else if (family == "rk4") {
    p.u = p.u < 0.5 ? std::clamp(p.u, eps, 0.5 - eps) : std::clamp(p.u, 0.5 + eps, 1 - eps);
    p.v = std::clamp(p.v, eps, 1 - eps);
    apart();
  } else {
    p.u = std::clamp(p.u, eps, 1 - eps);
  }
  return p;
}

}  // namespace slope::ode
