"""Cases of the reductions over one, several and all axes, with and without keeping them."""

import torch

from .cases import distinct, normal

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
            cases.add(
                f"argmax.{variant}",
                lambda x, a=axes[0], k=kept: torch.argmax(x, a, k).to(torch.int32),
                [distinct(*shape)],
                constant=(0,),
                axis=axes[0],
                keepdims=kept,
            )
