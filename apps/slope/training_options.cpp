#include "apps/slope/training_options.h"

#include <toml++/toml.h>

#include <charconv>
#include <sstream>

#include "core/word.h"
#include "ode/number_text.h"

namespace slope::program {
namespace {

std::string toml_text(const std::string& value) {
  return (std::ostringstream() << toml::value<std::string>(value)).str();
}
std::string toml_text(int64_t value) { return std::to_string(value); }
std::string toml_text(bool value) { return value ? "true" : "false"; }
// The shortest text that reads back as the same bits.
std::string toml_text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string toml_text(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& v : values) text += (text.empty() ? "" : ", ") + toml_text(v);
  return "[" + text + "]";
}

}  // namespace

std::vector<nn::ParameterGroup> parse_groups(const std::vector<std::string>& words) {
  std::vector<nn::ParameterGroup> groups;
  for (const std::string& text : words) {
    Word word("group", text);
    const auto take = [&](const char* option) {
      const std::optional<std::string> given = word.take(option);
      const std::optional<double> value = given ? ode::parse_number(*given) : std::nullopt;
      if (given && (!value || *value < 0))
        throw ValueError(
            concat("group: ", option, " in ", text, " must be 0 or more, got ", *given, "."));
      return value;
    };
    groups.push_back({.name = word.name(),
                      .rate = take("rate").value_or(1),
                      .weight_decay = take("weight-decay")});
    word.expect_empty("rate, weight-decay");
  }
  return groups;
}

void add_training_options(OptionList& options, TrainingOptions& v) {
  options.add("--data", v.data, "Data set; default: the model's own (slope info data)");
  options.add("--init", v.init,
              "RUN or RUN/best.safetensors: start from its weights instead of random ones");
  options.add("--solver", v.solver,
              "METHOD[,name=value]..[:STEPS|:h=SIZE|@RTOL[,ATOL]] (slope info methods)");
  options.add(
      "--regime", v.regime,
      "Solvers while training: standalone, switching, smoothing or solver-ensemble; members "
      "are joined by + in --solver");
  options.add("--weights", v.weights,
              "Probabilities (switching) or weights (solver-ensemble); default: equal");
  options.add("--noise", v.noise,
              "Smoothing: normal or cauchy, scale, reset, clip or resample outside two scales; "
              "default normal,0.0125,reset");
  options.add("--draw", v.draw, "What shares a draw: batch (all blocks of a step) or block");
  options.add(
      "--gradient", v.gradient,
      "How to differentiate the solve: checkpointed (with states=N: in the memory of N "
      "states), through, reversible, adjoint or adjoint-seminorm (either with interpolate)");
  options.add("--stepping", v.stepping,
              "Adaptive steps: shared by the samples of a batch, or per-sample");
  options.add("--epochs", v.epochs, "Passes over the training set", positive());
  options.add("--iterations", v.iterations, "Optimiser steps instead of epochs; 0: epochs count",
              not_negative());
  options.add("--batch", v.batch, "Samples per step", positive());
  options.add_flag("--drop-last", v.drop_last,
                   "Leave the last batch of an epoch out where it is smaller than the others");
  options.add("--lr", v.lr,
              "Learning rate, the highest of the schedule; 0: the model's own, with another "
              "optimiser than its own 0.05 for sgd and 0.001 for the others",
              not_negative());
  options.add(
      "--optimizer", v.optimizer,
      "sgd, nesterov, adam, rmsprop, or with decoupled weight decay sgdw, nesterovw, adamw, "
      "rmspropw; default: the model's own (slope info models)");
  options.add("--momentum", v.momentum, "Momentum of sgd, nesterov and rmsprop", from_0_to_1());
  options.add(
      "--schedule", v.schedule,
      "constant, cosine, one-cycle, triangular,up=S[,down=S][,base=B], triangular2 likewise, "
      "step,every=S[,factor=F], multi-step,at=A/B[,factor=F] or "
      "plateau[,patience=P][,factor=F]; all but those that rise anyway: warmup=S");
  options.add(
      "--weight-decay", v.weight_decay,
      "L2 penalty, or with sgdw, adamw and so on decoupled: this share of the weights, times "
      "the learning rate, is taken away in each step",
      not_negative());
  options.add("--label-smoothing", v.label_smoothing, "Share of the target spread over all classes",
              from_0_to_1());
  options.add("--clip-norm", v.clip_norm, "Largest L2 norm of all gradients together; 0: no limit",
              not_negative());
  options.add(
      "--ema", v.ema,
      "Evaluate, save and keep an exponential moving average of the weights with this decay, "
      "as in 0.999; 0: the weights themselves",
      from_0_to_1());
  options.add("--bn-batches", v.bn_batches,
              "Before each test compute BatchNorm's statistics anew over N training batches, and "
              "keep them; 0: the running ones of the training",
              not_negative());
  options
      .add("--group", v.group,
           "NAME[,rate=X][,weight-decay=X]: parameters with part of this name, or `vectors` "
           "(biases, norms), learn at X times the rate, with a weight decay of their own; "
           "repeatable")
      ->allow_extra_args(false);
  options.add("--regularize", v.regularize,
              "Terms beside the loss, and their weights: kinetic=W,jacobian=W,end-time=B,error=W,"
              "stiffness=W,steady=W,steady-form=F,steady-after=E, any of them");
  options.add("--adapt", v.adapt,
              "Adapt the solver to the accuracy: step or tolerance, as in "
              "step,every=50,threshold=0.1,max-steps=500[,first=H][,test=METHOD]");
  options.add("--checkpoint-every", v.checkpoint_every,
              "Steps between checkpoints; 0: one per epoch", not_negative());
  options.add("--limit", v.limit, "Train on the first N samples; 0: all", not_negative());
  options.add("--test-limit", v.test_limit,
              "Test on the first N test samples while training; 0: all", not_negative());
  options.add("--validation", v.validation,
              "Share of the training samples held out, drawn by the seed; the best epoch is then "
              "chosen by them, not by the test set",
              from_0_to_1());
  options.add("--augment", v.augment,
              "Random changes of training pictures, in order: NAME[,option=value],NAME.. "
              "(slope info data), as in crop,padding=4,flip");
  options.add("--train-attack", v.train_attack,
              "Train on attacked samples: fgsm-random,eps=8/255,alpha=10/255, pgd,.. "
              "(slope info attacks); or trades,eps=8/255,step=0.007,iterations=10,beta=6; or "
              "free,eps=8/255,replays=8");
  options.add("--train-noise", v.train_noise,
              "Train on noisy samples: noise,sigma=50/255, tisode-noise, uniform,eps=0.3 or "
              "salt-pepper,p=0.1");
}

