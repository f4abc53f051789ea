// What all attacks have in common, and what each does on models whose answer is known.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "nn/attack/apgd.h"
#include "nn/attack/autoattack.h"
#include "nn/attack/boundary.h"
#include "nn/attack/fgsm.h"
#include "nn/attack/noise.h"
#include "nn/attack/pgd.h"
#include "nn/attack/spsa.h"
#include "nn/attack/square.h"
#include "tests/core/test_values.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kClasses = 4;

// 4 x 4 pictures, 4 classes, one hidden layer; labels as the model has them.
struct Victim {
  Dtype dtype;
  Tensor w1, w2;
  AttackSamples samples;

  explicit Victim(Dtype type, int64_t n = 7) : dtype(type) {
    w1 = mixed({10, 16}, dtype, 1) * 0.7;
    w2 = mixed({kClasses, 10}, dtype, 2);
    samples.x = mixed({n, 4, 4, 1}, dtype, 3) * 0.25 + 0.5;
    samples.labels = argmax(model()(samples.x), 1);
  }
  AttackedModel model() const {
    return [this](const Tensor& x) {
      return linear(tanh(linear(x.reshape({x.dim(0), 16}), w1)), w2);
    };
  }
};

struct Named {
  const char* name;
  double eps;  // -1: none
  AttackNorm norm;
  std::function<Tensor(Target&, const AttackSamples&)> run;
};

std::vector<Named> all_attacks(double eps) {
  using enum AttackNorm;
  std::vector<Named> list{
      {"noise", -1, linf, [](Target&, const AttackSamples& s) { return gaussian_noise(s); }},
      {"uniform", eps, linf,
       [=](Target&, const AttackSamples& s) { return uniform_noise(s, {.eps = eps}); }},
      {"mixed noise", -1, linf, [](Target&, const AttackSamples& s) { return mixed_noise(s); }},
      {"pgd as in TRADES", eps, linf,
       [=](Target& t, const AttackSamples& s) {
         return pgd(t, s,
                    {.eps = eps,
                     .step = std::max(eps / 3, 0.01),
                     .iterations = 3,
                     .start = PgdStart::normal,
                     .last = true,
                     .loss = AttackLoss::kl});
       }},
      {"pgd on kl, the best", eps, linf,
       [=](Target& t, const AttackSamples& s) {
         return pgd(t, s,
                    {.eps = eps,
                     .step = std::max(eps / 3, 0.01),
                     .iterations = 3,
                     .restarts = 2,
                     .start = PgdStart::normal,
                     .loss = AttackLoss::kl});
       }},
      {"salt-pepper", -1, linf,
       [](Target&, const AttackSamples& s) { return salt_pepper_noise(s); }},
      {"fgsm-random", eps, linf,
       [=](Target& t, const AttackSamples& s) {
         return fgsm_random(t, s, {.eps = eps, .alpha = 1.25 * eps});
       }},
      {"fgsm-random, start unclipped", eps, linf,
       [=](Target& t, const AttackSamples& s) {
         return fgsm_random(t, s, {.eps = eps, .alpha = 1.25 * eps, .clip_start = false});
       }},
      {"deepfool", -1, l2, [](Target& t, const AttackSamples& s) { return deepfool(t, s, {}); }}};
  for (const AttackNorm norm : {linf, l2}) {
    list.push_back({"fgsm", eps, norm, [=](Target& t, const AttackSamples& s) {
                      return fgsm(t, s, {.eps = eps, .norm = norm});
                    }});
    list.push_back({"pgd", eps, norm, [=](Target& t, const AttackSamples& s) {
                      return pgd(t, s,
                                 {.eps = eps,
                                  .step = std::max(eps / 3, 0.01),
                                  .iterations = 5,
                                  .restarts = 2,
                                  .norm = norm});
                    }});
    for (const AttackLoss loss : {AttackLoss::cross_entropy, AttackLoss::dlr}) {
      list.push_back({"apgd", eps, norm, [=](Target& t, const AttackSamples& s) {
                        return apgd(t, s,
                                    {.eps = eps, .iterations = 9, .norm = norm, .loss = loss});
                      }});
    }
    list.push_back({"fab-t", eps, norm, [=](Target& t, const AttackSamples& s) {
                      return fab(t, s, {.eps = eps, .iterations = 5, .norm = norm});
                    }});
    list.push_back({"fab-t, restarts", eps, norm, [=](Target& t, const AttackSamples& s) {
                      return fab(t, s, {.eps = eps, .iterations = 3, .restarts = 3, .norm = norm});
                    }});
    list.push_back({"fab", eps, norm, [=](Target& t, const AttackSamples& s) {
                      return fab(t, s, {.eps = eps, .iterations = 5, .targets = 0, .norm = norm});
                    }});
    list.push_back({"square", eps, norm, [=](Target& t, const AttackSamples& s) {
                      return square(t, s, {.eps = eps, .queries = 40, .norm = norm});
                    }});
    list.push_back(
        {"spsa", eps, norm, [=](Target& t, const AttackSamples& s) {
           return spsa(t, s,
                       {.eps = eps, .step = 0.05, .iterations = 3, .directions = 4, .norm = norm});
         }});
    list.push_back({"autoattack", eps, norm, [=](Target& t, const AttackSamples& s) {
                      return autoattack(t, s,
                                        {.eps = eps, .norm = norm, .iterations = 6, .queries = 20});
                    }});
    list.push_back({"apgd-t", eps, norm, [=](Target& t, const AttackSamples& s) {
                      return apgd_targeted(t, s, {.eps = eps, .iterations = 5, .norm = norm});
                    }});
  }
  return list;
}

