#include "apps/slope/training_adapt.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "apps/slope/run_folder.h"
#include "apps/slope/training_record.h"
#include "core/atomic_file.h"
#include "core/plan.h"
#include "ode/solver_word.h"

namespace slope::program {
namespace {

constexpr const char* kHeader =
    "step,size,steps,change,train_accuracy,test_accuracy,trial_accuracy,test_size\n";

const TrainingSolve& checked(const TrainingSolve& solve, const models::Classifier& model) {
  if (!model.has_ode()) throw ValueError(concat("adapt: ", model.word(), " has no ODE block."));
  if (!solve.standalone())
    throw ValueError("adapt: a regime has solvers of its own. Use --regime standalone.");
  return solve;
}

double accuracy(const Tensor& logits, const Tensor& labels) {
  const std::vector<double> rows = logits.values();
  const std::vector<int32_t> right = labels.to_vector<int32_t>();
  const auto classes = static_cast<ptrdiff_t>(rows.size() / right.size());
  int64_t correct = 0;
  for (size_t i = 0; i < right.size(); ++i) {
    const auto row = rows.begin() + static_cast<ptrdiff_t>(i) * classes;
    const bool finite = std::all_of(row, row + classes, [](double v) { return std::isfinite(v); });
    correct += finite && std::max_element(row, row + classes) - row == right[i];
  }
  return static_cast<double>(correct) / static_cast<double>(right.size());
}

}  // namespace

TrainingAdapt::TrainingAdapt(const std::string& word, const models::Classifier& model, Dtype dtype,
                             TrainingSolve& solve)
    : solve_(solve),
      kind_(ode::parse_adapt(word).kind),
      adaptation_(ode::parse_adapt(word), checked(solve, model).solver(), dtype) {
  if (!adaptation_.wants_start()) solve_.use(adaptation_.solver());
}

void TrainingAdapt::open(const std::filesystem::path& folder, int64_t step) {
  file_ = folder / "adapt.csv";
  std::string kept = kHeader;
  std::ifstream in(file_);
  std::string line;
  std::getline(in, line);  // the header
  for (; std::getline(in, line) && !in.eof();) {
    if (std::atoll(line.c_str()) <= step) kept += line + "\n";
  }
  write_atomically(file_, kept);
  if (step == 0 && !adaptation_.wants_start()) log(0, nullptr);
}

bool TrainingAdapt::before_step(int64_t step, const Tensor& x, const Tensor& labels) {
  bool started = false;
  if (adaptation_.wants_start()) {
    ode::Solver once = solve_.solver();  // to walk through the model with
    once.stepping = ode::Steps{1};
    solve_.under(once, x, nullptr, [&](const ode::Field& field, const Tensor& y0) {
      adaptation_.start_with(field, y0);
    });
    solve_.use(adaptation_.solver());
    log(0, nullptr);
    started = true;
  }
  if (adaptation_.due(step)) {
    decision_ = adaptation_.decide(step, [&](const ode::Solver& solver) {
      SolveMeter meter;
      const Tensor logits = solve_.under(solver, x, &meter);
      meter.end_pass();
      return ode::BatchResult{accuracy(logits, labels), meter.last_forward()};
    });
  }
  return started;
}

bool TrainingAdapt::after_step(int64_t step) {
  adaptation_.observe(solve_.meter().last_forward());
  if (!decision_) return false;
  log(step + 1, &*decision_);
  const bool changed = decision_->after != decision_->before;
  decision_.reset();
  if (changed) solve_.use(adaptation_.solver());
  return changed;
}

std::optional<int64_t> TrainingAdapt::steps() const {
  if (kind_ != ode::AdaptKind::step || adaptation_.wants_start()) return std::nullopt;
  return static_cast<int64_t>(ode::step_grid(adaptation_.solver().stepping, {0, 1}).size()) - 1;
}

std::string TrainingAdapt::solver_word() const { return ode::solver_word(adaptation_.solver()); }

void TrainingAdapt::log(int64_t step, const ode::AdaptDecision* d) const {
  std::ofstream out(file_, std::ios::app);
  out << formatted("%lld,%.17g,%s,", static_cast<long long>(step), size(),
                   steps() ? std::to_string(*steps()).c_str() : "");
  if (d) {
    out << formatted("%s,%.9g,%.9g,%s,%.9g", ode::name(d->change), d->train, d->test,
                     d->trial >= 0 ? formatted("%.9g", d->trial).c_str() : "", d->test_size);
  } else {
    out << "start,,,,";
  }
  out << "\n";
  out.close();
  if (!out) throw DataError(file_.string() + ": cannot be written.");
}

void TrainingAdapt::write(nn::Metadata& metadata) const {
  metadata["adapted-solver"] = solver_word();
  metadata["adapt"].clear();
  for (double value : adaptation_.state()) metadata["adapt"] += formatted("%.17g ", value);
}

void TrainingAdapt::read(const MetadataReader& reader) {
  std::vector<double> values = adaptation_.state();
  reader.read("adapt", values);
  reader.check(adaptation_.restore(values), "adapt", "not what an adaptation knows");
  if (!adaptation_.wants_start()) solve_.use(adaptation_.solver());
}

}  // namespace slope::program
