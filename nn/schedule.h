// Learning rate schedules: the numbers of step i of n, as plain doubles.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace slope::nn {

struct ScheduleValues {
  double rate = 0;
  double momentum = 0;
};

class Schedule {
 public:
  virtual ~Schedule() = default;
  // step: counted from 0; total: steps of the whole training.
  virtual ScheduleValues at(int64_t step, int64_t total) const = 0;

  // A loss that should fall, once after each epoch. Only a plateau listens.
  virtual void observe(double /*loss*/) {}
  // What it has learnt from that, for checkpoints; empty where it is a function of the step alone.
  virtual std::vector<double> state() const { return {}; }
  // values: as many as state() has.
  virtual void restore(const std::vector<double>& /*values*/) {}
};

// word:
//   constant               rate and momentum stay
//   cosine                 rate (1 + cos(pi i / n)) / 2 (Loshchilov and Hutter 2017)
//   one-cycle              rate / 25 up to rate over the first 30 %, then down to rate / 25e4,
//                          along cosines, while the momentum goes from 0.95 to 0.85 and back (Smith
//                          and Topin 2018; PyTorch's OneCycleLR, which moves Adam's beta1, too)
//   triangular,up=S,base=B    from B (default 0) up to rate in S steps and back, again and again,
//                          the momentum from `momentum` down by 0.1, not below 0, and back likewise
//                          (Smith 2017; PyTorch's CyclicLR)
//                          down=S takes another number of steps for the way back
//   triangular2,up=S,base=B   the same, the height halved after each cycle
//   step,every=S,factor=F  times F (default 0.1) after every S steps
//   multi-step,at=A/B/C,factor=F   times F after each of these fractions of the training, between 0
//                          and 1 and rising
//   plateau,patience=P,factor=F    times F (default 0.1) once the loss has not fallen by a part in
//                          10,000 for more than P (default 2) epochs (PyTorch's ReduceLROnPlateau)
// All but one-cycle and the triangular ones, which rise by themselves, take warmup=S: over the
// first S steps the rate rises evenly from rate / S, and what is above counts from there (Goyal et
// al. 2017). Anything else: ValueError.
std::unique_ptr<Schedule> make_schedule(const std::string& word, double rate, double momentum);

}  // namespace slope::nn
