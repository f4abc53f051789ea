"""Cases of softmax and the losses, all averaged over everything."""

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
    """logits: (N, classes), labels: (N) int32 -> ()."""
    for variant, logits, labels, smoothing in [
        ("digits", normal(6, 10), integers(0, 10, 6), 0.0),
        ("two_classes", normal(5, 2), integers(0, 2, 5), 0.0),
        ("steep", given(STEEP), given([1, 0, 2], torch.int32), 0.0),
        ("smoothed", normal(6, 10), integers(0, 10, 6), 0.1),
        ("smoothed_two_classes", normal(5, 2), integers(0, 2, 5), 0.1),
    ]:
        cases.add(
            f"cross_entropy.{variant}",
            lambda x, y, s=smoothing: F.cross_entropy(x, y.long(), label_smoothing=s),
            [logits, labels],
            label_smoothing=smoothing,
        )


def others(cases):
    """x and target of one shape -> ()."""
    bce = F.binary_cross_entropy_with_logits
    name = "binary_cross_entropy_with_logits"
    cases.add(
        f"{name}.hard_labels",
        bce,
        [normal(3, 4), lambda g: integers(0, 2, 3, 4)(g).double()],
        constant=(1,),
    )
    cases.add(f"{name}.soft_labels", bce, [normal(5), uniform(0, 1, 5)], constant=(1,))
    cases.add(
        f"{name}.steep",
        bce,
        [given([-800.0, -40.0, 40.0, 800.0]), given([1.0, 0.0, 1.0, 0.0])],
        constant=(1,),
    )
    cases.add("mse_loss.matrix", F.mse_loss, [normal(3, 4), normal(3, 4)])
    cases.add("mse_loss.vector", F.mse_loss, [normal(5), normal(5)])


def add_all(cases):
    softmax(cases)
    cross_entropy(cases)
    others(cases)
