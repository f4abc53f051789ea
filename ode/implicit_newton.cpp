#include "ode/implicit_newton.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "autograd/functions.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "ode/implicit_jacobian.h"
#include "ode/krylov.h"

namespace slope::ode {
namespace {

using Samples = NewtonReport::Samples;

// Between the tensors of x and the rows (rows, n) of a linear system: a row for each sample, or one
// for everything where the samples are coupled.
class Packing {
 public:
  Packing(const Tensors& x, Samples samples) : shape_(x[0].shape()), parts_(x.size()) {
    samples_ = x[0].rank() > 1 ? x[0].dim(0) : 1;
    rows_ = samples == Samples::coupled ? 1 : samples_;
  }
  int64_t rows() const { return rows_; }

  Tensor pack(const Tensors& x) const {
    Tensors flat;
    for (const Tensor& part : x) flat.push_back(part.reshape({samples_, -1}));
    const Tensor all = flat.size() == 1 ? flat[0] : concatenate(flat, 1);
    return rows_ == samples_ ? all : all.reshape({rows_, -1});
  }
  Tensors unpack(const Tensor& packed) const {
    const Tensor all = packed.reshape({samples_, -1});
    const int64_t n = all.dim(1) / static_cast<int64_t>(parts_);
    Tensors x;
    for (size_t i = 0; i < parts_; ++i) {
      const auto begin = static_cast<int64_t>(i) * n;
      x.push_back((parts_ == 1 ? all : slice(all, 1, begin, begin + n)).reshape(shape_));
    }
    return x;
  }

 private:
  Shape shape_;
  size_t parts_;
  int64_t samples_ = 1, rows_ = 1;
};

Tensor row_sizes(const Tensor& x) { return norm(x, {1}, true); }

// Whether the rows of J v depend on their own row of v only: then a power of two, or the sign, by
// which a row of v is multiplied turns up in that row of J v, exactly, and nowhere else.
bool rows_apart(const LinearMap& jacobian, const Tensor& v) {
  std::vector<double> scales;
  for (int64_t i = 0; i < v.dim(0); ++i) {  // hardly two that are equal
    const double sign = std::popcount(static_cast<uint64_t>(i)) % 2 == 0 ? 1 : -1;
    scales.push_back(sign * std::ldexp(1, static_cast<int>(i % 7) - 3));
  }
  const Tensor scale = tensor(scales, {v.dim(0), 1}, v.dtype(), v.device());
  const Tensor one = jacobian(v), other = jacobian(v * scale) / scale;
  const std::vector<double> sizes =
      concatenate({row_sizes(one), row_sizes(other), row_sizes(one - other)}, 1).values();
  double largest = 0, difference = 0;
  for (size_t i = 0; i < sizes.size(); i += 3) {
    if (!std::isfinite(sizes[i + 2])) continue;  // a sample that is lost says nothing of the others
    largest = std::max({largest, sizes[i], sizes[i + 1]});
    difference = std::max(difference, sizes[i + 2]);
  }
  return difference <= 1e-3 * largest;
}

[[noreturn]] void throw_no_gradient(const std::string& where, bool twice) {
  throw ValueError(concat(
      where, ": an implicit method needs the field's gradient, but ",
      twice ? "the gradient of this field has no gradient itself"
            : "the tape does not see how this field's value depends on y",
      ". Compute the field from y with slope's ops, or take an explicit method, as in dopri5."));
}

// One solution in progress.
class Newton {
 public:
  Newton(const FixedPointMap& g, const Tensors& guess, const Tensors& parameters,
         const NewtonOptions& options, NewtonReport& report)
      : g_(g), x_(guess), parameters_(parameters), options_(options), report_(report) {
    choose_rows();
  }