int64_t right(Target& target, const AttackSamples& s, const Tensor& x) {
  const std::vector<bool> fooled = target.forward(x, s).fooled;
  return std::count(fooled.begin(), fooled.end(), false);
}

}  // namespace

TEST_CASE("attacks: never leave their ball or the range of pixels") {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    const Victim victim(dtype);
    const Values clean = victim.samples.x.values();
    for (const double eps : {0.0, 0.02, 0.3, 1.0}) {
      for (const Named& attack : all_attacks(eps)) {
        CAPTURE(attack.name);
        CAPTURE(eps);
        for (const bool stop : {true, false}) {
          Target target(victim.model(), {.stop_when_fooled = stop});
          const Tensor x = attack.run(target, victim.samples);
          REQUIRE(x.shape() == victim.samples.x.shape());
          const Values after = x.values();
          const double slack = dtype == Dtype::f32 ? 1e-6 : 1e-14;
          for (size_t i = 0; i < 7; ++i) {
            double largest = 0, square = 0;
            for (size_t j = 16 * i; j < 16 * (i + 1); ++j) {
              REQUIRE((after[j] >= 0 && after[j] <= 1));
              largest = std::max(largest, std::abs(after[j] - clean[j]));
              square += (after[j] - clean[j]) * (after[j] - clean[j]);
            }
            if (attack.eps < 0) continue;
            const double size = attack.norm == AttackNorm::linf ? largest : std::sqrt(square);
            CHECK(size <= eps + slack);
          }
        }
      }
    }
  }
}

TEST_CASE("attacks: a sample's result depends neither on its batch nor on plans") {
  const Victim victim(Dtype::f32);
  for (const Named& attack : all_attacks(0.1)) {
    CAPTURE(attack.name);
    Target eager(victim.model()), planned(victim.model(), {.plan = true});
    const Values whole = attack.run(eager, victim.samples).values();
    CHECK(attack.run(planned, victim.samples).values() == whole);
    Values parts;
    for (const std::vector<int64_t>& places : {std::vector<int64_t>{0, 1, 2}, {3}, {4, 5, 6}}) {
      const Values part = attack.run(planned, victim.samples.take(places)).values();
      parts.insert(parts.end(), part.begin(), part.end());
    }
    CHECK(parts == whole);
  }
}

