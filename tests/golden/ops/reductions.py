"""Cases of the reductions over one, several and all axes, with and without keeping them."""

import torch

from .cases import distinct, given, normal, uniform

# variant -> shape, axes, keepdims
REDUCTIONS = {
    "last": ((3, 5), [1], False),
    "first": ((3, 5), [0], False),
    "middle": ((2, 3, 4), [1], False),
    "middle_kept": ((2, 3, 4), [1], True),
    "two": ((2, 3, 4), [0, 2], False),
    "two_kept": ((2, 3, 4), [0, 2], True),
    "spatial": ((2, 3, 3, 2), [1, 2], False),
    "all": ((3, 4), [0, 1], False),
    "all_kept": ((3, 4), [0, 1], True),
    "vector": ((7,), [0], False),
    "long": ((2, 65), [1], False),
    "length_one": ((3, 1), [1], False),
}


def add_all(cases):
    for name, function, draw in [
        ("sum", lambda x, axes, kept: torch.sum(x, axes, kept), normal),
        ("mean", lambda x, axes, kept: torch.mean(x, axes, kept), normal),
        ("max", lambda x, axes, kept: torch.amax(x, axes, kept), distinct),
        ("min", lambda x, axes, kept: torch.amin(x, axes, kept), distinct),
        ("variance", lambda x, axes, kept: torch.var(x, axes, correction=0, keepdim=kept), normal),
        ("norm", lambda x, axes, kept: torch.linalg.vector_norm(x, 2, axes, kept), normal),
    ]:
        for variant, (shape, axes, kept) in REDUCTIONS.items():
            cases.add(
                f"{name}.{variant}",
                lambda x, f=function, a=axes, k=kept: f(x, a, k),
                [draw(*shape)],
                axes=axes,
                keepdims=kept,
            )
    for variant, (shape, axes, kept) in REDUCTIONS.items():
        if len(axes) == 1:
            log_sum(cases, variant, normal(*shape), axes[0], kept)
        if len(axes) == 1 and not kept:
            cases.add(
                f"argmax.{variant}",
                lambda x, a=axes[0]: torch.argmax(x, a).to(torch.int32),
                [distinct(*shape)],
                constant=(0,),
                axis=axes[0],
            )
    log_sum(cases, "steep", given([[800.0, -800.0, 0.0], [1e4, 1e4 - 1, 0.0]]), 1, False)
    # A large mean, a small spread: a variance taken as E[x^2] - E[x]^2 loses half its digits.
    cases.add(
        "variance.shifted",
        lambda x: torch.var(x, 1, correction=0),
        [uniform(1000.0, 1000.5, 3, 20)],
        axes=[1],
        keepdims=False,
    )


def log_sum(cases, variant, draw, axis, kept):
    cases.add(
        f"logsumexp.{variant}",
        lambda x: torch.logsumexp(x, axis, kept),
        [draw],
        axis=axis,
        keepdims=kept,
    )