std::string to_toml(const TrainingOptions& v, const Settings& s) {
  std::ostringstream out;
  out << "# slope train --config FILE repeats this run.\n";
  const auto line = [&](const char* key, const auto& value) {
    out << key << " = " << toml_text(value) << "\n";
  };
  line("model", v.model);
  line("data", v.data);
  line("init", v.init);
  line("solver", v.solver);
  line("regime", v.regime);
  line("weights", v.weights);
  line("noise", v.noise);
  line("draw", v.draw);
  line("gradient", v.gradient);
  line("stepping", v.stepping);
  line("epochs", v.epochs);
  line("iterations", v.iterations);
  line("batch", v.batch);
  line("drop-last", v.drop_last);
  line("lr", v.lr);
  line("optimizer", v.optimizer);
  line("momentum", v.momentum);
  line("schedule", v.schedule);
  line("weight-decay", v.weight_decay);
  line("label-smoothing", v.label_smoothing);
  line("clip-norm", v.clip_norm);
  line("ema", v.ema);
  line("bn-batches", v.bn_batches);
  line("group", v.group);
  line("regularize", v.regularize);
  line("adapt", v.adapt);
  line("checkpoint-every", v.checkpoint_every);
  line("limit", v.limit);
  line("test-limit", v.test_limit);
  line("validation", v.validation);
  line("augment", v.augment);
  line("train-attack", v.train_attack);
  line("train-noise", v.train_noise);
  line("seed", static_cast<int64_t>(s.seed));
  line("dtype", s.dtype);
  line("exact", s.exact);
  return out.str();
}

}  // namespace slope::program