TEST_CASE("attacks: a model without defence falls, and more steps are never weaker") {
  const Victim victim(Dtype::f64, 40);
  Target target(victim.model());
  const AttackSamples& s = victim.samples;
  CHECK(right(target, s, s.x) == 40);
  int64_t before = 40;
  for (const int64_t iterations : {1, 2, 4, 8, 16}) {
    const int64_t now =
        right(target, s, pgd(target, s, {.eps = 0.1, .step = 0.02, .iterations = iterations}));
    CHECK(now <= before);
    before = now;
  }
  CHECK(right(target, s, pgd(target, s, {.eps = 0.5, .step = 0.05, .iterations = 40})) == 0);
  CHECK(right(target, s, apgd(target, s, {.eps = 0.5})) == 0);
  CHECK(right(target, s, apgd_targeted(target, s, {.eps = 0.5})) == 0);
  CHECK(right(target, s, fab(target, s, {.eps = 0.5})) == 0);
  CHECK(right(target, s, square(target, s, {.eps = 0.5, .queries = 1000})) == 0);
  CHECK(right(target, s, spsa(target, s, {.eps = 0.5, .step = 0.05, .directions = 16})) == 0);
  CHECK(right(target, s, deepfool(target, s, {})) == 0);
  CHECK(right(target, s, autoattack(target, s, {.eps = 0.5})) == 0);
  using enum AttackNorm;
  CHECK(right(target, s, fab(target, s, {.eps = 2, .norm = l2})) == 0);
  CHECK(right(target, s, square(target, s, {.eps = 2, .queries = 2000, .norm = l2})) == 0);
  CHECK(right(target, s, spsa(target, s, {.eps = 2, .step = 0.2, .directions = 16, .norm = l2})) ==
        0);
  CHECK(right(target, s, autoattack(target, s, {.eps = 2, .norm = l2})) == 0);
}

TEST_CASE("fgsm-random: its start is brought into the range, or only its result is") {
  const Victim victim(Dtype::f64);
  const AttackSamples& s = victim.samples;
  for (const bool clip_start : {true, false}) {
    const FgsmRandomOptions options{.eps = 0.3, .alpha = 0.375, .clip_start = clip_start};
    std::vector<Values> seen;
    Target target([&](const Tensor& x) {
      seen.push_back(x.values());
      return victim.model()(x);
    });
    const Tensor x = fgsm_random(target, s, options), start = fgsm_random_start(s, options);
    REQUIRE(seen.size() == 1);
    CHECK(seen[0] == start.values());
    CHECK((min(start).item() < 0 && max(start).item() > 1) == !clip_start);
    const Tensor u = fgsm_random_start(s, {.eps = 0.3, .clip_start = false}) - s.x;
    CHECK(max(abs(u)).item() <= 0.3);
    CHECK(max(abs(clamp(s.x + u, 0.0, 1.0) - clamp(start, 0.0, 1.0))).item() < 1e-15);
    const Tensor g = input_gradient(victim.model(), start, s.labels);
    const Tensor moved = clamp(start + sign(g) * 0.375 - s.x, -0.3, 0.3);
    check_close(x, clamp(s.x + moved, 0.0, 1.0).values(), 1e-15);
  }
}

TEST_CASE("targets: tell of each pass, and of the part of autoattack that it belongs to") {
  const Victim victim(Dtype::f32);
  std::map<std::string, int64_t> told;
  int64_t last = 0;
  Target target(victim.model(),
                {.tell = [&](const std::string& part, int64_t passes, int64_t samples) {
                  ++told[part];
                  CHECK(passes == last + 1);
                  CHECK(samples <= 7);
                  last = passes;
                }});
  autoattack(target, victim.samples, {.eps = 0.01, .iterations = 5, .queries = 10});
  for (const char* part : {"", "apgd-ce", "apgd-t", "fab-t", "square"}) CHECK(told[part] > 0);
}

