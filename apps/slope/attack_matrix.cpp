#include "apps/slope/attack_matrix.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "apps/slope/output.h"

namespace slope::program {
namespace {

std::string share(double count, int64_t all) {
  return percent(count / static_cast<double>(std::max<int64_t>(all, 1)));
}

// Attacks that ask for values only.
bool without_gradient(const Cell& c) {
  return c.settings.starts_with("square") || c.settings.starts_with("spsa");
}
bool iterates(const Cell& c) {
  return !c.noise && !c.one_step && !c.historical && !without_gradient(c);
}

}  // namespace

Attacker::Attacker(Defence& defence, const Attack& attack, bool transfer)
    : attack_(attack),
      target_(
          [&defence](const Tensor& x) {
            nn::Pass pass;
            return defence(x, pass);
          },
          {.plan = defence.plan(),
           .draws = attack.draws,
           .stop_when_fooled = !transfer,
           .tell = [this](const std::string& part, int64_t passes, int64_t samples) {
             if (heard_) heard_(part, passes, samples);
           }}) {}

nn::Dataset Attacker::operator()(const nn::Dataset& data, int64_t batch, Dtype dtype,
                                 const std::function<void(int64_t, const std::string&)>& told) {
  nn::Dataset result{.name = data.name + " attacked",
                     .sample = data.sample,
                     .classes = data.classes,
                     .pixels = {},
                     .points = {},
                     .labels = data.labels};
  nn::Loader loader(data, std::min(batch, data.size()), false, 0, dtype);
  int64_t first = 0, finished = 0;
  heard_ = [&](const std::string& part, int64_t passes, int64_t samples) {
    told(finished, concat(part.empty() ? "" : ", " + part, ", pass ", passes, " over ", samples));
  };
  for (nn::Batch b; loader.next(&b);) {
    nn::AttackSamples samples{.x = b.x, .labels = b.labels, .numbers = {}};
    samples.numbers.resize(static_cast<size_t>(b.labels.size()));
    std::iota(samples.numbers.begin(), samples.numbers.end(), first);
    first += b.labels.size();
    const std::vector<double> values = attack_.run(target_, samples).values();
    result.points.insert(result.points.end(), values.begin(), values.end());
    finished = first;
    told(finished, "");
  }
  heard_ = {};
  return result;
}

GradientCosine gradient_cosine(Defence& one, Defence& other, const nn::Dataset& data, int64_t batch,
                               Dtype dtype) {
  const auto gradient = [](Defence& defence, const nn::Batch& b) {
    const auto model = [&](const Tensor& x) {
      nn::Pass pass;
      return defence(x, pass);
    };
    return nn::input_gradient(model, b.x, b.labels).values();
  };
  GradientCosine result;
  nn::Loader loader(data, std::min(batch, data.size()), false, 0, dtype);
  const int64_t width = data.sample.size();
  for (nn::Batch b; loader.next(&b);) {
    const std::vector<double> u = gradient(one, b), v = gradient(other, b);
    for (int64_t i = 0; i < b.labels.size(); ++i) {
      double uu = 0, vv = 0, uv = 0;
      for (size_t j = static_cast<size_t>(i * width); j < static_cast<size_t>((i + 1) * width);
           ++j) {
        uu += u[j] * u[j];
        vv += v[j] * v[j];
        uv += u[j] * v[j];
      }
      const double cosine = uv / std::sqrt(uu) / std::sqrt(vv);
      if (!std::isfinite(cosine)) continue;
      result.mean += cosine;
      result.least = std::min(result.least, cosine);
      ++result.samples;
    }
  }
  result.mean /= static_cast<double>(std::max<int64_t>(result.samples, 1));
  return result;
}

void measure_changes(const nn::Dataset& clean, const nn::Dataset& changed, Dtype dtype,
                     Cell& cell) {
  const int64_t width = clean.sample.size();
  double total = 0;
  std::vector<int64_t> indices(1);
  for (int64_t i = 0; i < clean.size(); ++i) {
    indices[0] = i;
    const std::vector<double> before = nn::make_batch(clean, indices, dtype).x.values();
    double square = 0;
    for (int64_t j = 0; j < width; ++j) {
      const double d =
          changed.points[static_cast<size_t>(i * width + j)] - before[static_cast<size_t>(j)];
      cell.change_linf = std::max(cell.change_linf, std::abs(d));
      square += d * d;
    }
    total += std::sqrt(square);
  }
  cell.change_l2 = total / static_cast<double>(std::max<int64_t>(clean.size(), 1));
}

void warn_of_attack(Cell& cell, const Attack& attack, const Defence& defence, const Defence& known,
                    const nn::Target::Notes& notes, int64_t samples) {
  const auto warn = [&](std::string text) { cell.warnings.push_back(std::move(text)); };
  if (const std::string w = cell.clean.warning(); !w.empty()) warn("without attack " + w);
  if (const std::string w = cell.after.warning(); !w.empty()) warn("under attack " + w);
  if (!attack.noise && cell.after.value() > cell.clean.value())
    warn("accuracy under attack is above the clean accuracy: the gradient misleads");
  if (!notes.zero_gradient.empty())
    warn(concat("the gradient was zero on ",
                share(static_cast<double>(notes.zero_gradient.size()), samples),
                " of the samples: it may be masked; try square, spsa or loss=dlr"));
  if (!notes.not_finite.empty())
    warn(concat("the gradient or the logits were not finite on ",
                share(static_cast<double>(notes.not_finite.size()), samples),
                " of the samples: these count as not robust"));
  if (attack.noise) return;
  if (known.has_adjoint_gradient())
    warn(
        "the adjoint is not the exact gradient of what the solver computes: an attack that fails "
        "with it proves nothing");
  if (known.random() && attack.draws == 1)
    warn(
        "the attacker's regime is random and each gradient is of one draw: average over draws "
        "(draws=20, or autoattack,version=rand)");
  if (defence.couples_samples() || known.couples_samples())
    warn(
        "adaptive steps are shared by a batch: a sample's output depends on its batch, and a hard "
        "sample changes the steps of the others; compare --batch 1 or fixed steps");
  if (attack.historical)
    warn("a published setting that is known to be weak: quote pgd or autoattack beside it");
}

void warn_of_comparisons(std::vector<Cell>& cells) {
  const auto beside = [](const Cell& a, const Cell& b) {
    return &a != &b && a.solver == b.solver && a.regime == b.regime && a.l2 == b.l2 &&
           (a.attack_solver == b.attack_solver || a.noise || b.noise);
  };
  for (Cell& cell : cells) {
    const double n = static_cast<double>(std::max<int64_t>(cell.after.examples, 1));
    const double band = 0.002 + 1 / n;  // 0.2 points, and no single sample
    for (const Cell& other : cells) {
      if (!beside(cell, other) || other.after.value() + band >= cell.after.value()) continue;
      const bool same_eps = cell.eps >= 0 && other.eps >= 0 && other.eps <= cell.eps;
      if (!cell.noise && other.noise && same_eps)
        cell.warnings.push_back(concat("weaker than the noise ", other.attack));
      if (iterates(cell) && other.one_step && same_eps)
        cell.warnings.push_back(
            concat("weaker than one step, ", other.attack, ": a sign of a masked gradient"));
      if (iterates(cell) && without_gradient(other) && same_eps)
        cell.warnings.push_back(concat("weaker than ", other.attack,
                                       ", which uses no gradient: a sign of a masked gradient"));
      if (!cell.noise && cell.settings == other.settings && cell.eps > other.eps && other.eps >= 0)
        cell.warnings.push_back(
            concat("accuracy does not fall with eps: ", other.attack, " leaves less"));
    }
  }
}

std::vector<Minimum> minima(const std::vector<Cell>& cells) {
  std::vector<Minimum> list;
  std::vector<std::vector<bool>> standing;
  for (const Cell& cell : cells) {
    if (cell.noise || cell.eps < 0) continue;
    size_t at = 0;
    const auto other = [&](const Minimum& m) {
      return m.solver != cell.solver || m.eps != cell.eps || m.l2 != cell.l2;
    };
    while (at < list.size() && other(list[at])) ++at;
    if (at == list.size()) {
      list.push_back({.solver = cell.solver, .eps = cell.eps, .l2 = cell.l2, .by = {}});
      standing.emplace_back(cell.after.right.size(), true);
    }
    Minimum& m = list[at];
    ++m.attackers;
    m.weak = m.weak && (cell.one_step || cell.historical);
    for (size_t i = 0; i < cell.after.right.size(); ++i)
      standing[at][i] = standing[at][i] && cell.after.right[i];
    if (m.by.empty() || cell.after.value() < m.lowest) {
      m.lowest = cell.after.value();
      m.by =
          concat(cell.attack, cell.attack_solver == cell.solver ? std::string()
                                                                : " through " + cell.attack_solver);
    }
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const auto right = std::count(standing[i].begin(), standing[i].end(), true);
    list[i].accuracy =
        static_cast<double>(right) / static_cast<double>(std::max<size_t>(standing[i].size(), 1));
  }
  return list;
}

}  // namespace slope::program
