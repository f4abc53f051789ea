// Tableau: a Runge-Kutta method as data.
//
// One step of size h from (t, y):
//   k_i = f(t + c_i h, y + h sum_j a_ij k_j)     i = 1..s
//   y1  = y + h sum_i b_i k_i
// A stage that needs only slopes before its own, j < i, is explicit; one with a_ii too has to be
// solved for, and where a_ij goes on beyond the diagonal all stages are solved for together.
// and, where the method has a second set of weights b^ of lower order, the error estimate
//   e   = h sum_i (b_i - b^_i) k_i
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace slope::ode {

struct Tableau {
  std::string name = {};   // as in a solver word, parameters included: "dopri5", "rk2,u=0.3"
  int order = 0;           // of y1
  int embedded_order = 0;  // of y + h sum b^_i k_i; 0 without error estimate

  std::vector<double> c = {};  // (s)
  // Row i has i entries if its stage is explicit, i + 1 with a diagonal entry, s if all are
  // coupled.
  std::vector<std::vector<double>> a = {};
  std::vector<double> b = {};        // (s)
  std::vector<double> b_error = {};  // b - b^: (s), empty without error estimate

  // Interpolation inside a step: y(t + x h) = y + h sum_i d_i(x) k_i with
  // d_i(x) = dense[i][0] x + dense[i][1] x^2 + ... One row for each slope, and one more for
  // f(t1, y1) where that is not a slope of the step already (see fsal).
  std::vector<std::vector<double>> dense = {};
  int dense_order = 0;

  // Which entries may be nonzero: bit j of a_used[i], bit i of b_used. Of a member of a family it
  // is the family's structure: an entry that happens to be zero for one value of the parameter is
  // used all the same.
  std::vector<uint32_t> a_used = {};
  uint32_t b_used = 0;

  // Meant to choose its own step sizes when a word names nothing but the method.
  bool adaptive = false;

  int stages() const { return static_cast<int>(b.size()); }
  bool has_error() const { return !b_error.empty(); }

  // Stage i needs no slope but those before it.
  bool explicit_stage(size_t i) const { return a[i].size() <= i; }
  bool implicit() const;  // some stage has to be solved for
  bool coupled() const;   // all stages have to be solved for together

  // The last slope is f(t1, y1): the last row of a is b. (Of implicit methods: stiffly accurate.)
  bool ends_in_slope() const;
  // First same as last: and the first slope is f(t, y), so the next step need not evaluate it.
  bool fsal() const { return ends_in_slope() && c.front() == 0 && explicit_stage(0); }
};

// What a tableau is written down with; everything else follows from it.
struct TableauText {
  const char* name;
  int order;
  int embedded_order;
  bool adaptive;
  // A Butcher tableau, one line for each stage ("c | a a a"), then "b | ..", and as far as the
  // method has them "b^ | .." (weights of the embedded solution), "e | .." (b - b^ itself), and for
  // the interpolant either "mid | .." (weights of a solution at x = 1/2, for a quartic of order 4)
  // or a line "dense5 | .." for each power of x from the first on (d_i of that power, order 5).
  const char* rows;
};
Tableau parse_tableau(const TableauText& text);

// Fills in what follows from c, a, b: `used` and the interpolant where they are empty: a
// quartic if weights of the middle are given; else the cubic through y, y1 and their slopes
// (Hermite); of a method without the slope at the start, the polynomial whose slope goes through
// the stages' (collocation).
void complete(Tableau& tableau, const std::vector<double>& middle = {});

}  // namespace slope::ode