TEST_CASE("attack_loss: values by hand, gradients by differences") {
  const Tensor z = tensor({3, 1, 0.5, -1, 0, 2, 5, 1}, {2, 4}, Dtype::f64);
  const Tensor y = from_host(std::vector<int32_t>{0, 1}, {2});
  const Tensor t = from_host(std::vector<int32_t>{2, 0}, {2});
  check_close(attack_loss(z, y, AttackLoss::margin), {-2, 3}, 1e-15);
  check_close(attack_loss(z, y, AttackLoss::clipped_margin), {-2, 0}, 1e-15);
  check_close(attack_loss(z, y, AttackLoss::dlr), {-2 / 2.5, 3 / 4.0}, 1e-12);
  check_close(attack_loss(z, y, AttackLoss::targeted_margin, t), {-2.5, -2}, 1e-15);
  check_close(attack_loss(z, y, AttackLoss::targeted_dlr, t), {-2.5 / 3.25, -2 / 4.5}, 1e-12);
  for (const AttackLoss loss : {AttackLoss::margin, AttackLoss::dlr, AttackLoss::targeted_dlr}) {
    const auto logits = [](const Tensor& x) { return x; };
    Target target(logits);
    const auto e = target.evaluate(z, {.x = z, .labels = y}, loss, {2, 0});
    check_close(e.gradient,
                numeric_gradient(
                    [&](const Tensor& x) { return sum(attack_loss(x, y, loss, t)).item(); }, z),
                1e-8);
  }
  CHECK(contains(message_of<ValueError>(
                     [&] { attack_loss(slice(z, 1, 0, 3), y, AttackLoss::targeted_dlr, t); }),
                 "at least 4 classes"));
}

TEST_CASE("apgd and square: their schedules") {
  CHECK(apgd_checkpoints(100) == std::vector<int64_t>{22, 41, 57, 70, 80, 87, 93, 99});
  CHECK(apgd_checkpoints(1) == std::vector<int64_t>{1});
  CHECK(square_side(0, 0.8, 28, 28) == 25);
  CHECK(square_side(10, 0.8, 28, 28) == 25);
  CHECK(square_side(11, 0.8, 28, 28) == 18);
  CHECK(square_side(9000, 0.8, 28, 28) == 1);
}

TEST_CASE("step_to_plane: the shortest way inside the range") {
  const double x[] = {0.5, 0.5, 0.9}, w[] = {1, -2, 1};
  const Range pixels;
  // Nobody meets the end of the range: all move by |value| / sum |w|.
  Values d = step_to_plane(x, w, -0.2, 3, pixels);
  CHECK(d[0] == doctest::Approx(0.05));
  CHECK(d[1] == doctest::Approx(-0.05));
  CHECK(d[2] == doctest::Approx(0.05));
  // The third ends at 1 after 0.1; the others share what is left: 3 t + 0.1 = 1.
  d = step_to_plane(x, w, -1, 3, pixels);
  CHECK(d[0] == doctest::Approx(0.3));
  CHECK(d[1] == doctest::Approx(-0.3));
  CHECK(d[2] == doctest::Approx(0.1));
  // L2: along w, by |value| / |w|; then the third has no more room.
  d = step_to_plane(x, w, -0.3, 3, pixels, AttackNorm::l2);
  CHECK(d[0] == doctest::Approx(0.05));
  CHECK(d[1] == doctest::Approx(-0.1));
  CHECK(d[2] == doctest::Approx(0.05));
  d = step_to_plane(x, w, -1.1, 3, pixels, AttackNorm::l2);  // 5 t + 0.1
  CHECK(d[0] == doctest::Approx(0.2));
  CHECK(d[1] == doctest::Approx(-0.4));
  CHECK(d[2] == doctest::Approx(0.1));
  // Out of reach: as far as it goes.
  d = step_to_plane(x, w, -9, 3, pixels);
  CHECK(d[0] == doctest::Approx(0.5));
  CHECK(d[1] == doctest::Approx(-0.5));
}

