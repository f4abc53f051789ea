#include "nn/attack/square.h"

#include <algorithm>
#include <cmath>
#include <span>

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

// ---- L2 ----

double length_of(std::span<const double> d) {
  double sum = 0;
  for (const double v : d) sum += v * v;
  return std::sqrt(sum);
}

// Pyramids of rectangles around the middle, h x w row after row: how the change falls off.
void add_rectangles(int64_t h, int64_t w, double sign, double* to) {
  int64_t top = h / 2, left = w / 2;
  std::vector<double> hill(static_cast<size_t>(h * w), 0.0);
  for (int64_t k = 0; k < std::max(h / 2, w / 2) + 1; ++k, --top, --left) {
    for (int64_t y = std::max<int64_t>(top, 0); y < std::min(top + 2 * k + 1, h); ++y)
      for (int64_t x = std::max<int64_t>(left, 0); x < std::min(left + 2 * k + 1, w); ++x)
        hill[static_cast<size_t>(y * w + x)] += 1 / static_cast<double>((k + 1) * (k + 1));
  }
  const double length = length_of(hill);
  for (size_t i = 0; i < hill.size(); ++i) to[i] = sign * hill[i] / length;
}

// A rising and a falling hill side by side or one above the other, (side, side) of length 1.
std::vector<double> two_hills(int64_t side, bool beside) {
  std::vector<double> hills(static_cast<size_t>(side * side), 0.0);
  const int64_t upper = side / 2;
  if (upper > 0) add_rectangles(upper, side, 1, hills.data());
  add_rectangles(side - upper, side, -1, hills.data() + upper * side);
  const double length = length_of(hills);
  std::vector<double> result(hills.size());
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t x = 0; x < side; ++x)
      result[static_cast<size_t>(beside ? x * side + y : y * side + x)] =
          hills[static_cast<size_t>(y * side + x)] / length;
  }
  return result;
}

// The change of length eps in the direction of `change`, into the range.
void put_on_ball(Search& s, const double* clean, const std::vector<double>& change,
                 const SquareOptions& o) {
  const double scale = o.eps / (length_of(change) + 1e-12);
  s.trial.resize(change.size());
  for (size_t i = 0; i < change.size(); ++i)
    s.trial[i] = std::clamp(clean[i] + change[i] * scale, o.range.low, o.range.high);
}

void tiles(Search& s, const double* clean, const Picture& p, const SquareOptions& o) {
  const int64_t side = std::max<int64_t>(p.h / 5, 1), first = p.h < 5 ? 0 : p.h % 5 / 2;
  std::vector<double> change(static_cast<size_t>(p.size()), 0.0);
  for (int64_t top = first; top + side <= p.h; top += side) {
    for (int64_t left = first; left + side <= p.w; left += side) {
      const std::vector<double> hills = two_hills(side, s.random.uniform() > 0.5);
      for (int64_t c = 0; c < p.c; ++c) {
        const double sign = s.random.sign();
        for (int64_t i = 0; i < side * side; ++i)
          change[static_cast<size_t>(((top + i / side) * p.w + left + i % side) * p.c + c)] +=
              sign * hills[static_cast<size_t>(i)];
      }
    }
  }
  put_on_ball(s, clean, change, o);
}

void move_mass(Search& s, const double* clean, const Picture& p, int64_t side,
               const SquareOptions& o) {
  const auto place = [&](int64_t size) {
    return s.random.below(std::max<int64_t>(size - side, 1));
  };
  const int64_t top = place(p.h), left = place(p.w);    // gets
  const int64_t top2 = place(p.h), left2 = place(p.w);  // gives
  std::vector<double> change(s.best.size());
  for (size_t i = 0; i < change.size(); ++i) change[i] = s.best[i] - clean[i];
  const auto at = [&](int64_t y, int64_t x, int64_t c) {
    return static_cast<size_t>((y * p.w + x) * p.c + c);
  };
  double both = 0;  // squared length of the change in either window
  for (int64_t y = 0; y < p.h; ++y) {
    for (int64_t x = 0; x < p.w; ++x) {
      const bool one = y >= top && y < top + side && x >= left && x < left + side;
      const bool two = y >= top2 && y < top2 + side && x >= left2 && x < left2 + side;
      for (int64_t c = 0; c < p.c && (one || two); ++c)
        both += change[at(y, x, c)] * change[at(y, x, c)];
    }
  }
  const double whole = length_of(change);
  const double left_over = std::max(o.eps * o.eps - whole * whole, 0.0);
  const double length = std::sqrt(left_over / static_cast<double>(p.c) + both);
  const std::vector<double> hills = two_hills(side, s.random.uniform() > 0.5);
  std::vector<std::vector<double>> given;  // by channel
  for (int64_t c = 0; c < p.c; ++c) {
    std::vector<double> old;
    for (int64_t i = 0; i < side * side; ++i)
      old.push_back(change[at(top + i / side, left + i % side, c)]);
    const double sign = s.random.sign(), old_length = length_of(old) + 1e-12;
    for (size_t i = 0; i < old.size(); ++i) old[i] = sign * hills[i] + old[i] / old_length;
    const double scale = length / (length_of(old) + 1e-12);
    for (double& v : old) v *= scale;
    given.push_back(std::move(old));
  }
  for (int64_t c = 0; c < p.c; ++c) {
    for (int64_t i = 0; i < side * side; ++i) change[at(top2 + i / side, left2 + i % side, c)] = 0;
  }
  for (int64_t c = 0; c < p.c; ++c) {
    for (int64_t i = 0; i < side * side; ++i)
      change[at(top + i / side, left + i % side, c)] =
          given[static_cast<size_t>(c)][static_cast<size_t>(i)];
  }
  put_on_ball(s, clean, change, o);
}

// The side of the windows in L2: odd and at least 3, where the picture has room for that.
int64_t odd_side(int64_t side, const Picture& p) {
  side = std::max<int64_t>(side, 3);
  return std::min(side % 2 == 0 ? side + 1 : side, std::min(p.h, p.w));
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
  Ball{.eps = o.eps, .norm = o.norm, .range = o.range}.check("square");
  const bool flat = o.norm == AttackNorm::linf;
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
      const int64_t side = square_side(query, o.p, picture.h, picture.w);
      if (query == 0) {
        flat ? stripes(s, origin, picture, o) : tiles(s, origin, picture, o);
      } else if (flat) {
        window(s, origin, picture, side, o);
      } else {
        move_mass(s, origin, picture, odd_side(side, picture), o);
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
