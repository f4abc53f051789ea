"""Cases of matrix products, linear layers, convolutions and pooling."""

import torch
import torch.nn.functional as F

from .cases import distinct, nchw, nhwc, normal


def matmul(cases):
    """Shapes are as passed; transpose_a and transpose_b swap an argument's last two axes first."""
    for variant, a, b, ta, tb in [
        ("plain", (3, 4), (4, 5), False, False),
        ("right_transposed", (3, 4), (5, 4), False, True),
        ("left_transposed", (4, 3), (4, 5), True, False),
        ("both_transposed", (4, 3), (5, 4), True, True),
        ("one_row", (1, 6), (6, 5), False, False),
        ("one_column", (3, 6), (6, 1), False, False),
        ("outer", (3, 1), (1, 4), False, False),
        ("longer", (5, 37), (37, 9), False, False),
        ("batched", (2, 3, 4), (2, 4, 5), False, False),
        ("batched_right_transposed", (2, 3, 4), (2, 5, 4), False, True),
        ("batched_left_transposed", (2, 4, 3), (2, 4, 5), True, False),
        ("batched_both_transposed", (2, 4, 3), (2, 5, 4), True, True),
        ("two_batch_axes", (2, 3, 2, 4), (2, 3, 4, 2), False, False),
    ]:

        def product(a, b, ta=ta, tb=tb):
            return torch.matmul(a.mT if ta else a, b.mT if tb else b)

        cases.add(
            f"matmul.{variant}", product, [normal(*a), normal(*b)], transpose_a=ta, transpose_b=tb
        )


def linear(cases):
    """x: (N, in), w: (out, in), b: (out)."""
    for variant, n, inner, out in [
        ("small", 4, 3, 5),
        ("one_sample", 1, 7, 2),
        ("wide", 3, 33, 10),
    ]:
        cases.add(
            f"linear.{variant}", F.linear, [normal(n, inner), normal(out, inner), normal(out)]
        )
        cases.add(
            f"linear.{variant}_without_bias", F.linear, [normal(n, inner), normal(out, inner)]
        )


def conv2d(cases):
    """x: (N, H, W, C), w: (K, R, S, C / groups), b: (K) -> (N, H', W', K)."""
    for variant, x, w, bias, stride, padding, dilation, groups in [
        ("plain", (2, 5, 5, 3), (4, 3, 3, 3), False, [1, 1], [0, 0], [1, 1], 1),
        ("bias", (2, 5, 5, 3), (4, 3, 3, 3), True, [1, 1], [0, 0], [1, 1], 1),
        ("same", (2, 4, 5, 3), (4, 3, 3, 3), True, [1, 1], [1, 1], [1, 1], 1),
        ("down", (2, 6, 7, 2), (3, 4, 4, 2), True, [2, 2], [1, 1], [1, 1], 1),
        ("one_channel", (2, 6, 6, 1), (5, 3, 3, 1), True, [1, 1], [0, 0], [1, 1], 1),
        ("pointwise", (2, 3, 3, 5), (4, 1, 1, 5), True, [1, 1], [0, 0], [1, 1], 1),
        ("pointwise_stride", (2, 5, 5, 3), (4, 1, 1, 3), False, [2, 2], [0, 0], [1, 1], 1),
        ("asymmetric", (1, 6, 7, 2), (3, 2, 5, 2), True, [1, 1], [0, 2], [1, 1], 1),
        ("asymmetric_all", (1, 9, 8, 2), (3, 3, 2, 2), True, [3, 2], [2, 1], [2, 3], 1),
        ("dilated", (1, 7, 7, 2), (3, 3, 3, 2), True, [1, 1], [2, 2], [2, 2], 1),
        ("unused_border", (1, 6, 6, 2), (2, 3, 3, 2), True, [2, 2], [0, 0], [1, 1], 1),
        ("whole_image", (2, 4, 4, 2), (3, 4, 4, 2), True, [1, 1], [0, 0], [1, 1], 1),
        ("groups", (2, 4, 4, 4), (6, 3, 3, 2), True, [1, 1], [1, 1], [1, 1], 2),
        ("groups_stride", (1, 5, 5, 6), (3, 3, 3, 2), False, [2, 2], [1, 1], [1, 1], 3),
        ("depthwise", (2, 4, 4, 3), (3, 3, 3, 1), True, [1, 1], [1, 1], [1, 1], 3),
        ("wide", (1, 3, 3, 17), (19, 3, 3, 17), True, [1, 1], [1, 1], [1, 1], 1),
    ]:

        def convolution(x, w, b=None, s=stride, p=padding, d=dilation, g=groups):
            return nhwc(F.conv2d(nchw(x), nchw(w), b, s, p, d, g))

        inputs = [normal(*x), normal(*w)] + ([normal(w[0])] if bias else [])
        cases.add(
            f"conv2d.{variant}",
            convolution,
            inputs,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )


def conv1d(cases):
    """x: (N, W, C), w: (K, S, C / groups), b: (K) -> (N, W', K)."""
    for variant, x, w, stride, padding, dilation, groups in [
        ("plain", (2, 7, 3), (4, 3, 3), 1, 0, 1, 1),
        ("same", (2, 2, 1), (5, 3, 1), 1, 1, 1, 1),
        ("down", (1, 9, 2), (3, 4, 2), 2, 1, 1, 1),
        ("dilated", (1, 9, 4), (4, 3, 2), 1, 2, 2, 2),
        ("pointwise", (3, 2, 4), (5, 1, 4), 1, 0, 1, 1),
    ]:

        def convolution(x, w, b, s=stride, p=padding, d=dilation, g=groups):
            return F.conv1d(x.mT, w.mT, b, s, p, d, g).mT

        cases.add(
            f"conv1d.{variant}",
            convolution,
            [normal(*x), normal(*w), normal(w[0])],
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )


def pooling(cases):
    """x: (N, H, W, C). An average counts padding as zeros that belong to the window."""
    for variant, shape, kernel, stride, padding in [
        ("halves", (2, 4, 6, 3), [2, 2], [2, 2], [0, 0]),
        ("overlapping", (1, 5, 5, 2), [3, 3], [1, 1], [0, 0]),
        ("padded", (1, 5, 5, 2), [3, 3], [2, 2], [1, 1]),
        ("asymmetric", (1, 5, 6, 2), [2, 3], [1, 2], [1, 0]),
        ("unused_border", (1, 5, 5, 2), [2, 2], [2, 2], [0, 0]),
    ]:
        cases.add(
            f"max_pool2d.{variant}",
            lambda x, k=kernel, s=stride, p=padding: nhwc(F.max_pool2d(nchw(x), k, s, p)),
            [distinct(*shape)],
            kernel=kernel,
            stride=stride,
            padding=padding,
        )
        cases.add(
            f"average_pool2d.{variant}",
            lambda x, k=kernel, s=stride, p=padding: nhwc(F.avg_pool2d(nchw(x), k, s, p)),
            [normal(*shape)],
            kernel=kernel,
            stride=stride,
            padding=padding,
        )
    for variant, shape in [
        ("square", (2, 3, 3, 4)),
        ("wide", (3, 2, 5, 2)),
        ("one_pixel", (2, 1, 1, 3)),
    ]:
        cases.add(
            f"global_average_pool.{variant}",
            lambda x: F.adaptive_avg_pool2d(nchw(x), 1).flatten(1),
            [normal(*shape)],
        )


def add_all(cases):
    matmul(cases)
    linear(cases)
    conv2d(cases)
    conv1d(cases)
    pooling(cases)
