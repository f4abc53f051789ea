#include "nn/attack/square.h"

#include <algorithm>
#include <cmath>

namespace slope::nn {
namespace {

struct Picture {
  int64_t h, w, c;
  int64_t size() const { return h * w * c; }
};

Picture picture_of(const Tensor& x) {
  if (x.rank() == 4) return {x.dim(1), x.dim(2), x.dim(3)};
  return {1, x.size() / std::max<int64_t>(x.dim(0), 1), 1};
}

// One sample's search, on the host.
struct Search {
  int64_t place;  // in the batch
  SampleRandom random;
  std::vector<double> best, trial;  // like the sample
  double loss;                      // of best: the margin, above 0 where the model is wrong
};

double into(double value, double clean, const SquareOptions& o) {
  return std::clamp(std::clamp(value, clean - o.eps, clean + o.eps), o.range.low, o.range.high);
}

void stripes(Search& s, const double* clean, const Picture& p, const SquareOptions& o) {
  s.trial.resize(static_cast<size_t>(p.size()));
  for (int64_t x = 0; x < p.w; ++x) {
    for (int64_t c = 0; c < p.c; ++c) {
      const double change = o.eps * s.random.sign();
      for (int64_t y = 0; y < p.h; ++y) {
        const int64_t at = (y * p.w + x) * p.c + c;
        s.trial[static_cast<size_t>(at)] = into(clean[at] + change, clean[at], o);
      }
    }
  }
}

// A window moves by 2 eps, which the ball cuts to one of its two sides.
void window(Search& s, const double* clean, const Picture& p, int64_t side,
            const SquareOptions& o) {
  s.trial = s.best;
  const int64_t top = s.random.below(std::max<int64_t>(p.h - side, 1));
  const int64_t left = s.random.below(std::max<int64_t>(p.w - side, 1));
  for (int64_t c = 0; c < p.c; ++c) {
    const double change = 2 * o.eps * s.random.sign();
    for (int64_t y = top; y < top + side; ++y) {
      for (int64_t x = left; x < left + side; ++x) {
        const int64_t at = (y * p.w + x) * p.c + c;
        double& value = s.trial[static_cast<size_t>(at)];
        value = into(value + change, clean[at], o);
      }
    }
  }
}

}  // namespace

int64_t square_side(int64_t query, double p, int64_t h, int64_t w) {
  for (const int64_t halved : {10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000})
    if (query > halved) p /= 2;
  const auto side = static_cast<int64_t>(
      std::lround(std::sqrt(p * static_cast<double>(h) * static_cast<double>(w))));
  return std::clamp<int64_t>(side, 1, std::min(h, w));
}

Tensor square(Target& target, const AttackSamples& samples, const SquareOptions& o) {
  Ball{.eps = o.eps, .range = o.range}.check("square");
  if (o.queries < 1)
    throw ValueError(concat("square: queries must be at least 1, got ", o.queries, "."));
  if (!(o.p > 0 && o.p <= 1))
    throw ValueError(concat("square: p must be above 0 and at most 1, got ", o.p, "."));
  const bool stop = target.options().stop_when_fooled;
  const Picture picture = picture_of(samples.x);
  const std::vector<double> clean = samples.x.values();
  std::vector<double> result = clean;
  const auto start_of = [&](int64_t place) { return place * picture.size(); };

  std::vector<Search> searches;
  std::vector<int64_t> places;
  for (int64_t i = 0; i < samples.size(); ++i) {
    searches.push_back(
        {.place = i,
         .random = SampleRandom(o.seed, stream(AttackStream::square), samples.number(i)),
         .best = {},
         .trial = {},
         .loss = 0});
    places.push_back(i);
  }
  AttackSamples now = samples.take(places);
  for (int64_t query = 0; query < o.queries && !searches.empty(); ++query) {
    std::vector<double> trials;
    trials.reserve(searches.size() * static_cast<size_t>(picture.size()));
    for (Search& s : searches) {
      const double* origin = clean.data() + start_of(s.place);
      if (query == 0) {
        stripes(s, origin, picture, o);
      } else {
        window(s, origin, picture, square_side(query, o.p, picture.h, picture.w), o);
      }
      trials.insert(trials.end(), s.trial.begin(), s.trial.end());
    }
    const Tensor x = tensor(trials, now.x.shape(), samples.x.dtype(), samples.x.device());
    const Target::Evaluation e = target.forward(x, now, AttackLoss::margin);
    std::vector<bool> done(searches.size(), false);
    for (size_t i = 0; i < searches.size(); ++i) {
      Search& s = searches[i];
      if (query == 0 || e.loss[i] > s.loss || e.fooled[i]) {
        s.best.swap(s.trial);
        s.loss = e.loss[i];
        std::copy(s.best.begin(), s.best.end(), result.begin() + start_of(s.place));
      }
      done[i] = stop && e.fooled[i];
    }
    const std::vector<int64_t> left = places_without(done);
    if (left.size() == searches.size()) continue;
    std::vector<Search> rest;
    for (const int64_t i : left) rest.push_back(std::move(searches[static_cast<size_t>(i)]));
    searches = std::move(rest);
    if (!left.empty()) now = now.take(left);
  }
  return tensor(result, samples.x.shape(), samples.x.dtype(), samples.x.device());
}

}  // namespace slope::nn
