// Learning rate schedules: the numbers of step i of n, as plain doubles.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

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
};

// word:
//   constant               rate and momentum stay
//   cosine                 rate (1 + cos(pi i / n)) / 2 (Loshchilov and Hutter 2017)
//   one-cycle              rate / 25 up to rate over the first 30 %, then down to rate / 25e4,
//   along cosines, while the
//                          momentum goes from 0.95 to 0.85 and back (Smith and Topin 2018;
//                          PyTorch's OneCycleLR)
//   triangular2,base=B,up=S   from B up to rate in S steps and back, the height halved each cycle,
//   the momentum from
//                          `momentum` down by 0.1 and back likewise (Smith 2017; PyTorch's
//                          CyclicLR)
//   multi-step,at=A/B/C,factor=F   times F (default 0.1) after each of these fractions of the
//   training
// Anything else: ValueError.
std::unique_ptr<Schedule> make_schedule(const std::string& word, double rate, double momentum);

}  // namespace slope::nn
