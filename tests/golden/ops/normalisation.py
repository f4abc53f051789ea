"""Cases of batch, group, layer and instance normalisation."""

import torch.nn.functional as F

from .cases import nchw, nhwc, normal, uniform

EPS = 1e-5


def channels_first(x):
    """(N, .., C) -> (N, C, ..)."""
    return x.movedim(-1, 1)


def channels_last(x):
    """(N, C, ..) -> (N, .., C)."""
    return x.movedim(1, -1)


def batch_norm(cases):
    """x: (N, .., C), weight: (C), bias: (C), running mean: (C), running variance: (C).

    Training: out1, out2 are the batch's mean and variance (divided by the count n), out3, out4 the
    running statistics after the update, whose variance is divided by n - 1. Gradients are out0's.
    """

    def train(x, weight, bias, mean, variance):
        new_mean, new_variance = mean.clone(), variance.clone()
        y = F.batch_norm(channels_first(x), new_mean, new_variance, weight, bias, True, 0.1, EPS)
        axes = tuple(range(x.dim() - 1))
        return channels_last(y), x.mean(axes), x.var(axes, correction=0), new_mean, new_variance

    def evaluate(x, weight, bias, mean, variance):
        return channels_last(
            F.batch_norm(channels_first(x), mean, variance, weight, bias, False, 0.1, EPS)
        )

    for variant, shape in [
        ("images", (3, 2, 4, 3)),
        ("vectors", (5, 4)),
        ("one_image", (1, 3, 3, 2)),
    ]:
        c = shape[-1]
        inputs = [normal(*shape), normal(c), normal(c), normal(c), uniform(0.5, 2, c)]
        cases.add(
            f"batch_norm.train_{variant}",
            train,
            inputs,
            constant=(3, 4),
            training=True,
            eps=EPS,
            momentum=0.1,
        )
        cases.add(
            f"batch_norm.evaluate_{variant}",
            evaluate,
            inputs,
            constant=(3, 4),
            training=False,
            eps=EPS,
            momentum=0.1,
        )


def group_norm(cases):
    """x: (N, .., C), weight: (C), bias: (C)."""
    for variant, shape, groups in [
        ("pairs", (2, 3, 3, 6), 3),
        ("one_group", (2, 2, 3, 4), 1),
        ("each_channel", (2, 3, 2, 4), 4),
        ("odd_size", (1, 5, 3, 10), 2),
        ("sequence", (2, 5, 4), 2),
        ("vectors", (3, 8), 2),
    ]:

        def norm(x, weight=None, bias=None, groups=groups):
            return channels_last(F.group_norm(channels_first(x), groups, weight, bias, EPS))

        c = shape[-1]
        cases.add(
            f"group_norm.{variant}",
            norm,
            [normal(*shape), normal(c), normal(c)],
            groups=groups,
            eps=EPS,
        )
    cases.add(
        "group_norm.plain",
        lambda x: channels_last(F.group_norm(channels_first(x), 2, eps=EPS)),
        [normal(2, 3, 3, 4)],
        groups=2,
        eps=EPS,
    )
    # A large mean, a small spread: a variance taken as E[x^2] - E[x]^2 loses half its digits.
    cases.add(
        "group_norm.shifted",
        lambda x: channels_last(F.group_norm(channels_first(x), 2, eps=EPS)),
        [uniform(1000.0, 1000.5, 2, 3, 3, 4)],
        groups=2,
        eps=EPS,
    )


def layer_norm(cases):
    """Over the last `axes` axes of x; weight and bias have their shape."""
    for variant, shape, axes in [
        ("last", (4, 7), 1),
        ("sequence", (2, 3, 5), 1),
        ("image", (2, 3, 2, 4), 3),
    ]:
        over = shape[-axes:]
        cases.add(
            f"layer_norm.{variant}",
            lambda x, w, b, o=over: F.layer_norm(x, o, w, b, EPS),
            [normal(*shape), normal(*over), normal(*over)],
            axes=axes,
            eps=EPS,
        )
        cases.add(
            f"layer_norm.{variant}_plain",
            lambda x, o=over: F.layer_norm(x, o, eps=EPS),
            [normal(*shape)],
            axes=axes,
            eps=EPS,
        )


def instance_norm(cases):
    """x: (N, H, W, C): statistics of each image's channel; weight: (C), bias: (C)."""
    cases.add(
        "instance_norm.affine",
        lambda x, w, b: nhwc(F.instance_norm(nchw(x), weight=w, bias=b, eps=EPS)),
        [normal(2, 3, 4, 3), normal(3), normal(3)],
        eps=EPS,
    )
    cases.add(
        "instance_norm.plain",
        lambda x: nhwc(F.instance_norm(nchw(x), eps=EPS)),
        [normal(2, 3, 4, 3)],
        eps=EPS,
    )


def add_all(cases):
    batch_norm(cases)
    group_norm(cases)
    layer_norm(cases)
    instance_norm(cases)
