#include "apps/slope/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "apps/slope/augment_word.h"
#include "apps/slope/output.h"
#include "core/storage.h"

namespace slope::program {
namespace {

constexpr int64_t kEvaluationBatch = 250;
constexpr const char* kDataSum = "data-checksum";  // of the training samples, in checkpoints

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Trainer::Trainer(const TrainingOptions& options, const Settings& settings, DataSets data,
                 const Run* resume)
    : options_(options),
      settings_(settings),
      data_(std::move(data)),
      model_(new_model(options, settings, data_.train)),
      solve_(options, settings, *model_),
      record_(settings.quiet) {
  if (!resume && !options.init.empty()) started_ = start_from(options.init, settings, *model_);
  if (options.limit > 0) {
    data_.train = data_.train.first(options.limit);
    if (const std::string few = few_classes(data_.train, "training"); !few.empty())
      notices_.push_back(few);
  }
  data_sum_ = data_.train.checksum();
  if (options.test_limit > 0) {
    data_.test = data_.test.first(options.test_limit);
    if (const std::string few = few_classes(data_.test, "test"); !few.empty())
      notices_.push_back(few);
  }
  if (options.validation > 0) validation_ = data_.train.hold_out(options.validation, settings.seed);
  optimizer_ = nn::make_optimizer(options.optimizer, model_->named_parameters(),
                                  {.weight_decay = options.weight_decay,
                                   .momentum = options.momentum > 0,
                                   .groups = parse_groups(options.group)});
  schedule_ = nn::make_schedule(options.schedule, options.lr, options.momentum);
  if (!options.adapt.empty())
    adapt_ =
        std::make_unique<TrainingAdapt>(options.adapt, *model_, settings.value_dtype(), solve_);
  nn::StepOptions step{.label_smoothing = options.label_smoothing, .plan = solve_.plan()};
  if (options.clip_norm > 0) step.clip_norm = options.clip_norm;
  if (options.ema > 0) {
    average_ = std::make_unique<nn::WeightAverage>(model_->named_parameters(), options.ema);
    step.average = average_.get();
  }
  const bool robust = !options.train_attack.empty() || !options.train_noise.empty();
  if (robust && options.bn_batches > 0)
    throw ValueError(
        "bn-batches: the statistics would be of samples as they are, and --train-attack and "
        "--train-noise train on changed ones. Leave one of the two out.");
  const nn::Range range = data_range(data_word(options));
  const RobustWord word =
      robust ? parse_robust_word(options.train_attack, options.train_noise, range, settings.seed)
             : RobustWord{};
  RobustTraining::configure(word, step);
  train_step_ = std::make_unique<nn::TrainStep>(
      [this](const Tensor& x, nn::Pass& pass) { return solve_(x, pass, at_.step); }, *optimizer_,
      step);
  if (robust) {
    Shape batch{std::min(options.batch, data_.train.size())};
    for (int i = 0; i < data_.train.sample.rank(); ++i) batch.push_back(data_.train.sample[i]);
    robust_ = std::make_unique<RobustTraining>(
        word, range, [this](const Tensor& x) { return solve_.attacked(x, at_.step); },
        solve_.plan() && !adapt_, settings.seed, batch, settings.value_dtype());
  }
  make_evaluator();
  loader_ = std::make_unique<nn::Loader>(
      data_.train, options.batch, true, settings.seed, settings.value_dtype(), default_device(),
      nn::Augmenter(parse_augment(options.augment)), options.drop_last);
  if (resume) restore(*resume);
}

void Trainer::make_evaluator() {
  evaluated_ = std::make_unique<Defence>(std::vector<const models::Classifier*>{model_.get()},
                                         solve_.tested(), solve_.steps(), ode::GradientChoice{},
                                         settings_.seed, kDefenceStream, &evaluation_meter_);
  evaluator_ = std::make_unique<Evaluator>(
      [this](const Tensor& x, nn::Pass& pass) { return (*evaluated_)(x, pass); },
      evaluated_->plan(), evaluation_meter_);
  if (options_.bn_batches == 0) return;
  statistics_ = std::make_unique<nn::StatisticsStep>(
      [this](const Tensor& x, nn::Pass& pass) { return (*evaluated_)(x, pass); }, *model_,
      evaluated_->plan());
}

void Trainer::renew_solver() {
  train_step_->forget_plans();
  make_evaluator();
}

// ---- the checkpoint ----

std::vector<nn::NamedTensor> Trainer::state() const {
  std::vector<nn::NamedTensor> all = model_tensors(*model_);
  for (const nn::NamedTensor& s : optimizer_->state())
    all.push_back({"optimizer." + s.name, s.tensor});
  if (average_) {
    for (const nn::NamedTensor& v : average_->values())
      all.push_back({"optimizer.trained." + v.name, v.tensor});
  }
  if (robust_) {
    for (const nn::NamedTensor& s : robust_->state())
      all.push_back({"optimizer." + s.name, s.tensor});
  }
  return all;
}

void Trainer::exchange_average() {
  if (average_) average_->exchange();
}

void Trainer::restore(const Run& run) {
  const std::string file = run.weights.string();
  exchange_average();  // as it was saved
  nn::restore(run.checkpoint, state(), file);
  exchange_average();
  const MetadataReader reader(run.checkpoint.metadata, file);
  int64_t samples_sum = 0;
  reader.read(kDataSum, samples_sum);
  if (samples_sum != data_sum_)
    throw DataError(concat(file, ": trained on other samples than those of ", options_.data,
                           " now. Start anew from these weights with --init."));
  at_ = read_position(reader, loader_->batches(), data_.train.size());
  read_schedule(reader, *schedule_);
  if (adapt_) {
    adapt_->read(reader);
    renew_solver();
  }
  if (at_.step > total_steps())
    throw ValueError(concat("--epochs ", options_.epochs, ": the run has ", at_.step,
                            " steps behind it already, ", total_steps(), " would be all."));
  if (at_.batch == 0 && at_.step % loader_->batches() > 0 && at_.step < total_steps())
    throw ValueError(concat("--epochs ", options_.epochs,
                            ": the run ended in the middle of its epoch ", at_.epoch,
                            ", by --iterations, and cannot be made longer. Start another "
                            "from its weights with --init."));
  // A schedule that counts parts of the whole is another one when the whole grows.
  const int64_t last = std::max<int64_t>(at_.step - 1, 0);
  if (schedule_->at(last, steps_in(run.options)).rate != schedule_->at(last, total_steps()).rate)
    notices_.push_back(concat("the schedule ", options_.schedule, " counts ", total_steps(),
                              " steps now, so far it was ", steps_in(run.options),
                              ": one run of that length would have taken other rates until here"));
}

void Trainer::save(const std::string& name) {
  exchange_average();
  const std::vector<nn::NamedTensor> all = state();
  // A loss may be finite and the step behind it still overflow.
  if (const std::string bad = not_finite(all); !bad.empty())
    throw SolveError(astray(concat(bad, " is not finite after step ", at_.step)));
  nn::Metadata metadata = model_metadata(*model_, options_, settings_);
  write_position(at_, metadata);
  metadata[kDataSum] = std::to_string(data_sum_);
  write_schedule(*schedule_, metadata);
  if (adapt_) adapt_->write(metadata);
  if (const auto& names = data_.train.class_names; !names.empty())
    metadata["class_names"] = json_text(names);
  nn::save_checkpoint(folder_ / name, all, metadata);
  exchange_average();
}

// ---- steps ----

int64_t Trainer::steps_in(const TrainingOptions& options) const {
  return options.iterations > 0 ? options.iterations : options.epochs * loader_->batches();
}

// False when it was stopped.
bool Trainer::train_epoch(const volatile std::sig_atomic_t& stop) {
  loader_->start(at_.epoch, at_.batch);
  if (solve_.begin_epoch(at_.epoch)) train_step_->forget_plans();
  const int64_t replays = robust_ ? robust_->replays() : 1;
  nn::Batch batch;
  while (at_.step < total_steps()) {
    const double start = now();
    if (!loader_->next(&batch)) break;
    loading_ += now() - start;
    const nn::ScheduleValues values = schedule_->at(at_.step, total_steps());
    if (adapt_ && adapt_->before_step(at_.step, batch.x, batch.labels)) renew_solver();
    const auto update = [&](int64_t replay, const Tensor& x, const Tensors& versions) {
      const int64_t step = at_.step * replays + replay;
      const nn::StepResult result = (*train_step_)(
          x, batch.labels, optimizer_->numbers(values.rate, values.momentum, step + 1),
          nn::step_keys(settings_.seed, solve_.key_count(), step), versions);
      solve_.meter().end_pass(1 + static_cast<int64_t>(versions.size()));
      at_.forward_sum += solve_.meter().last_forward();
      at_.backward_sum += solve_.meter().last_backward();
      ++at_.passes;
      return result;
    };
    const nn::StepResult result = robust_
                                      ? robust_->train(batch.x, batch.labels, at_.examples, update)
                                      : update(0, batch.x, {});
    count(result, batch.labels.size());
    if (adapt_ && adapt_->after_step(at_.step - 1)) renew_solver();
    at_.seconds += now() - start;
    record_.step(at_, values.rate);
    if (options_.checkpoint_every > 0 && at_.step % options_.checkpoint_every == 0)
      save("model.safetensors");
    if (stop) return false;
  }
  return true;
}

void Trainer::count(const nn::StepResult& r, int64_t samples) {
  if (!std::isfinite(r.loss + r.penalty)) {
    const bool loss = !std::isfinite(r.loss);
    throw SolveError(astray(concat("the ", loss ? "loss" : "penalty", " is ",
                                   shown(loss ? r.loss : r.penalty), " at step ", at_.step + 1)));
  }
  at_.nfe_forward = at_.forward_sum / static_cast<double>(at_.passes);
  at_.nfe_backward = at_.backward_sum / static_cast<double>(at_.passes);
  at_.loss_sum += r.loss * static_cast<double>(samples);
  at_.penalty_sum += r.penalty * static_cast<double>(samples);
  at_.correct += r.correct;
  at_.seen += samples;
  at_.examples += samples;
  ++at_.step;
  ++at_.batch;
}

// What to do about a training that diverged; a whole checkpoint, if there is one, is still there.
std::string Trainer::astray(const std::string& what) const {
  const std::filesystem::path checkpoint = folder_ / "model.safetensors";
  return concat("train: ", what, ". Lower --lr (now ", options_.lr, ") or set --clip-norm.",
                std::filesystem::exists(checkpoint)
                    ? " The last checkpoint, " + checkpoint.string() + ", is whole."
                    : "");
}

// ---- epochs ----

// In the order of EpochResult::further.
std::vector<std::string> Trainer::further_columns() const {
  std::vector<std::string> columns;
  if (validation_.size() > 0) columns = {"validation_loss", "validation_accuracy"};
  if (robust_ && robust_->attacks())
    columns.insert(columns.end(), {"attack_accuracy", "pgd_accuracy"});
  if (solve_.penalized()) columns.push_back("penalty");
  return columns;
}

// False when it was stopped; the epoch has not ended then.
bool Trainer::end_epoch(const volatile std::sig_atomic_t& stop) {
  const double start = now();
  const auto seen = static_cast<double>(at_.seen);
  at_.train_loss = at_.loss_sum / seen;
  exchange_average();
  const bool last = at_.step >= total_steps();
  if (statistics_ && !renew_statistics(stop)) {
    exchange_average();
    return false;
  }
  const Accuracy test = (*evaluator_)(data_.test, kEvaluationBatch, settings_.value_dtype(),
                                      last ? &test_logits_ : nullptr, [&](int64_t done) {
                                        record_.testing(at_, done, data_.test.size());
                                        return !stop;
                                      });
  if (stop) {
    test_logits_.clear();
    exchange_average();
    return false;
  }
  if (const std::string warning = test.warning(); !warning.empty())
    record_.warning(concat("on the test set after epoch ", at_.epoch + 1, " ", warning));
  if (at_.epoch == 0) {  // of the solves; later epochs would only repeat them
    for (const std::string& warning : *solve_.meter().warnings()) record_.warning(warning);
  }
  at_.test_accuracy = test.value();
  bool best = at_.epoch == 0 || test.value() > at_.best_accuracy;
  at_.best_accuracy = std::max(at_.best_accuracy, test.value());
  EpochResult result{.rate = schedule_->at(at_.step - 1, total_steps()).rate,
                     .test_loss = test.loss};
  double watched = at_.train_loss;  // by the schedule; the test set is not to be learnt from
  if (validation_.size() > 0) best = validate(result, watched);
  if (robust_ && robust_->attacks()) watch_robustness(result);
  if (solve_.penalized()) result.further.push_back(at_.penalty_sum / seen);
  exchange_average();
  record_.epoch(at_, result, last);
  schedule_->observe(watched);
  at_.test_seconds += now() - start;
  at_.begin_epoch();
  if (best) save("best.safetensors");
  if (options_.checkpoint_every == 0 || last) save("model.safetensors");
  return true;
}

// Of the weights and the batches alone, so that a test that is stopped and made again finds the
// same. The random keys are those of the next steps.
bool Trainer::renew_statistics(const volatile std::sig_atomic_t& stop) {
  statistics_->clear();
  int64_t epoch = at_.epoch;
  loader_->start(epoch);
  nn::Batch batch;
  for (int64_t i = 0; i < options_.bn_batches; ++i) {
    if (stop) return false;
    if (!loader_->next(&batch)) {  // more than an epoch has
      loader_->start(++epoch);
      loader_->next(&batch);
    }
    (*statistics_)(batch.x, nn::step_keys(settings_.seed, model_->key_count(), at_.step + i));
    evaluation_meter_.end_pass();
    record_.statistics(at_, i + 1, options_.bn_batches);
  }
  statistics_->write();
  return true;
}

bool Trainer::validate(EpochResult& result, double& loss) {
  const Accuracy held_out = (*evaluator_)(validation_, kEvaluationBatch, settings_.value_dtype());
  const bool best = at_.epoch == 0 || held_out.value() > at_.best_validation;
  at_.validation_accuracy = held_out.value();
  at_.best_validation = std::max(at_.best_validation, held_out.value());
  result.further.insert(result.further.end(), {held_out.loss, held_out.value()});
  result.words += formatted("  validation accuracy %.4f", held_out.value());
  loss = held_out.loss;
  return best;
}

void Trainer::watch_robustness(EpochResult& result) {
  const int64_t count = std::min(kEvaluationBatch, data_.train.size());
  std::vector<int64_t> spread(static_cast<size_t>(count));  // a file may be sorted by class
  for (size_t i = 0; i < spread.size(); ++i)
    spread[i] = static_cast<int64_t>(i) * data_.train.size() / count;
  const nn::Batch batch = nn::make_batch(data_.train, spread, settings_.value_dtype());
  const RobustCheck check = robust_->check(batch.x, batch.labels);
  const std::string text = overfitting_warning(check, at_.best_robust);
  if (!text.empty() && !overfitted_)  // once, where it begins
    record_.warning(concat("after epoch ", at_.epoch + 1, ": ", text));
  overfitted_ = !text.empty();
  at_.robust_accuracy = check.pgd;
  at_.best_robust = std::max(at_.best_robust, check.pgd);
  result.further.insert(result.further.end(), {check.attack, check.pgd});
  result.words += formatted("  under attack %.4f", check.pgd);
}

// ---- the run ----

bool Trainer::run(const std::filesystem::path& folder, const volatile std::sig_atomic_t& stop) {
  folder_ = folder;
  resumed_seconds_ = at_.seconds;
  record_.open(folder, further_columns(), at_.epoch, epoch_steps(), total_steps());
  if (adapt_) adapt_->open(folder, at_.step);
  record_.line(concat(model_->word(), ": ", model_->parameter_count(), " parameters, ",
                      data_word(options_), ", ", data_.train.size(), " training and ",
                      data_.test.size(), " test samples, ", total_steps(), " steps, solver ",
                      options_.solver, solve_.standalone() ? "" : ", " + options_.regime));
  if (!started_.empty()) record_.line(started_);
  for (const std::string& notice : notices_) record_.warning(notice);
  // The last checkpoint may stand behind the last step and before the end of its epoch.
  while (at_.step < total_steps() || at_.batch > 0) {
    if (!train_epoch(stop) || !end_epoch(stop)) {
      save("model.safetensors");
      return false;
    }
  }
  if (const std::string draws = solve_.draws_text(); !draws.empty()) record_.line(draws);
  exchange_average();  // for good: the model is what has been saved
  tell_memory();
  return true;
}

void Trainer::tell_memory() {
  const MemoryStatistics memory = memory_statistics(default_device());
  const size_t plans = train_step_->plan_bytes() + (robust_ ? robust_->plan_bytes() : 0);
  record_.line(formatted(
      "memory: %.0f MB in plans, %.0f MB besides at the peak; %lld device allocations in plans; "
      "waiting for batches: %.2f %% of the time",
      static_cast<double>(plans) / 1e6, static_cast<double>(memory.peak_bytes) / 1e6,
      static_cast<long long>(train_step_->plan_allocations()),
      100 * loading_ / std::fmax(at_.seconds - resumed_seconds_, 1e-9)));
}

nlohmann::ordered_json Trainer::result() const {
  // --iterations may end in the middle of one.
  const int64_t batches = loader_->batches();
  nlohmann::ordered_json epochs = at_.step / batches;
  if (at_.step % batches) epochs = static_cast<double>(at_.step) / static_cast<double>(batches);
  nlohmann::ordered_json result{
      {"run", folder_.string()},
      {"model", model_->word()},
      {"parameters", model_->parameter_count()},
      {"epochs", epochs},
      {"test_accuracy", at_.test_accuracy},
      {"best_accuracy", at_.best_accuracy},
      {"train_loss", at_.train_loss},
      {"nfe_forward", at_.nfe_forward},
      {"nfe_backward", at_.nfe_backward},
      {"seconds", at_.seconds},
      {"examples_per_second",
       at_.seconds > 0 ? static_cast<double>(at_.examples) / at_.seconds : 0.0},
      {"warnings", record_.warnings()}};
  result["test_examples"] = data_.test.size();
  if (adapt_) {
    result["adapted_solver"] = adapt_->solver_word();
    result["adapted_size"] = adapt_->size();
    if (adapt_->steps()) result["adapted_steps"] = *adapt_->steps();
  }
  if (validation_.size() > 0) result["validation_accuracy"] = at_.validation_accuracy;
  if (robust_ && robust_->attacks()) result["robust_accuracy"] = at_.robust_accuracy;
  return result;
}

}  // namespace slope::program