  Tensors solve() {
    for (int iteration = 0;; ++iteration) {
      Linearized at(g_, x_, parameters_);
      report_.evaluations += options_.cost;
      Tensor b = weights_ * (packing_->pack(at.value()) - packing_->pack(x_));
      std::vector<double> sizes = row_sizes(b).values();
      if (untraceable_ != Untraceable::no && largest_pending(sizes) > 0) {
        throw_no_gradient(options_.where, untraceable_ == Untraceable::second);
      }
      for (size_t i = 0; i < sizes.size(); ++i) {
        const bool lost = !std::isfinite(sizes[i]);
        if (lost && !converged_[i]) spoil(at.value());
        converged_[i] = converged_[i] || lost || sizes[i] / root_ <= tolerance_[i];
      }
      if (done()) return x_;
      if (iteration == options_.max_iterations) return give_up(sizes);

      const LinearMap jacobian = [&](const Tensor& v) {
        ++report_.krylov;
        return weights_ * packing_->pack(at.jacobian_vector(packing_->unpack(v * inverse_)));
      };
      if (report_.samples == Samples::unknown && packing_->rows() > 1) {
        report_.samples = rows_apart(jacobian, b) ? Samples::apart : Samples::coupled;
        if (report_.samples == Samples::coupled) {
          choose_rows();
          b = b.reshape({1, -1});
          sizes = row_sizes(b).values();
        }
      }
      ++report_.newton;
      const std::vector<double> to_reach = goals(sizes);
      const KrylovResult d =
          gmres([&](const Tensor& v) { return v - jacobian(v); }, b, sizes, to_reach);
      if (!at.seen() || !at.seen_twice()) {
        // g' is zero, it seems. If so, g(x) is the solution, and g of it the same to the bit.
        untraceable_ = at.seen() ? Untraceable::second : Untraceable::first;
        x_ = at.value();
        continue;
      }
      const Tensors dx = packing_->unpack(d.x * inverse_);
      for (size_t i = 0; i < x_.size(); ++i) x_[i] = x_[i] + dx[i];
      if (look_at(row_sizes(d.x).values(), d.left, to_reach, iteration)) return x_;
    }
  }

 private:
  enum class Untraceable { no, first, second };

  void choose_rows() {
    packing_.emplace(x_, report_.samples);
    const auto rows = static_cast<size_t>(packing_->rows());
    const Tensor each = options_.weights.defined() ? options_.weights : ones_like(x_[0]);
    weights_ = packing_->pack(Tensors(x_.size(), each));
    inverse_ = reciprocal(weights_);
    root_ = std::sqrt(static_cast<double>(weights_.dim(1)));
    const auto& given = options_.tolerances;
    if (given.size() == rows) {
      tolerance_ = given;
    } else {
      tolerance_.assign(rows, *std::min_element(given.begin(), given.end()));
    }
    converged_.assign(rows, false);
    before_.assign(rows, 0);
  }

  bool done() const {
    return std::all_of(converged_.begin(), converged_.end(), [](bool c) { return c; });
  }
  double largest_pending(const std::vector<double>& sizes) const {
    double largest = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (!converged_[i]) largest = std::max(largest, sizes[i]);
    }
    return largest;
  }

  // How well to solve each linear system: well enough for the next iterate to pass, but not better
  // than Newton's method may be worth.
  std::vector<double> goals(const std::vector<double>& sizes) const {
    std::vector<double> goals;
    for (size_t i = 0; i < sizes.size(); ++i) {
      const double part = std::clamp(0.1 * tolerance_[i] * root_ / sizes[i], 1e-4, 0.1);
      goals.push_back(converged_[i] ? HUGE_VAL : part * sizes[i]);
    }
    return goals;
  }

  // After an update of these sizes: convergence is at least linear, so with the rate r the error
  // that is left is r / (1 - r) times the update. (Hairer, Wanner, Solving ODEs II, section IV.8.)
  // An update says so only if it has solved its linear system.
  bool look_at(const std::vector<double>& sizes, const std::vector<double>& left,
               const std::vector<double>& goals, int iteration) {
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (!(left[i] <= goals[i])) continue;
      const double size = sizes[i] / root_, rate = size / before_[i];
      const bool small = iteration > 0 && rate < 1 && rate / (1 - rate) * size <= tolerance_[i];
      // Rounding errors stop the updates from falling further.
      const bool floor = iteration > 1 && rate > 0.3 && size <= options_.rounding;
      converged_[i] = converged_[i] || size <= tolerance_[i] || small || floor;
      before_[i] = size;
    }
    return done();
  }

