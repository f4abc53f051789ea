#include "ode/families.h"

#include <cmath>

#include "core/error.h"
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

// The four-stage method with nodes (0, c2, c3, 1), weights b, and a32, a42, a43; the first column
// follows from sum_j a_ij = c_i. a_used: the structure of the family.
Tableau four_stages(std::string name, double c2, double c3, std::vector<double> b, double a32,
                    double a42, double a43, std::vector<uint32_t> a_used) {
  Tableau m{.name = std::move(name), .order = 4, .b = std::move(b), .a_used = std::move(a_used)};
  m.c = {0, c2, c3, 1};
  m.a = {{}, {c2}, {c3 - a32, a32}, {1 - a42 - a43, a42, a43}};
  m.b_used = 0b1111;
  complete(m);
  return m;
}

}  // namespace

Tableau rk2(double u) {
  const std::string name = word_of("rk2", "u", u);
  refuse_nonfinite(u, name);
  refuse_pole(u, name, equals("u", u), "b2 = 1 / (2u)");
  const double b2 = 1 / (2 * u);
  Tableau m{.name = name, .order = 2, .embedded_order = 1};
  m.c = {0, u};
  m.a = {{}, {u}};
  m.b = {1 - b2, b2};
  m.b_error = {-b2, b2};  // against Euler's method
  m.a_used = {0, 0b1};
  m.b_used = 0b11;
  complete(m);
  return m;
}

Tableau rk3(double u, double v) {
  const std::string name = word_of("rk3", u, v);
  refuse_nonfinite(u + v, name);
  refuse_pole(u, name, equals("u", u), "b2 = (2 - 3v) / (6u (u - v))");
  refuse_pole(v, name, equals("v", v), "b3 = (2 - 3u) / (6v (v - u))");
  refuse_pole(u - v, name, concat("u = v = ", number_text(u)), "b2 = (2 - 3v) / (6u (u - v))");
  refuse_pole(u - 2. / 3, name, equals("u", u), "a32 = v (v - u) / (u (2 - 3u))");
  const double b2 = (2 - 3 * v) / (6 * u * (u - v));
  const double b3 = (2 - 3 * u) / (6 * v * (v - u));
  const double a32 = v * (v - u) / (u * (2 - 3 * u));
  Tableau m{.name = name, .order = 3};
  m.c = {0, u, v};
  m.a = {{}, {u}, {v - a32, a32}};
  m.b = {1 - b2 - b3, b2, b3};
  m.a_used = {0, 0b1, 0b11};
  m.b_used = 0b111;
  complete(m);
  return m;
}

Tableau rk4_u1(double u) {
  const std::string name = word_of("rk4", "u1", u);
  refuse_nonfinite(u, name);
  refuse_pole(u, name, equals("u1", u), "a32 = 1 / (12u)");
  return four_stages(name, 0.5, 0, {1. / 6 - u, 2. / 3, u, 1. / 6}, 1 / (12 * u), 1.5, 6 * u,
                     {0, 0b1, 0b11, 0b111});
}

Tableau rk4_u2(double u) {
  const std::string name = word_of("rk4", "u2", u);
  refuse_nonfinite(u, name);
  refuse_pole(u, name, equals("u2", u), "a32 = 1 / (6u)");
  Tableau m = four_stages(name, 0.5, 0.5, {1. / 6, 2. / 3 - u, u, 1. / 6}, 1 / (6 * u), 1 - 3 * u,
                          3 * u, {0, 0b1, 0b11, 0b110});
  m.a[3][0] = 0;  // exactly, as 1 - a42 - a43 is not after rounding
  return m;
}

Tableau rk4_u3(double u) {
  const std::string name = word_of("rk4", "u3", u);
  refuse_nonfinite(u, name);
  refuse_pole(u, name, equals("u3", u), "a43 = 1 / (3u)");
  return four_stages(name, 1, 0.5, {1. / 6, 1. / 6 - u, 2. / 3, u}, 1. / 8, -1 / (12 * u),
                     1 / (3 * u), {0, 0b1, 0b11, 0b111});
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
  const double b2 = (2 * v - 1) / (12 * u * (1 - u) * (v - u));
  const double b3 = (1 - 2 * u) / (12 * v * (1 - v) * (v - u));
  const double b4 = d / (12 * (1 - u) * (1 - v));
  const double a32 = v * (v - u) / (2 * u * (1 - 2 * u));
  const double a42 = (1 - u) * (u + v - 1 - (2 * v - 1) * (2 * v - 1)) / (2 * u * (v - u) * d);
  const double a43 = (1 - 2 * u) * (1 - u) * (1 - v) / (v * (v - u) * d);
  return four_stages(name, u, v, {1 - b2 - b3 - b4, b2, b3, b4}, a32, a42, a43,
                     {0, 0b1, 0b11, 0b111});
}

}  // namespace slope::ode
