#include "ode/order_conditions.h"

#include <algorithm>
#include <cmath>

namespace slope::ode {
namespace {

RootedTree joined(const std::vector<RootedTree>& trees, const std::vector<int>& children) {
  RootedTree tree{.children = children};
  int repeats = 0;
  for (size_t i = 0; i < children.size(); ++i) {
    const RootedTree& child = trees[static_cast<size_t>(children[i])];
    tree.order += child.order;
    tree.density *= child.density;
    repeats = i > 0 && children[i] == children[i - 1] ? repeats + 1 : 1;
    tree.symmetry *= child.symmetry * repeats;
  }
  tree.density *= tree.order;
  return tree;
}

// Adds every tree whose children are `children` and more, from number `first` on, with `left` nodes
// among them.
void add_trees(std::vector<RootedTree>& trees, std::vector<int>& children, size_t first, int left,
               size_t known) {
  if (left == 0) {
    trees.push_back(joined(trees, children));
    return;
  }
  for (size_t i = first; i < known && trees[i].order <= left; ++i) {
    children.push_back(static_cast<int>(i));
    add_trees(trees, children, i, left - trees[i].order, known);
    children.pop_back();
  }
}

// u_i of every tree of up to max_order nodes: [tree][stage].
std::vector<std::vector<double>> stage_weights(const Tableau& m, int max_order) {
  const auto stages = static_cast<size_t>(m.stages());
  std::vector<std::vector<double>> u, au;  // au: A u, what a tree contributes as a child
  for (const RootedTree& tree : rooted_trees()) {
    if (tree.order > max_order) break;
    std::vector<double> value(stages, 1), product(stages, 0);
    for (int child : tree.children) {
      for (size_t i = 0; i < stages; ++i) value[i] *= au[static_cast<size_t>(child)][i];
    }
    for (size_t i = 0; i < stages; ++i) {
      for (size_t j = 0; j < m.a[i].size(); ++j) product[i] += m.a[i][j] * value[j];
    }
    u.push_back(std::move(value));
    au.push_back(std::move(product));
  }
  return u;
}

}  // namespace

const std::vector<RootedTree>& rooted_trees() {
  static const std::vector<RootedTree> all = [] {
    std::vector<RootedTree> trees = {RootedTree{}};
    for (int order = 2; order <= kMaxTreeOrder; ++order) {
      std::vector<int> children;
      add_trees(trees, children, 0, order - 1, trees.size());
    }
    return trees;
  }();
  return all;
}

std::vector<double> order_defects(const Tableau& m, const std::vector<double>& weights, int n,
                                  double x) {
  const auto u = stage_weights(m, n);
  std::vector<double> defects;
  for (size_t tree = 0; tree < u.size(); ++tree) {
    if (rooted_trees()[tree].order != n) continue;
    double sum = 0;
    for (size_t i = 0; i < weights.size(); ++i) sum += weights[i] * u[tree][i];
    defects.push_back(sum - std::pow(x, n) / rooted_trees()[tree].density);
  }
  return defects;
}

int proven_order(const Tableau& m, const std::vector<double>& weights, double x) {
  // What 16 digits leave of an exact condition: products of two large coefficients cancel in it.
  double largest = 10;
  for (const auto& row : m.a) {
    for (double a : row) largest = std::max(largest, std::abs(a));
  }
  const double rounding = 1e-14 * largest * largest;
  for (int n = 1; n <= kMaxTreeOrder; ++n) {
    for (double defect : order_defects(m, weights, n, x)) {
      if (!(std::abs(defect) < rounding)) return n - 1;
    }
  }
  return kMaxTreeOrder;
}

double error_constant(const Tableau& m) {
  const std::vector<double> defects = order_defects(m, m.b, m.order + 1);
  double sum = 0;
  size_t next = 0;
  for (const RootedTree& tree : rooted_trees()) {
    if (tree.order != m.order + 1) continue;
    const double coefficient = defects[next++] / tree.symmetry;
    sum += coefficient * coefficient;
  }
  return std::sqrt(sum);
}

std::vector<double> dense_weights(const Tableau& m, double x) {
  std::vector<double> weights;
  for (const auto& row : m.dense) {
    double value = 0;
    for (size_t power = row.size(); power-- > 0;) value = (value + row[power]) * x;
    weights.push_back(value);
  }
  return weights;
}

Tableau with_last_slope(const Tableau& m) {
  if (m.ends_in_slope()) return m;
  Tableau extended = m;
  extended.c.push_back(1);
  extended.a.push_back(m.b);
  extended.b.push_back(0);
  return extended;
}

}  // namespace slope::ode
