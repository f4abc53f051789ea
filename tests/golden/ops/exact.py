"""The pointwise values once more, with 60 digits: PyTorch must be right to a few ulp.

This is what allows a test to be strict where PyTorch itself takes shortcuts in the tails.
"""

import mpmath as mp
import numpy as np

mp.mp.dps = 60


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


FUNCTIONS = {
    "exp": mp.exp,
    "expm1": mp.expm1,
    "log": mp.log,
    "log1p": mp.log1p,
    "sqrt": mp.sqrt,
    "rsqrt": lambda x: 1 / mp.sqrt(x),
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "sin": mp.sin,
    "cos": mp.cos,
    "tanh": mp.tanh,
    "sigmoid": sigmoid,
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * mp.ncdf(x),
    "erf": mp.erf,
}
BOUND = 1e-15  # relative, four to nine ulp
# x * (1 + erf(x / sqrt 2)) / 2 cancels at negative x: gelu is held to BOUND of |x|, not of |y|.
SCALED = {"gelu"}


def check(cases):
    """Raises where a stored value is not the true one; returns the largest relative difference."""
    worst = 0.0
    for case in cases.all.values():
        if case.op not in FUNCTIONS:
            continue
        for x, y in zip(case.tensors["in0"].ravel(), case.tensors["out0"].ravel()):
            x, y = mp.mpf(float(x)), mp.mpf(float(y))
            true = FUNCTIONS[case.op](x)
            unit = abs(x if case.op in SCALED else true)
            # Below the smallest normal number nothing is relative any more: it may round to 0.
            if y == true or abs(true) < np.finfo(float).tiny:
                continue
            difference = abs(y - true) / unit
            if difference > BOUND:
                raise ValueError(
                    f"{case.name}: PyTorch gives {float(y)} at {float(x)}, not {float(true)}"
                )
            worst = max(worst, float(difference))
    return worst
