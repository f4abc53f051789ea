#include "nn/sequential.h"

#include "core/ops/movement.h"
#include "core/ops/pointwise.h"

namespace slope::nn {

Sequential& Sequential::add(const std::string& name, std::unique_ptr<Layer> layer) {
  layers_.push_back(std::move(layer));
  add_child(name, *layers_.back());
  return *this;
}

Tensor Sequential::forward(const Tensor& x, Pass& pass) const {
  Tensor y = x;
  for (const auto& layer : layers_) y = layer->forward(y, pass);
  return y;
}

Tensor Flatten::forward(const Tensor& x, Pass&) const {
  return traced([&] {
    if (x.rank() != 4) {
      throw ShapeError(concat("flatten: x must be (N, H, W, C), got ", slope::describe(x), "."));
    }
    return permute(x, {0, 3, 1, 2}).reshape({x.dim(0), x.dim(1) * x.dim(2) * x.dim(3)});
  });
}

static std::string pool_text(const char* what, const PoolOptions& o) {
  const auto pair = [](const Pair& p) { return concat(p[0], "x", p[1]); };
  const bool padded = o.padding[0] > 0 || o.padding[1] > 0;
  return concat(what, " ", pair(o.window), ", stride ", pair(o.stride),
                padded ? ", padding " + pair(o.padding) : "");
}

Tensor MaxPool2d::forward(const Tensor& x, Pass&) const {
  return traced([&] { return max_pool2d(x, options_); });
}
std::string MaxPool2d::describe() const { return pool_text("MaxPool2d", options_); }

Tensor AveragePool2d::forward(const Tensor& x, Pass&) const {
  return traced([&] { return average_pool2d(x, options_); });
}
std::string AveragePool2d::describe() const { return pool_text("AveragePool2d", options_); }

Tensor GlobalAveragePool::forward(const Tensor& x, Pass&) const {
  return traced([&] { return global_average_pool(x); });
}

Normalize::Normalize(std::vector<double> mean, std::vector<double> std)
    : mean_(std::move(mean)), std_(std::move(std)) {
  bool sound = mean_.size() == std_.size() && !mean_.empty();
  for (const double s : std_) sound &= s > 0;
  if (!sound) {
    throw ValueError(concat("normalize: needs one mean and one std above 0 for each channel, got ",
                            mean_.size(), " and ", std_.size(), "."));
  }
}

Tensor Normalize::forward(const Tensor& x, Pass&) const {
  return traced([&] {
    const Shape channels{static_cast<int64_t>(mean_.size())};
    return (x - tensor(mean_, channels, x.dtype(), x.device())) /
           tensor(std_, channels, x.dtype(), x.device());
  });
}

std::string Normalize::describe() const {
  std::string text = "Normalize, mean";
  for (const double m : mean_) text += concat(" ", m);
  text += ", std";
  for (const double s : std_) text += concat(" ", s);
  return text;
}

Dropout::Dropout(double probability) : probability_(probability) {
  if (!(probability >= 0 && probability < 1))
    throw ValueError(concat("dropout: the probability must be in [0, 1), got ", probability, "."));
}

Tensor Dropout::forward(const Tensor& x, Pass& pass) const {
  if (!pass.training || probability_ == 0) return x;
  return traced([&] {
    const Tensor kept = greater_equal(uniform(pass.next_key(), x.shape(), x.dtype()),
                                      full({}, probability_, x.dtype(), x.device()));
    return x * kept * (1 / (1 - probability_));
  });
}

}  // namespace slope::nn
