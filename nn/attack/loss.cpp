#include "nn/attack/loss.h"

#include <limits>

#include "core/error.h"
#include "core/ops.h"

namespace slope::nn {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor mask_of(const Tensor& classes, const Tensor& logits) {
  return one_hot(classes, logits.dim(1), logits.dtype());
}
// z at one class per sample -> (N).
Tensor at(const Tensor& logits, const Tensor& mask) { return sum(select(mask, logits, 0.0), {1}); }

// Masks of the largest logits, one place after the other: (N, classes), 1 at the place.
class Descending {
 public:
  explicit Descending(const Tensor& logits) : logits_(logits), rest_(logits) {}
  Tensor next() {
    const Tensor mask = mask_of(argmax(rest_, 1), logits_);
    rest_ = select(mask, -kInfinity, rest_);
    return mask;
  }

 private:
  Tensor logits_, rest_;
};

}  // namespace

const char* name(AttackLoss loss) {
  switch (loss) {
    case AttackLoss::cross_entropy:
      return "ce";
    case AttackLoss::margin:
      return "cw";
    case AttackLoss::clipped_margin:
      return "cw-clipped";
    case AttackLoss::dlr:
      return "dlr";
    case AttackLoss::targeted_margin:
      return "cw-targeted";
    case AttackLoss::targeted_dlr:
      return "dlr-targeted";
    case AttackLoss::kl:
      return "kl";
  }
  return "";
}

bool targeted(AttackLoss loss) {
  return loss == AttackLoss::targeted_margin || loss == AttackLoss::targeted_dlr;
}

int64_t least_classes(AttackLoss loss) {
  return loss == AttackLoss::dlr ? 3 : loss == AttackLoss::targeted_dlr ? 4 : 2;
}

Tensor attack_loss(const Tensor& logits, const Tensor& labels, AttackLoss loss,
                   const Tensor& other) {
  if (logits.rank() != 2 || logits.dim(1) < least_classes(loss)) {
    throw ValueError(concat("attack: the loss ", name(loss),
                            " needs logits (N, classes) of at least ", least_classes(loss),
                            " classes, got ", describe(logits), ". Use loss=cw or loss=ce."));
  }
  if (loss == AttackLoss::cross_entropy)
    return cross_entropy(logits, labels, {.reduction = Reduction::none});
  if (loss == AttackLoss::kl) return divergence(other, logits);

  const Tensor own = mask_of(labels, logits);
  const Tensor rival = targeted(loss) ? mask_of(other, logits)
                                      : mask_of(argmax(select(own, -kInfinity, logits), 1), logits);
  const Tensor margin = at(logits, rival) - at(logits, own);
  if (loss == AttackLoss::margin || loss == AttackLoss::targeted_margin) return margin;
  if (loss == AttackLoss::clipped_margin) return select(margin < 0, margin, 0.0);

  Descending order(logits);
  const Tensor first = at(logits, order.next());
  order.next();
  Tensor low = at(logits, order.next());
  if (loss == AttackLoss::targeted_dlr) low = (low + at(logits, order.next())) * 0.5;
  return margin / (first - low + 1e-12);
}

Tensor divergence(const Tensor& clean, const Tensor& logits) {
  const Tensor log_p = log_softmax(clean);
  return sum(exp(log_p) * (log_p - log_softmax(logits)), {1});
}

}  // namespace slope::nn