TEST_CASE("fab and deepfool: on a linear model they come to the exact distance") {
  // Two classes, z_1 - z_0 = <w, x> + b.
  const Tensor w = tensor({0, 0, 0, 3, -4, 0.5}, {2, 3}, Dtype::f64);
  const auto logits = [&](const Tensor& x) { return linear(x, w); };
  const Range anywhere{-kInfinity, kInfinity};
  AttackSamples s{.x = tensor({-1, 0.5, 0.2}, {1, 3}, Dtype::f64),
                  .labels = from_host(std::vector<int32_t>{0}, {1})};
  const double value = 3 + 2 - 0.1;  // how far below zero z_1 - z_0 is
  Target target(logits);
  const Values fabbed = (fab(target, s, {.eps = 10, .range = anywhere}) - s.x).values();
  CHECK(std::abs(fabbed[0]) == doctest::Approx(value / 7.5).epsilon(0.02));
  const Tensor moved = deepfool(target, s, {.range = anywhere}) - s.x;
  CHECK(norm(moved).item() == doctest::Approx(value / std::sqrt(25.25)).epsilon(0.03));
  CHECK(right(target, s, s.x + moved) == 0);
}

// z_1 - z_0 is flat around the clean sample, so that nothing leads away from there.
TEST_CASE("fab: a restart begins elsewhere") {
  Target target([](const Tensor& x) {
    const Tensor z = relu(abs(x - 0.5) - 0.05) * 10 - 1;
    return concatenate({zeros_like(z), z}, 1);
  });
  const AttackSamples s{.x = full({1, 1}, 0.5, Dtype::f64),
                        .labels = from_host(std::vector<int32_t>{0}, {1})};
  for (const AttackNorm norm : {AttackNorm::linf, AttackNorm::l2}) {
    FabOptions options{.eps = 0.3, .iterations = 20, .norm = norm};
    CHECK(fab(target, s, options).values() == Values{0.5});
    options.restarts = 2;
    const double moved = std::abs(fab(target, s, options).item() - 0.5);
    CHECK(moved >= 0.15);
    CHECK(moved < 0.16);
  }
}

TEST_CASE("noise: its laws") {
  const AttackSamples s{.x = full({50, 20, 20, 2}, 0.5, Dtype::f64),
                        .labels = from_host(std::vector<int32_t>(50, 0), {50})};
  const Tensor gauss = gaussian_noise(s, {.sigma = 0.1}) - 0.5;
  CHECK(std::abs(mean(gauss).item()) < 0.002);
  CHECK(std::sqrt(mean(square(gauss)).item()) == doctest::Approx(0.1).epsilon(0.01));
  const Tensor flat = uniform_noise(s, {.eps = 0.3}) - 0.5;
  CHECK(mean(square(flat)).item() == doctest::Approx(0.03).epsilon(0.02));
  const Tensor pepper = salt_pepper_noise(s, {.p = 0.2});
  CHECK(mean(equal(pepper, full_like(pepper, 0))).item() == doctest::Approx(0.1).epsilon(0.1));
  CHECK(mean(equal(pepper, full_like(pepper, 1))).item() == doctest::Approx(0.1).epsilon(0.1));
  // A pixel is hit as a whole.
  CHECK(max(abs(slice(pepper, 3, 0, 1) - slice(pepper, 3, 1, 2))).item() == 0);
  // A share of the samples, each of one of the sigmas.
  const AttackSamples many{.x = full({3000, 30}, 0.5, Dtype::f64),
                           .labels = from_host(std::vector<int32_t>(3000, 0), {3000})};
  const Tensor mixed = mixed_noise(many, {.sigmas = {0.01, 0.1}, .share = 0.6}) - 0.5;
  int64_t none = 0, small = 0;
  for (const double length : norm(mixed, {1}).values()) {
    none += length == 0;
    small += length > 0 && length < 0.17;  // 0.055 or 0.55 in the mean
  }
  CHECK(static_cast<double>(none) / 3000 == doctest::Approx(0.4).epsilon(0.07));
  CHECK(static_cast<double>(small) / 3000 == doctest::Approx(0.3).epsilon(0.09));
  CHECK(contains(message_of<ValueError>([&] { mixed_noise(s, {.sigmas = {0.1, -1}}); }), "got -1"));
  CHECK(contains(message_of<ValueError>([&] { mixed_noise(s, {.share = 2}); }), "from 0 to 1"));
  CHECK(gaussian_noise(s, {.seed = 1}).values() != gaussian_noise(s, {.seed = 2}).values());
}