  // Makes x NaN where the value is not finite, and nowhere else.
  void spoil(const Tensors& value) {
    for (size_t i = 0; i < x_.size(); ++i) x_[i] = x_[i] + 0.0 * value[i];
  }

  Tensors give_up(const std::vector<double>& sizes) {
    report_.converged = false;
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (converged_[i]) continue;
      report_.residual = std::max(report_.residual, sizes[i] / root_ / tolerance_[i]);
    }
    return x_;
  }

  const FixedPointMap& g_;
  Tensors x_;
  const Tensors& parameters_;
  const NewtonOptions& options_;
  NewtonReport& report_;
  std::optional<Packing> packing_;
  Tensor weights_, inverse_;  // (rows, n)
  double root_ = 1;           // of n: norms to root mean squares
  std::vector<double> tolerance_, before_;
  std::vector<bool> converged_;
  Untraceable untraceable_ = Untraceable::no;
};

// A guess leaves no trace on the tapes.
Tensors without_history(const Tensors& xs) {
  Tensors named;
  for (const Tensor& x : xs) named.push_back(x.alias());
  return named;
}

Tensors zeros_for_undefined(const Tensors& gs, const Tensors& x) {
  Tensors all;
  for (size_t i = 0; i < x.size(); ++i) {
    all.push_back(i < gs.size() && gs[i].defined() ? gs[i] : zeros_like(x[i]));
  }
  return all;
}

// Whether gmres has solved A x = b: not only the system of each sample, which knows nothing of what
// the others give to it, if only a little. What A x owes to rounding was met at 20 eps |A| |x|.
bool solved_together(const LinearMap& a, const Tensor& b, const std::vector<double>& sizes,
                     const std::vector<double>& goals, const KrylovResult& found) {
  const double eps = b.dtype() == Dtype::f64 ? 2.3e-16 : 1.2e-7;
  std::vector<double> ends;  // |b - A x| and |x| of each row
  if (sizes.size() > 1) {
    ends = concatenate({row_sizes(b - a(found.x)), row_sizes(found.x)}, 1).values();
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (!std::isfinite(sizes[i])) continue;  // nothing can be made of it
    if (!(found.left[i] <= goals[i])) return false;
    if (ends.empty()) continue;
    const double left = ends[2 * i];
    const double rounding = 100 * eps * found.stretch[i] * ends[2 * i + 1];
    const bool lost = sizes[i] == 0 && std::isnan(left);  // the sample's g' is not finite
    if (!lost && !(left <= goals[i] + rounding)) return false;
  }
  return true;
}

// For each row the power of two that brings its largest value near one: b (rows, n) -> (rows, 1).
// Cotangents may have any size, those of a stiff problem become ever smaller on the way back, and
// sums of squares must not underflow.
Tensor to_unit_size(const Tensor& b) {
  const MuteTapes quiet;
  const int most = b.dtype() == Dtype::f64 ? 1000 : 120;
  std::vector<double> scales;
  for (double largest : max(abs(b), {1}, true).values()) {
    const bool usual = std::isfinite(largest) && largest > 0;
    scales.push_back(usual ? std::ldexp(1, std::clamp(-std::ilogb(largest), -most, most)) : 1);
  }
  return tensor(scales, {b.dim(0), 1}, b.dtype(), b.device());
}

// w = c + w^T g'.
Tensors adjoint_solution(Linearized& at, const Tensors& x, const Tensors& c, NewtonReport& report) {
  for (Samples samples : {report.samples, Samples::coupled}) {
    const Packing packing(x, samples == Samples::apart ? samples : Samples::coupled);
    const Tensor unscaled = packing.pack(c), scale = to_unit_size(unscaled);
    const Tensor b = unscaled * scale;
    const std::vector<double> sizes = row_sizes(b).values();
    std::vector<double> goals;
    for (double size : sizes) goals.push_back((b.dtype() == Dtype::f64 ? 1e-14 : 1e-6) * size);
    const LinearMap a = [&](const Tensor& w) {
      ++report.backward;
      return w - packing.pack(at.vector_jacobian(packing.unpack(w)));
    };
    const KrylovResult found = gmres(a, b, sizes, goals);
    if (solved_together(a, b, sizes, goals, found)) return packing.unpack(found.x / scale);
  }
  throw SolveError(
      "gradient: the linear system of an implicit step's gradient was not solved in 200 products. "
      "Take smaller steps.");
}

