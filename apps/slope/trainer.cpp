#include "apps/slope/trainer.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <fstream>

#include "apps/slope/augment_word.h"
#include "apps/slope/output.h"
#include "core/storage.h"
#include "ode/solver_word.h"

namespace slope::program {
namespace {

constexpr uint32_t kDropoutStream = 0xd0;
constexpr int64_t kEvaluationBatch = 250;
constexpr double kLargestCount = 1e15;  // of steps, samples, seconds; larger is a damaged file

// Each member of Position by name, for the checkpoint's metadata.
template <typename F>
void each_field(Position& p, F f) {
  f("step", p.step), f("epoch", p.epoch), f("batch", p.batch), f("loss-sum", p.loss_sum);
  f("penalty-sum", p.penalty_sum), f("correct", p.correct);
  f("seen", p.seen), f("seconds", p.seconds), f("examples", p.examples),
      f("train-loss", p.train_loss);
  f("test-accuracy", p.test_accuracy), f("best-accuracy", p.best_accuracy);
  f("validation-accuracy", p.validation_accuracy), f("best-validation", p.best_validation);
  f("nfe-forward", p.nfe_forward), f("nfe-backward", p.nfe_backward);
  f("robust-accuracy", p.robust_accuracy), f("best-robust", p.best_robust);
}

std::string number_text(int64_t value) { return std::to_string(value); }
std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}
template <typename T>
bool read_number(const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

constexpr const char* kMetricsHeader =
    "epoch,step,seconds,learning_rate,train_loss,train_accuracy,test_loss,test_accuracy,"
    "nfe_forward,nfe_backward";
constexpr const char* kValidationColumns = ",validation_loss,validation_accuracy";
constexpr const char* kRobustColumns = ",attack_accuracy,pgd_accuracy";
constexpr const char* kPenaltyColumn = ",penalty";

// Writes the header of metrics.csv and, of what is there already, the epochs that the checkpoint
// has finished. Others come again. A checkpoint may hold all steps of an epoch and yet stand before
// its end, so epochs count, not steps; a line without its end was cut off while it was written.
void start_metrics(const std::filesystem::path& path, const std::string& columns,
                   int64_t finished_epochs) {
  std::string kept = concat(kMetricsHeader, columns, "\n");
  std::ifstream in(path);
  for (std::string line; std::getline(in, line) && !in.eof();) {
    const int64_t epoch = std::atoll(line.c_str());  // 0: the header
    if (epoch > 0 && epoch <= finished_epochs) kept += line + "\n";
  }
  write_text(path, kept);
}

template <typename... Parts>
std::string formatted(const char* format, Parts... parts) {
  char text[256];
  std::snprintf(text, sizeof text, format, parts...);
  return text;
}

// "nan" without a sign, which means nothing.
double unsigned_nan(double value) { return std::isnan(value) ? std::fabs(value) : value; }

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Trainer::Trainer(const TrainingOptions& options, const Settings& settings, DataSets data,
                 const Run* resume)
    : options_(options),
      settings_(settings),
      data_(std::move(data)),
      model_(new_model(options, settings, data_.train)) {
  if (options.limit > 0) data_.train = data_.train.first(options.limit);
  if (options.validation > 0) validation_ = data_.train.hold_out(options.validation, settings.seed);
  optimizer_ = nn::make_optimizer(options.optimizer, model_->named_parameters(),
                                  {.weight_decay = options.weight_decay,
                                   .momentum = options.momentum > 0,
                                   .groups = parse_groups(options.group)});
  schedule_ = nn::make_schedule(options.schedule, options.lr, options.momentum);
  const ode::GradientChoice gradient = ode::parse_gradient_word(options.gradient);
  const ode::Regime regime = ode::parse_regime(options.regime, options.solver, options.weights,
                                               options.noise, options.draw);
  if (regime.kind == ode::RegimeKind::model_ensemble)
    throw ValueError("train: the members of a model-ensemble are trained one by one.");
  if (!options.noise.empty() && regime.kind != ode::RegimeKind::smoothing)
    throw ValueError("--noise: only smoothing draws noise; add --regime smoothing.");
  if (regime.kind != ode::RegimeKind::standalone)
    meta_ = std::make_unique<ode::MetaSolver>(regime, settings.seed, kTrainingStream);
  solve_ = {.solver = regime.solvers[0],
            .steps = ode::parse_batch_steps(options.stepping),
            .meta = meta_.get(),
            .gradient = gradient.gradient,
            .gradient_options = gradient.options,
            .plans = regime.kind != ode::RegimeKind::smoothing,  // each step's method is new there
            .regularize = ode::parse_regularization(options.regularize),
            .solves = meter_.sink(),
            .warnings = meter_.warnings()};
  const bool fixed = !regime.random() &&
                     std::all_of(regime.solvers.begin(), regime.solvers.end(), can_be_captured);
  nn::StepOptions step{.label_smoothing = options.label_smoothing,
                       .plan = fixed || !model_->has_ode()};
  if (options.clip_norm > 0) step.clip_norm = options.clip_norm;
  if (options.ema > 0) {
    average_ = std::make_unique<nn::WeightAverage>(model_->named_parameters(), options.ema);
    step.average = average_.get();
  }
  keys_ = model_->key_count() + ode::key_count(*model_, solve_.regularize);
  if (!solve_.regularize.none() && !model_->has_ode())
    throw ValueError(concat("regularize: ", options.model, " has no ODE block."));
  train_step_ = std::make_unique<nn::TrainStep>(
      [this](const Tensor& x, nn::Pass& pass) { return logits(x, pass, solve_); }, *optimizer_,
      step);
  if (!options.train_attack.empty() || !options.train_noise.empty()) {
    // The attack's passes are not the training's: they report to nobody.
    ode::BlockSettings seen = solve_;
    seen.solves = nullptr;
    seen.warnings = nullptr;
    const auto model = [this, seen](const Tensor& x) {
      nn::Pass pass;
      return logits(x, pass, seen);
    };
    robust_ = std::make_unique<RobustTraining>(options.train_attack, options.train_noise,
                                               data_range(data_word(options)), model, step.plan,
                                               settings.seed);
  }
  // A random regime is tested with its first solver, an ensemble as what it is.
  const ode::Regime tested = regime.random() ? ode::Regime{.solvers = {regime.solvers[0]}} : regime;
  evaluated_ = std::make_unique<Defence>(std::vector<const models::Classifier*>{model_.get()},
                                         tested, solve_.steps, ode::GradientChoice{}, settings.seed,
                                         kDefenceStream, &evaluation_meter_);
  evaluator_ = std::make_unique<Evaluator>(
      [this](const Tensor& x, nn::Pass& pass) { return (*evaluated_)(x, pass); },
      evaluated_->plan(), evaluation_meter_);
  loader_ = std::make_unique<nn::Loader>(data_.train, options.batch, true, settings.seed,
                                         settings.value_dtype(), default_device(),
                                         nn::Augmenter(parse_augment(options.augment)));
  if (resume) {
    exchange_average();  // as it was saved
    nn::restore(resume->checkpoint, state(), (resume->folder / "model.safetensors").string());
    exchange_average();
    read_position(*resume);
  }
}

Tensor Trainer::logits(const Tensor& x, nn::Pass& pass, const ode::BlockSettings& solve) const {
  if (meta_) meta_->begin_pass(at_.step);
  return model_->logits(x, pass, solve);
}

std::vector<nn::NamedTensor> Trainer::state() const {
  std::vector<nn::NamedTensor> all = model_tensors(*model_);
  for (const nn::NamedTensor& s : optimizer_->state())
    all.push_back({"optimizer." + s.name, s.tensor});
  if (average_) {
    for (const nn::NamedTensor& v : average_->values())
      all.push_back({"optimizer.trained." + v.name, v.tensor});
  }
  return all;
}

void Trainer::exchange_average() {
  if (average_) average_->exchange();
}

// Where the checkpoint says that the run stands. A number outside its range, which would lead the
// run astray, is an error like one that is missing.
void Trainer::read_position(const Run& run) {
  const std::string file = (run.folder / "model.safetensors").string();
  const auto check = [&](bool sound, const char* name, const std::string& what) {
    if (!sound)
      throw DataError(
          concat(file, ": metadata \"", name, "\" is ", what, "; the run cannot be resumed."));
  };
  each_field(at_, [&](const char* name, auto& value) {
    const auto found = run.checkpoint.metadata.find(name);
    check(found != run.checkpoint.metadata.end(), name, "missing");
    const std::string text = "\"" + found->second + "\"";
    check(read_number(found->second, value), name, text + ", not a number");
    check(value >= 0 && static_cast<double>(value) <= kLargestCount, name,
          text + ", out of its range");
  });
  check(at_.batch <= loader_->batches(), "batch",
        concat(at_.batch, ", an epoch has ", loader_->batches()));
  check(at_.seen <= data_.train.size(), "seen",
        concat(at_.seen, ", the training set has ", data_.train.size(), " samples"));
  check(at_.correct <= at_.seen, "correct", concat(at_.correct, " of ", at_.seen, " samples"));
  check(at_.test_accuracy <= 1, "test-accuracy", concat(at_.test_accuracy, ", above 1"));
  check(at_.best_accuracy <= 1, "best-accuracy", concat(at_.best_accuracy, ", above 1"));
  std::vector<double> learnt = schedule_->state();
  if (learnt.empty()) return;
  const auto found = run.checkpoint.metadata.find("schedule");
  check(found != run.checkpoint.metadata.end(), "schedule", "missing");
  const char* at = found->second.c_str();
  for (double& value : learnt) {
    char* end = nullptr;
    value = std::strtod(at, &end);
    check(end != at && !std::isnan(value), "schedule",
          concat("\"", found->second, "\", not ", learnt.size(), " numbers"));
    at = end;
  }
  schedule_->restore(learnt);
}

int64_t Trainer::total_steps() const {
  return options_.iterations > 0 ? options_.iterations : options_.epochs * loader_->batches();
}

std::string Trainer::status_line(double rate) const {
  const double seen = std::fmax(static_cast<double>(at_.seen), 1);
  const auto left =
      static_cast<double>(total_steps() - at_.step) * static_cast<double>(options_.batch);
  return formatted(
      "epoch %lld  step %lld/%lld  %.0f/s  left %s  loss %.4f  accuracy %.4f  lr %.2e  NFE "
      "%.4g/%.4g",
      static_cast<long long>(at_.epoch + 1), static_cast<long long>(at_.step),
      static_cast<long long>(total_steps()), rate,
      duration_text(left / std::fmax(rate, 1e-9)).c_str(), at_.loss_sum / seen,
      static_cast<double>(at_.correct) / seen,
      schedule_->at(std::max<int64_t>(at_.step - 1, 0), total_steps()).rate, at_.nfe_forward,
      at_.nfe_backward);
}

// False when it was stopped.
bool Trainer::train_epoch(const volatile std::sig_atomic_t& stop) {
  loader_->start(at_.epoch, at_.batch);
  nn::Batch batch;
  while (at_.step < total_steps()) {
    const double start = now();
    if (!loader_->next(&batch)) break;
    loading_ += now() - start;
    const nn::ScheduleValues values = schedule_->at(at_.step, total_steps());
    Tensors keys;
    for (int64_t i = 0; i < keys_; ++i) {
      keys.push_back(make_key(settings_.seed, kDropoutStream + static_cast<uint32_t>(i),
                              static_cast<uint32_t>(at_.step)));
    }
    const Tensor x = robust_ ? (*robust_)(batch.x, batch.labels, at_.examples) : batch.x;
    const nn::StepResult r = (*train_step_)(
        x, batch.labels, optimizer_->numbers(values.rate, values.momentum, at_.step + 1), keys);
    if (!std::isfinite(r.loss + r.penalty)) {
      const bool loss = !std::isfinite(r.loss);
      throw SolveError(astray(concat("the ", loss ? "loss" : "penalty", " is ",
                                     shown(loss ? r.loss : r.penalty), " at step ", at_.step + 1)));
    }
    meter_.end_pass();
    at_.nfe_forward = meter_.forward();
    at_.nfe_backward = meter_.backward();
    const int64_t n = batch.labels.size();
    at_.loss_sum += r.loss * static_cast<double>(n);
    at_.penalty_sum += r.penalty * static_cast<double>(n);
    at_.correct += r.correct;
    at_.seen += n;
    at_.examples += n;
    ++at_.step;
    ++at_.batch;
    at_.seconds += now() - start;
    progress_->moving(status_line(static_cast<double>(at_.examples) / at_.seconds));
    if (options_.checkpoint_every > 0 && at_.step % options_.checkpoint_every == 0)
      save("model.safetensors");
    if (stop) return false;
  }
  return true;
}

void Trainer::end_epoch() {
  const auto seen = static_cast<double>(at_.seen);
  const double train_accuracy = static_cast<double>(at_.correct) / seen;
  at_.train_loss = at_.loss_sum / seen;
  exchange_average();
  const bool last = at_.step >= total_steps();
  const Accuracy test = (*evaluator_)(data_.test, kEvaluationBatch, settings_.value_dtype(),
                                      last ? &test_logits_ : nullptr);
  if (const std::string warning = test.warning(); !warning.empty()) {
    warnings_.push_back(concat("on the test set after epoch ", at_.epoch + 1, " ", warning));
    progress_->warning(warnings_.back());
  }
  if (at_.epoch == 0) {  // of the solves; later epochs would only repeat them
    for (const std::string& warning : *meter_.warnings()) {
      warnings_.push_back(warning);
      progress_->warning(warning);
    }
  }
  at_.test_accuracy = test.value();
  bool best = test.value() > at_.best_accuracy;
  at_.best_accuracy = std::max(at_.best_accuracy, test.value());
  std::string columns, words;       // of the validation set
  double watched = at_.train_loss;  // by the schedule; the test set is not to be learnt from
  if (validation_.size() > 0) {
    const Accuracy held_out = (*evaluator_)(validation_, kEvaluationBatch, settings_.value_dtype());
    at_.validation_accuracy = held_out.value();
    best = held_out.value() > at_.best_validation;
    at_.best_validation = std::max(at_.best_validation, held_out.value());
    columns = formatted(",%.9g,%.9g", unsigned_nan(held_out.loss), held_out.value());
    words = formatted("  validation accuracy %.4f", held_out.value());
    watched = held_out.loss;
  }
  if (robust_ && robust_->attacks()) {
    columns += watch_robustness();
    words += formatted("  under attack %.4f", at_.robust_accuracy);
  }
  exchange_average();
  const double rate = schedule_->at(at_.step - 1, total_steps()).rate;
  const std::filesystem::path metrics = folder_ / "metrics.csv";
  std::ofstream out(metrics, std::ios::app);
  out << formatted("%lld,%lld,%.3f,%.6g,%.9g,%.9g,%.9g,%.9g,%.6g,%.6g",
                   static_cast<long long>(at_.epoch + 1), static_cast<long long>(at_.step),
                   at_.seconds, rate, at_.train_loss, train_accuracy, unsigned_nan(test.loss),
                   test.value(), at_.nfe_forward, at_.nfe_backward)
      << columns;
  if (penalized()) out << formatted(",%.9g", at_.penalty_sum / seen);
  out << "\n";
  out.close();
  if (!out) throw DataError(metrics.string() + ": cannot be written.");

  schedule_->observe(watched);
  ++at_.epoch;
  // Short epochs (points) would scroll by: their lines come once a second or so.
  if (at_.seconds >= next_line_ || last) {
    next_line_ = at_.seconds + 1;
    progress_->line(formatted(
        "epoch %lld  step %lld  train loss %.4f  accuracy %.4f%s  test accuracy %.4f (best %.4f)  "
        "NFE %.4g/%.4g  %.0f/s  %s",
        static_cast<long long>(at_.epoch), static_cast<long long>(at_.step), at_.train_loss,
        train_accuracy, words.c_str(), at_.test_accuracy, at_.best_accuracy, at_.nfe_forward,
        at_.nfe_backward, static_cast<double>(at_.examples) / at_.seconds,
        duration_text(at_.seconds).c_str()));
  }
  at_.batch = at_.correct = at_.seen = 0;
  at_.loss_sum = at_.penalty_sum = 0;
  if (best) save("best.safetensors");
  if (options_.checkpoint_every == 0 || last) save("model.safetensors");
}

std::string Trainer::watch_robustness() {
  const int64_t count = std::min(kEvaluationBatch, data_.train.size());
  std::vector<int64_t> spread(static_cast<size_t>(count));  // a file may be sorted by class
  for (size_t i = 0; i < spread.size(); ++i)
    spread[i] = static_cast<int64_t>(i) * data_.train.size() / count;
  const nn::Batch batch = nn::make_batch(data_.train, spread, settings_.value_dtype());
  const RobustCheck check = robust_->check(batch.x, batch.labels);
  const std::string text = overfitting_warning(check, at_.best_robust);
  if (!text.empty() && !overfitted_) {  // once, where it begins
    warnings_.push_back(concat("after epoch ", at_.epoch + 1, ": ", text));
    progress_->warning(warnings_.back());
  }
  overfitted_ = !text.empty();
  at_.robust_accuracy = check.pgd;
  at_.best_robust = std::max(at_.best_robust, check.pgd);
  return formatted(",%.9g,%.9g", check.attack, check.pgd);
}

// What to do about a training that diverged; a whole checkpoint, if there is one, is still there.
std::string Trainer::astray(const std::string& what) const {
  const std::filesystem::path checkpoint = folder_ / "model.safetensors";
  return concat("train: ", what, ". Lower --lr (now ", options_.lr, ") or set --clip-norm.",
                std::filesystem::exists(checkpoint)
                    ? " The last checkpoint, " + checkpoint.string() + ", is whole."
                    : "");
}

void Trainer::save(const std::string& name) {
  exchange_average();
  const std::vector<nn::NamedTensor> all = state();
  // A loss may be finite and the step behind it still overflow.
  if (const std::string bad = not_finite(all); !bad.empty())
    throw SolveError(astray(concat(bad, " is not finite after step ", at_.step)));
  nn::Metadata metadata = model_metadata(*model_, options_, settings_);
  each_field(at_, [&](const char* field, auto& value) { metadata[field] = number_text(value); });
  if (const auto& names = data_.train.class_names; !names.empty())
    metadata["class_names"] = json_text(names);
  for (double value : schedule_->state()) metadata["schedule"] += number_text(value) + " ";
  nn::save_checkpoint(folder_ / name, all, metadata);
  exchange_average();
}

bool Trainer::run(const std::filesystem::path& folder, const volatile std::sig_atomic_t& stop) {
  folder_ = folder;
  resumed_seconds_ = at_.seconds;
  progress_ = std::make_unique<Progress>(settings_.quiet, (folder / "log.txt").string());
  start_metrics(folder / "metrics.csv",
                concat(validation_.size() > 0 ? kValidationColumns : "",
                       robust_ && robust_->attacks() ? kRobustColumns : "",
                       penalized() ? kPenaltyColumn : ""),
                at_.epoch);
  progress_->line(formatted(
      "%s: %lld parameters, %s, %lld training and %lld test samples, %lld steps, solver %s",
      model_->word().c_str(), static_cast<long long>(model_->parameter_count()),
      data_word(options_).c_str(), static_cast<long long>(data_.train.size()),
      static_cast<long long>(data_.test.size()), static_cast<long long>(total_steps()),
      (options_.solver + (meta_ ? ", " + options_.regime : "")).c_str()));
  while (at_.step < total_steps()) {
    if (!train_epoch(stop)) {
      save("model.safetensors");
      return false;
    }
    end_epoch();
  }
  if (meta_ && model_->has_ode()) tell_draws();
  exchange_average();  // for good: the model is what has been saved
  const MemoryStatistics memory = memory_statistics(default_device());
  progress_->line(formatted(
      "memory: %.0f MB in plans, %.0f MB besides at the peak; %lld device allocations in plans; "
      "waiting for batches: %.2f %% of the time",
      static_cast<double>(train_step_->plan_bytes() + (robust_ ? robust_->plan_bytes() : 0)) / 1e6,
      static_cast<double>(memory.peak_bytes) / 1e6,
      static_cast<long long>(train_step_->plan_allocations()),
      100 * loading_ / std::fmax(at_.seconds - resumed_seconds_, 1e-9)));
  return true;
}

// How often each solver was used; of many different ones a few.
void Trainer::tell_draws() {
  constexpr size_t kShown = 6;
  const auto& uses = meta_->uses();
  std::string text = concat("solvers drawn (", uses.size(), " different ones):");
  for (size_t i = 0; i < std::min(uses.size(), kShown); ++i)
    text += concat(i ? ", " : " ", uses[i].first, " ", uses[i].second, " times");
  progress_->line(uses.size() > kShown ? text + ", .." : text);
}

nlohmann::ordered_json Trainer::result() const {
  nlohmann::ordered_json result{
      {"run", folder_.string()},
      {"model", model_->word()},
      {"parameters", model_->parameter_count()},
      {"epochs", at_.epoch},
      {"test_accuracy", at_.test_accuracy},
      {"best_accuracy", at_.best_accuracy},
      {"train_loss", at_.train_loss},
      {"nfe_forward", at_.nfe_forward},
      {"nfe_backward", at_.nfe_backward},
      {"seconds", at_.seconds},
      {"examples_per_second",
       at_.seconds > 0 ? static_cast<double>(at_.examples) / at_.seconds : 0.0},
      {"warnings", warnings_}};
  if (validation_.size() > 0) result["validation_accuracy"] = at_.validation_accuracy;
  if (robust_ && robust_->attacks()) result["robust_accuracy"] = at_.robust_accuracy;
  return result;
}

}  // namespace slope::program
