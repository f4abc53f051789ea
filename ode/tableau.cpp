#include "ode/tableau.h"

#include <algorithm>
#include <sstream>

#include "core/error.h"
#include "ode/number_text.h"

namespace slope::ode {
namespace {

std::vector<double> numbers(const std::string& line, const char* method) {
  std::vector<double> values;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    const auto value = parse_number(word);
    if (!value) throw InternalError(concat("tableau ", method, ": ", word, " is not a number."));
    values.push_back(*value);
  }
  return values;
}

uint32_t nonzero(const std::vector<double>& row) {
  uint32_t bits = 0;
  for (size_t i = 0; i < row.size(); ++i) bits |= (row[i] != 0 ? 1u : 0u) << i;
  return bits;
}

// The quartic with y(0) = y, y(1) = y1, slopes k_1 and k_s at the ends and value `middle` at 1/2,
// as in Shampine, Some practical Runge-Kutta formulas, Math. Comp. 46 (1986).
void add_quartic(Tableau& m, const std::vector<double>& middle) {
  for (size_t i = 0; i < m.b.size(); ++i) {
    m.dense.push_back({0, -5 * m.b[i] + 16 * middle[i], 14 * m.b[i] - 32 * middle[i],
                       -8 * m.b[i] + 16 * middle[i]});
  }
  const double first[] = {1, -4, 5, -2}, last[] = {0, 1, -3, 2};
  for (size_t power = 0; power < 4; ++power) {
    m.dense.front()[power] += first[power];
    m.dense.back()[power] += last[power];
  }
  m.dense_order = 4;
}

// The cubic with y(0) = y, y(1) = y1 and the field's slopes at both ends.
void add_hermite(Tableau& m) {
  for (double b : m.b) m.dense.push_back({0, 3 * b, -2 * b});
  if (!m.ends_in_slope()) m.dense.push_back({0, 0, 0});
  const double first[] = {1, -2, 1}, last[] = {0, -1, 1};
  for (size_t power = 0; power < 3; ++power) {
    m.dense.front()[power] += first[power];
    m.dense.back()[power] += last[power];
  }
  m.dense_order = std::min(m.order, 3);
}

// d_i(x) is the integral from 0 to x of the i-th Lagrange polynomial of the nodes c. (Hairer,
// Norsett, Wanner, Solving ODEs I, section II.7.)
void add_collocation(Tableau& m) {
  for (size_t i = 0; i < m.c.size(); ++i) {
    std::vector<double> lagrange = {1};  // coefficients of 1, x, x^2, ..
    for (size_t j = 0; j < m.c.size(); ++j) {
      if (j == i) continue;
      std::vector<double> product(lagrange.size() + 1, 0);
      for (size_t n = 0; n < lagrange.size(); ++n) {
        product[n] -= lagrange[n] * m.c[j] / (m.c[i] - m.c[j]);
        product[n + 1] += lagrange[n] / (m.c[i] - m.c[j]);
      }
      lagrange = product;
    }
    for (size_t n = 0; n < lagrange.size(); ++n) lagrange[n] /= static_cast<double>(n + 1);
    m.dense.push_back(lagrange);
  }
  m.dense_order = std::min(m.order, m.stages());
}

}  // namespace

bool Tableau::implicit() const {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!explicit_stage(i)) return true;
  }
  return false;
}

bool Tableau::coupled() const {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() > i + 1) return true;
  }
  return false;
}

bool Tableau::ends_in_slope() const {
  if (c.back() != 1) return false;
  std::vector<double> last = a.back();
  last.resize(b.size(), 0);
  return last == b;
}

Tableau parse_tableau(const TableauText& text) {
  Tableau m{.name = text.name,
            .order = text.order,
            .embedded_order = text.embedded_order,
            .adaptive = text.adaptive};
  std::vector<double> embedded, middle;
  std::vector<std::vector<double>> powers;  // of the interpolant
  std::istringstream lines(text.rows);
  for (std::string line; std::getline(lines, line);) {
    const size_t bar = line.find('|');
    if (bar == std::string::npos) continue;
    std::string head;
    std::istringstream(line.substr(0, bar)) >> head;
    const std::vector<double> row = numbers(line.substr(bar + 1), text.name);
    if (head == "b") {
      m.b = row;
    } else if (head == "b^") {
      embedded = row;
    } else if (head == "e") {
      m.b_error = row;
    } else if (head == "mid") {
      middle = row;
    } else if (head.starts_with("dense")) {
      m.dense_order = static_cast<int>(numbers(head.substr(5), text.name).at(0));
      powers.push_back(row);
    } else {
      m.c.push_back(numbers(head, text.name).at(0));
      m.a.push_back(row);
    }
  }
  for (size_t i = 0; i < embedded.size(); ++i) m.b_error.push_back(m.b[i] - embedded[i]);
  SLOPE_ASSERT(m.c.size() == m.b.size() && (m.b_error.empty() || m.b_error.size() == m.b.size()));
  for (size_t i = 0; i < m.a.size(); ++i) {
    const size_t entries = m.a[i].size();
    SLOPE_ASSERT(entries == i || entries == i + 1 || entries == m.b.size());
  }
  for (size_t i = 0; !powers.empty() && i < m.b.size(); ++i) {
    m.dense.emplace_back();
    for (const auto& weights : powers) m.dense[i].push_back(weights.at(i));
  }
  complete(m, middle);
  return m;
}

void complete(Tableau& m, const std::vector<double>& middle) {
  if (m.a_used.empty()) {
    for (const auto& row : m.a) m.a_used.push_back(nonzero(row));
    m.b_used = nonzero(m.b);
  }
  if (!m.dense.empty()) return;
  if (!middle.empty())
    add_quartic(m, middle);
  else if (m.c.front() == 0 && m.explicit_stage(0))
    add_hermite(m);
  else
    add_collocation(m);
}

}  // namespace slope::ode