Tensors rule(const std::string& name, const FixedPointMap& g, const CustomVjp& v,
             const std::shared_ptr<NewtonReport>& report, const std::string& where) {
  const Tensors& x = v.outputs;
  Tensors c = zeros_for_undefined(v.cotangents, x);
  if (!v.differentiable) {
    Linearized at(g, x, v.inputs, v.wanted);
    ++report->backward;
    return at.gradients(adjoint_solution(at, x, c, *report));
  }

  // With an outer tape, the adjoint system is a fixed point as well, of x, the parameters and c.
  const size_t parts = x.size();
  const FixedPointMap adjoint = [g, parts](const Tensors& w, const Tensors& all) {
    const auto begin = all.begin(), middle = begin + static_cast<std::ptrdiff_t>(parts);
    const Tensors at(begin, middle),
        parameters(middle, all.end() - static_cast<std::ptrdiff_t>(parts));
    const Tensors at_x = vjp([&](const Tensors& y) { return g(y, parameters); }, at, w).gradients;
    Tensors next;
    for (size_t i = 0; i < parts; ++i) next.push_back(all[all.size() - parts + i] + at_x[i]);
    return next;
  };
  const Tensor scale = to_unit_size(Packing(x, Samples::coupled).pack(c)).reshape({});
  for (Tensor& part : c) part = part * scale;
  Tensors all = x;
  all.insert(all.end(), v.inputs.begin(), v.inputs.end());
  all.insert(all.end(), c.begin(), c.end());
  double size = 0;
  for (const Tensor& part : c) size = std::max(size, rms(part).item());
  const double eps = x[0].dtype() == Dtype::f64 ? 2.3e-16 : 1.2e-7;
  const NewtonOptions linear{
      .tolerances = {16 * eps * size}, .rounding = 1e4 * eps * size, .where = where};
  Tensors w = fixed_point(name + " adjoint", adjoint, c, all, linear, report);
  for (Tensor& part : w) part = part / scale;

  Tensors asked;
  std::vector<size_t> places;
  for (size_t i = 0; i < v.inputs.size(); ++i) {
    const auto same = [&](const Tensor& p) { return p.id() == v.inputs[i].id(); };
    // A tensor that is passed twice gets its gradient once.
    if (!v.wanted[i] || std::any_of(asked.begin(), asked.end(), same)) continue;
    asked.push_back(v.inputs[i]);
    places.push_back(i);
  }
  const Tensors found = vjp([&](const Tensors&) { return g(x, v.inputs); }, asked, w).gradients;
  Tensors d(v.inputs.size());
  for (size_t i = 0; i < places.size(); ++i) d[places[i]] = found[i];
  return d;
}

}  // namespace

Tensors fixed_point(const std::string& name, const FixedPointMap& g, const Tensors& guess,
                    const Tensors& parameters, const NewtonOptions& options,
                    const std::shared_ptr<NewtonReport>& report) {
  const auto forward = [&](const Tensors& inputs) {
    const NewtonReport before = *report;
    Tensors x = Newton(g, without_history(guess), inputs, options, *report).solve();
    if (!report->converged && !options.second_guess.empty()) {
      report->converged = before.converged;
      report->residual = before.residual;
      x = Newton(g, without_history(options.second_guess), inputs, options, *report).solve();
    }
    return x;
  };
  return custom(name, parameters, forward,
                [name, g = options.again ? options.again : g, report, where = options.where](
                    const CustomVjp& v) { return rule(name, g, v, report, where); });
}

}  // namespace slope::ode