TEST_CASE("targets: zero and broken gradients are noticed, draws are averaged") {
  const Tensor x = full({2, 3}, 0.5, Dtype::f64);
  const AttackSamples s{
      .x = x, .labels = from_host(std::vector<int32_t>{0, 0}, {2}), .numbers = {8, 9}};
  Target flat([](const Tensor& v) { return floor(v * 0.1) + tensor({1, 0, 0}, Dtype::f64); });
  flat.evaluate(x, s, AttackLoss::cross_entropy);
  CHECK(flat.notes().zero_gradient == std::set<int64_t>{8, 9});
  Target broken([](const Tensor& v) {
    return v * tensor({1, NAN, 1, 1, 1, 1}, {2, 3}, Dtype::f64);
  });
  const auto e = broken.evaluate(x, s, AttackLoss::cross_entropy);
  CHECK(broken.notes().not_finite == std::set<int64_t>{8});
  CHECK(e.fooled[0]);
  CHECK(sum(is_finite(e.gradient)).item() == 6);
  // A model that is 2 x in one pass and 4 x in the next.
  int pass = 0;
  Target random([&](const Tensor& v) { return v * (pass++ % 2 ? 4.0 : 2.0); }, {.draws = 2});
  const auto mean = random.evaluate(x, s, AttackLoss::targeted_margin, {1, 2});
  check_close(slice(mean.gradient, 0, 0, 1), {-3, 3, 0}, 1e-14);
  CHECK(mean.logits[0][0] == doctest::Approx(1.5));
}

// Logits as they should be, gradients NaN: the root of 0 has none.
TEST_CASE("attacks: a gradient that is not a number moves nothing, and is told") {
  const Victim victim(Dtype::f64);
  const auto broken = [&](const Tensor& x) {
    return victim.model()(x) + sum(sqrt(x.reshape({x.dim(0), 16}) * 0.0), {1}, true) * 0.0;
  };
  for (const Named& attack : all_attacks(0.1)) {
    const std::string name = attack.name;
    CAPTURE(name);
    Target target(broken);
    const Values after = attack.run(target, victim.samples).values();
    for (const double v : after) REQUIRE((v >= 0 && v <= 1));
    const bool climbs = name.starts_with("fgsm") || name.find("pgd") != std::string::npos ||
                        name.starts_with("fab") || name == "deepfool" || name == "autoattack";
    CHECK(target.notes().not_finite.empty() == !climbs);
    if (name == "fgsm" || name == "deepfool") CHECK(after == victim.samples.x.values());
  }
}

TEST_CASE("attacks: what they refuse") {
  const Victim v(Dtype::f32);
  Target t(v.model());
  const AttackSamples& s = v.samples;
  CHECK(message_of<ValueError>([&] { pgd(t, s, {.eps = -1}); }) ==
        "pgd: eps must not be negative, got -1.");
  CHECK(contains(message_of<ValueError>([&] { square(t, s, {.eps = 1.5}); }), "write 8/255"));
  CHECK(contains(message_of<ValueError>([&] { pgd(t, s, {.iterations = 0}); }), "at least 1"));
  CHECK(contains(message_of<ValueError>([&] { apgd(t, s, {.iterations = 0}); }), "at least 1"));
  CHECK(contains(message_of<ValueError>([&] { fab(t, s, {.iterations = 0}); }), "at least 1"));
  CHECK(contains(message_of<ValueError>([&] { deepfool(t, s, {.iterations = 0}); }), "at least 1"));
  CHECK(contains(message_of<ValueError>([&] { square(t, s, {.queries = 0}); }), "at least 1"));
  CHECK(contains(message_of<ValueError>([&] { spsa(t, s, {.iterations = 0}); }), "at least 1"));
  CHECK(
      contains(message_of<ValueError>([&] { autoattack(t, s, {.iterations = 0}); }), "at least 1"));
  CHECK(contains(message_of<ValueError>([&] { Target(v.model(), {.draws = 0}); }), "draws"));
}
