#include "ode/regularize.h"

#include <algorithm>
#include <cmath>

#include "autograd/functions.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "core/random.h"
#include "ode/number_text.h"
#include "ode/solve.h"
#include "ode/step.h"

namespace slope::ode {
namespace {

// x: (N, ..) -> (N, 1): the mean square of each sample's values.
Tensor mean_square(const Tensor& x) {
  Axes axes;
  for (int i = 1; i < x.rank(); ++i) axes.push_back(i);
  const Tensor squares = square(x);
  return reshape(axes.rank() == 0 ? squares : mean(squares, axes), {x.dim(0), 1});
}

// f with the slopes of the integrals beside it. noise: place in the context of e, like y.
FieldFunction with_integrals(const FieldFunction& f, const TupleLayout& layout,
                             const Regularization& weights, size_t own, size_t noise) {
  return [=](const Tensor& t, const Tensor& packed, const Tensors& context) {
    const Tensor y = layout.unpack(packed)[0];
    const Tensors of_f(context.begin(), context.begin() + static_cast<std::ptrdiff_t>(own));
    Tensors parts;
    if (weights.jacobian > 0) {
      const VjpResult r =
          vjp([&](const Tensors& ys) { return Tensors{f(t, ys[0], of_f)}; }, {y}, {context[noise]});
      parts = {r.outputs[0], mean_square(r.gradients[0])};
    } else {
      parts = {f(t, y, of_f)};
    }
    if (weights.kinetic > 0) parts.push_back(mean_square(parts[0]));
    if (weights.steady.weight > 0) {
      const bool displacement = weights.steady.form == Steadiness::Form::displacement;
      parts.push_back(displacement ? parts[0] : abs(parts[0]));
    }
    return layout.pack(parts);
  };
}

// y' = T f(T t, y): from 0 to 1 as f is from 0 to T. T: the last of the context, ().
FieldFunction until(const FieldFunction& f) {
  return [f](const Tensor& t, const Tensor& y, const Tensors& context) {
    const Tensor& end = context.back();
    return f(t * end, y, Tensors(context.begin(), context.end() - 1)) * end;
  };
}

void change(Field* field, const std::function<FieldFunction(const FieldFunction&)>& to) {
  field->evaluate = to(field->evaluate);
  if (field->evaluate_again) field->evaluate_again = to(field->evaluate_again);
  field->halves.reset();
}

const Tableau& explicit_tableau(const Solver& solver, const Regularization& weights) {
  const Tableau* m = solver.method->tableau();
  const std::string& name = solver.method->facts().name;
  if (!m || m->implicit()) {
    throw ValueError(concat("regularize: error and stiffness need an explicit Runge-Kutta method, ",
                            name, " is none. Choose dopri5, or leave them out."));
  }
  if (weights.error > 0 && !m->has_error()) {
    throw ValueError(concat("regularize: error needs a method that estimates its error, ", name,
                            " does not. Choose bosh3, dopri5 or tsit5."));
  }
  return *m;
}

Steadiness::Form parse_form(const std::string& word) {
  using enum Steadiness::Form;
  constexpr std::pair<const char*, Steadiness::Form> forms[] = {
      {"paper", paper}, {"released", released}, {"displacement", displacement}};
  for (const auto& [name, form] : forms) {
    if (word == name) return form;
  }
  throw ValueError(concat("regularize: there is no steady-form ", word,
                          ". Write paper, released or displacement."));
}

}  // namespace

Regularization parse_regularization(const std::string& words) {
  Regularization r;
  double steady_after = 0;
  bool form_given = false;
  const std::pair<const char*, double*> names[] = {
      {"kinetic", &r.kinetic},        {"jacobian", &r.jacobian},
      {"end-time", &r.end_time},      {"error", &r.error},
      {"stiffness", &r.stiffness},    {"steady", &r.steady.weight},
      {"steady-after", &steady_after}};
  for (size_t begin = 0; begin < words.size();) {
    const size_t end = std::min(words.find(',', begin), words.size());
    const std::string part = words.substr(begin, end - begin);
    const size_t sign = part.find('=');
    begin = end + 1;
    if (part.starts_with("steady-form=")) {
      r.steady.form = parse_form(part.substr(sign + 1));
      form_given = true;
      continue;
    }
    const auto found = std::find_if(std::begin(names), std::end(names), [&](const auto& n) {
      return sign != std::string::npos && part.substr(0, sign) == n.first;
    });
    if (found == std::end(names)) {
      throw ValueError(concat("regularize: \"", part,
                              "\" is none of kinetic=W, jacobian=W, end-time=B, error=W, "
                              "stiffness=W, steady=W, steady-form=F, steady-after=EPOCHS."));
    }
    const std::optional<double> value = parse_number(part.substr(sign + 1));
    if (!value || *value < 0) {
      throw ValueError(concat("regularize: ", found->first, " must be 0 or more, got ",
                              part.substr(sign + 1), "."));
    }
    *found->second = *value;
  }
  if (r.end_time >= 1)
    throw ValueError(concat("regularize: end-time must be below 1, got ", r.end_time, "."));
  if ((form_given || steady_after > 0) && r.steady.weight == 0)
    throw ValueError("regularize: steady-form and steady-after need a weight: add steady=0.1.");
  if (steady_after != std::floor(steady_after) || steady_after > 1e9)
    throw ValueError(concat("regularize: steady-after must be a whole number of epochs, got ",
                            steady_after, "."));
  r.steady.after = static_cast<int64_t>(steady_after);
  return r;
}

Regularization Regularization::in_epoch(int64_t epoch) const {
  Regularization now = *this;
  if (epoch < steady.after) now.steady.weight = 0;
  return now;
}

std::vector<Stretch> stretches(const Regularization& weights) {
  Regularization inside = weights, beyond{.end_time = weights.end_time, .steady = weights.steady};
  inside.steady.weight = 0;
  if (weights.steady.weight == 0) return {{0, 1, weights}};
  if (weights.steady.form == Steadiness::Form::released)
    return {{0, 0.9, inside}, {0.9, 1, weights}, {1, 1.5, beyond}};
  return {{0, 1, inside}, {1, 2, beyond}};
}

Solver on_stretch(const Solver& solver, const Stretch& stretch) {
  const auto* steps = std::get_if<Steps>(&solver.stepping);
  if (!steps || stretch.end - stretch.begin == 1) return solver;
  return {solver.method, StepSize{1 / static_cast<double>(steps->count)}};
}

RegularizedField regularized_field(const Field& field, const Tensor& y0,
                                   const Regularization& weights, const Tensors& keys) {
  RegularizedField problem{.field = field, .y0 = y0, .weights = weights};
  Field& changed = problem.field;
  if (weights.kinetic > 0 || weights.jacobian > 0 || weights.steady.weight > 0) {
    const Tensor zero = zeros({y0.dim(0), 1}, y0.dtype(), y0.device());
    Tensors parts(1 + (weights.kinetic > 0) + (weights.jacobian > 0), zero);
    parts[0] = y0;
    if (weights.steady.weight > 0) parts.push_back(zeros_like(y0));
    problem.layout.emplace(parts);
    problem.y0 = problem.layout->pack(parts);
    const size_t own = field.context.size();
    if (weights.jacobian > 0) {
      changed.context.push_back(normal(keys.at(0), y0.shape(), y0.dtype()));
      changed.per_sample_context.push_back(own);
    }
    change(&changed, [&](const FieldFunction& f) {
      return with_integrals(f, *problem.layout, weights, own, own);
    });
  }
  if (weights.end_time > 0) {
    if (!field.jumps.empty())
      throw ValueError("regularize: a field with jumps cannot end at a random time.");
    const Tensor u = uniform(keys.at(keys.size() - 1), {}, y0.dtype());
    changed.context.push_back(1 + (2 * u - 1) * weights.end_time);
    change(&changed, until);
  }
  return problem;
}

Tensor RegularizedField::end(const Tensor& solved) const {
  return layout ? layout->unpack(solved)[0] : solved;
}

Tensor RegularizedField::penalty(const Tensor& solved) const {
  if (!layout) return {};
  const Tensors parts = layout->unpack(solved);
  Tensor total;
  if (weights.jacobian > 0) total = mean(parts[1]) * weights.jacobian;
  if (weights.kinetic > 0) {
    const Tensor kinetic = mean(parts[1 + (weights.jacobian > 0)]) * weights.kinetic;
    total = total.defined() ? total + kinetic : kinetic;
  }
  return total;
}

Tensor RegularizedField::steady(const Tensor& solved) const {
  return layout->unpack(solved).back();
}

Tensor steady_penalty(const Steadiness& steady, const Tensors& integrals) {
  Tensor total = integrals.at(0);
  for (size_t i = 1; i < integrals.size(); ++i) total = total + integrals[i];
  const bool of_values = steady.form == Steadiness::Form::released;
  const Tensor each = of_values ? total : norm(reshape(total, {total.dim(0), -1}), {1});
  return mean(each) * steady.weight;
}

Walk walk(const Field& field, const Tensor& y0, const Solver& solver, const Regularization& weights,
          double begin, double end) {
  const Tableau& m = explicit_tableau(solver, weights);
  Walk result{.y1 = y0, .penalty = {}, .statistics = std::make_shared<Statistics>()};
  Statistics& count = *result.statistics;
  std::vector<double> grid;
  if (std::holds_alternative<Adaptive>(solver.stepping)) {
    const MuteTapes nobody_listens;
    const Solution found = solve(without_side_effects(field), y0, {begin, end}, solver).or_throw();
    count = *found.statistics;
    grid = found.grid;
  } else {
    grid = step_grid(solver.stepping, {begin, end}, field.jumps);
  }
  Field counted = field;
  counted.evaluate = [&](const Tensor& t, const Tensor& y, const Tensors& context) {
    ++count.evaluations;
    return field.evaluate(t, y, context);
  };
  const auto add = [&](const Tensor& term) {
    result.penalty = result.penalty.defined() ? result.penalty + term : term;
  };
  count.accepted = static_cast<int64_t>(grid.size()) - 1;
  Tensor slope;  // f(t, y) where it is known
  for (size_t i = 1; i < grid.size(); ++i) {
    const Tensor y = result.y1;
    const StepTimes at = read_clock(step_clock(m, grid[i - 1], grid[i], y0.dtype(), y0.device()));
    const Step step = rk_step(m, counted, at, y, slope);
    result.y1 = step.y1;
    if (weights.error > 0) {
      const double h = std::abs(grid[i] - grid[i - 1]);
      add(rms(rk_error(m, at.h, step.slopes)) * (h * weights.error));
    }
    slope = m.fsal() ? step.slopes.back() : Tensor();
    if (weights.stiffness > 0) {
      if (!slope.defined()) {
        const Tensor t1 = tensor(std::vector<double>{grid[i]}, Shape{}, y0.dtype(), y0.device());
        slope = counted(t1, step.y1);
      }
      // A state that stands still is not stiff: 0 / tiny.
      add(norm(slope - step.slopes[0]) / (norm(step.y1 - y) + 1e-12) * weights.stiffness);
    }
  }
  return result;
}

}  // namespace slope::ode
