"""Cases of the ops that move values: views, slices, joins, padding, indexing, casts."""

import torch
import torch.nn.functional as F

from .cases import given, integers, normal


def views(cases):
    for variant, shape, to in [
        ("flatten", (2, 3, 4), [24]),
        ("split", (6, 4), [2, 3, 4]),
        ("inferred", (2, 3, 4), [-1, 6]),
        ("to_scalar", (1, 1), []),
    ]:
        cases.add(f"reshape.{variant}", lambda x, to=to: x.reshape(to), [normal(*shape)], shape=to)
    # A copy, not a view: the values of a transposed tensor are not in order.
    cases.add(
        "reshape.after_permute",
        lambda x: x.permute(1, 0).reshape(2, 6),
        [normal(3, 4)],
        axes=[1, 0],
        shape=[2, 6],
    )
    for variant, shape, axes in [
        ("transpose", (3, 4), [1, 0]),
        ("cycle", (2, 3, 4), [2, 0, 1]),
        ("nhwc_to_nchw", (2, 3, 4, 5), [0, 3, 1, 2]),
        ("identity", (2, 3), [0, 1]),
    ]:
        cases.add(
            f"permute.{variant}", lambda x, axes=axes: x.permute(axes), [normal(*shape)], axes=axes
        )
    for variant, shape, to in [
        ("rows", (1, 4), [3, 4]),
        ("columns", (3, 1), [3, 4]),
        ("new_axes", (4,), [2, 3, 4]),
        ("scalar", (), [2, 2]),
    ]:
        cases.add(f"expand.{variant}", lambda x, to=to: x.expand(to), [normal(*shape)], shape=to)
    cases.add("squeeze.middle", lambda x: x.squeeze(1), [normal(3, 1, 4)], axis=1)
    for variant, axis in [("first", 0), ("middle", 1), ("last", 2)]:
        cases.add(
            f"unsqueeze.{variant}", lambda x, a=axis: x.unsqueeze(a), [normal(3, 4)], axis=axis
        )


def slices(cases):
    """start, stop, step along one axis; steps are positive."""
    for variant, shape, axis, start, stop, step in [
        ("rows", (5, 3), 0, 1, 4, 1),
        ("columns", (3, 6), 1, 2, 6, 1),
        ("stride", (3, 7), 1, 1, 7, 2),
        ("middle_axis", (2, 5, 3), 1, 0, 2, 1),
        ("single", (4, 3), 0, 2, 3, 1),
    ]:
        index = (slice(None),) * axis + (slice(start, stop, step),)
        cases.add(
            f"slice.{variant}",
            lambda x, index=index: x[index],
            [normal(*shape)],
            axis=axis,
            start=start,
            stop=stop,
            step=step,
        )


def joins(cases):
    for variant, shapes, axis in [
        ("rows", [(2, 3), (1, 3), (3, 3)], 0),
        ("columns", [(2, 3), (2, 1)], 1),
        ("channels", [(1, 2, 2, 1), (1, 2, 2, 3)], 3),
    ]:
        cases.add(
            f"concatenate.{variant}",
            lambda *xs, axis=axis: torch.cat(xs, axis),
            [normal(*s) for s in shapes],
            axis=axis,
        )
    for variant, axis in [("first", 0), ("middle", 1), ("last", 2)]:
        cases.add(
            f"stack.{variant}",
            lambda *xs, axis=axis: torch.stack(xs, axis),
            [normal(2, 3), normal(2, 3), normal(2, 3)],
            axis=axis,
        )


def padding(cases):
    """before, after: how many values to add on each axis; value: what is written there."""
    for variant, shape, before, after, value in [
        ("vector", (4,), [1], [2], 0.0),
        ("image", (1, 3, 2, 2), [0, 1, 2, 0], [0, 1, 1, 0], 0.0),
        ("value", (2, 3), [1, 0], [0, 2], -1.5),
        ("none", (2, 3), [0, 0], [0, 0], 0.0),
    ]:
        # PyTorch wants (before, after) pairs from the last axis to the first.
        pairs = [n for pair in reversed(list(zip(before, after))) for n in pair]
        cases.add(
            f"pad.{variant}",
            lambda x, p=pairs, v=value: F.pad(x, p, value=v),
            [normal(*shape)],
            before=before,
            after=after,
            value=value,
        )


def indexing(cases):
    def gather(x, index):
        return torch.index_select(x, 0, index)

    def one_hot(labels, classes):
        return F.one_hot(labels.long(), classes).to(torch.float64)

    def scatter(g, index, rows):
        return torch.zeros(rows, *g.shape[1:], dtype=g.dtype).index_add(0, index, g)

    cases.add("gather_rows.repeated", gather, [normal(4, 3), given([2, 0, 2, 3, 2], torch.int32)])
    cases.add("gather_rows.images", gather, [normal(3, 2, 2, 2), given([1, 1], torch.int32)])
    cases.add("gather_rows.vector", gather, [normal(6), integers(0, 6, 9)])
    for variant, shape, index, rows in [
        ("repeated", (5, 3), [2, 0, 2, 3, 2], 4),
        ("untouched", (2, 2, 2), [4, 1], 5),
    ]:
        cases.add(
            f"scatter_add_rows.{variant}",
            lambda g, i, rows=rows: scatter(g, i, rows),
            [normal(*shape), given(index, torch.int32)],
            rows=rows,
        )
    cases.add(
        "one_hot.four", lambda i: one_hot(i, 4), [given([3, 0, 1, 1], torch.int32)], classes=4
    )
    cases.add("one_hot.digits", lambda i: one_hot(i, 10), [integers(0, 10, 6)], classes=10)


def casts(cases):
    x = given([-2.9, -2.0, -0.4, 0.0, 0.1, 1.0 / 3.0, 2.5, 1e6 + 0.7])
    cases.add("cast.to_float32", lambda x: x.to(torch.float32), [x], constant=(0,), dtype="float32")
    cases.add("cast.to_int32", lambda x: x.to(torch.int32), [x], constant=(0,), dtype="int32")
    cases.add(
        "cast.from_int32",
        lambda i: i.to(torch.float64),
        [integers(-1000, 1000, 5)],
        dtype="float64",
    )


def add_all(cases):
    views(cases)
    slices(cases)
    joins(cases)
    padding(cases)
    indexing(cases)
    casts(cases)
