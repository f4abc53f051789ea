"""Cases of softmax and the losses."""

import torch
import torch.nn.functional as F

from .cases import given, integers, normal, uniform

STEEP = [[800.0, -800.0, 0.0], [1e4, 1e4, 0.0], [-1e4, -1e4 + 3, -1e4 + 1]]


def softmax(cases):
    for name, function in [("softmax", F.softmax), ("log_softmax", F.log_softmax)]:
        for variant, shape, axis in [
            ("last", (4, 5), 1),
            ("first", (4, 5), 0),
            ("middle", (2, 3, 4), 1),
            ("one_class", (3, 1), 1),
        ]:
            cases.add(
                f"{name}.{variant}",
                lambda x, f=function, a=axis: f(x, a),
                [normal(*shape)],
                axis=axis,
            )
        cases.add(f"{name}.steep", lambda x, f=function: f(x, 1), [given(STEEP)], axis=1)


def cross_entropy(cases):
    """logits: (N, classes), labels: (N) int32 -> (); with reduction "none" (N)."""
    for variant, logits, labels, smoothing, reduction in [
        ("digits", normal(6, 10), integers(0, 10, 6), 0.0, "mean"),
        ("two_classes", normal(5, 2), integers(0, 2, 5), 0.0, "mean"),
        ("steep", given(STEEP), given([1, 0, 2], torch.int32), 0.0, "mean"),
        ("smoothed", normal(6, 10), integers(0, 10, 6), 0.1, "mean"),
        ("smoothed_two_classes", normal(5, 2), integers(0, 2, 5), 0.1, "mean"),
        ("sum", normal(4, 3), integers(0, 3, 4), 0.0, "sum"),
        ("each", normal(4, 3), integers(0, 3, 4), 0.0, "none"),
        ("each_smoothed", normal(4, 3), integers(0, 3, 4), 0.1, "none"),
    ]:
        cases.add(
            f"cross_entropy.{variant}",
            lambda x, y, s=smoothing, r=reduction: F.cross_entropy(
                x, y.long(), label_smoothing=s, reduction=r
            ),
            [logits, labels],
            label_smoothing=smoothing,
            reduction=reduction,
        )


def elementwise(cases):
    """x and target of one shape -> (); with reduction "none" that shape."""
    bce, mse = F.binary_cross_entropy_with_logits, F.mse_loss
    for variant, x, target, reduction in [
        ("hard_labels", normal(3, 4), lambda g: integers(0, 2, 3, 4)(g).double(), "mean"),
        ("soft_labels", normal(5), uniform(0, 1, 5), "mean"),
        ("steep", given([-800.0, -40.0, 40.0, 800.0]), given([1.0, 0.0, 1.0, 0.0]), "mean"),
        ("sum", normal(5), uniform(0, 1, 5), "sum"),
        ("each", normal(5), uniform(0, 1, 5), "none"),
    ]:
        cases.add(
            f"binary_cross_entropy_with_logits.{variant}",
            lambda x, y, r=reduction: bce(x, y, reduction=r),
            [x, target],
            constant=(1,),
            reduction=reduction,
        )
    for variant, shape, reduction in [
        ("matrix", (3, 4), "mean"),
        ("vector", (5,), "mean"),
        ("sum", (3, 4), "sum"),
        ("each", (3, 4), "none"),
    ]:
        cases.add(
            f"mean_squared_error.{variant}",
            lambda x, y, r=reduction: mse(x, y, reduction=r),
            [normal(*shape), normal(*shape)],
            reduction=reduction,
        )


def add_all(cases):
    softmax(cases)
    cross_entropy(cases)
    elementwise(cases)
