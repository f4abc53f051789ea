"""Cases of the pointwise ops: one and two arguments, host numbers, comparisons, select, clamp."""

import torch
import torch.nn.functional as F

from .cases import distinct, given, normal, off_zero, uniform

TINY = [-1e-3, 1e-3, -1e-8, 1e-8, -1e-15, 1e-15, -1e-100, 1e-100]


def unary(cases):
    """Two or three variants each: ordinary arguments, then those where a careless formula fails."""
    for name, function, ordinary, hard in [
        ("neg", torch.neg, normal(3, 7), None),
        ("abs", torch.abs, off_zero(3, 7), None),
        ("sign", torch.sign, off_zero(3, 7), None),
        ("floor", torch.floor, uniform(-3, 3, 3, 7), [-2.0, -1e-300, 0.0, 3.0, 1e15 + 0.5, 1e300]),
        (
            "exp",
            torch.exp,
            uniform(-3, 3, 3, 7),
            [-700.0, -100.0, -20.0, 20.0, 100.0, 700.0, *TINY],
        ),
        ("expm1", torch.expm1, uniform(-3, 3, 3, 7), [-700.0, -40.0, 40.0, 700.0, *TINY]),
        (
            "log",
            torch.log,
            uniform(0.1, 5, 3, 7),
            [1e-300, 1e-20, 0.999999, 1.0, 1.000001, 1e20, 1e300],
        ),
        ("log1p", torch.log1p, uniform(-0.9, 5, 3, 7), [-0.999999, 1e20, 1e300, *TINY]),
        ("sqrt", torch.sqrt, uniform(0.1, 5, 3, 7), [1e-300, 1e-20, 1e20, 1e300]),
        ("rsqrt", torch.rsqrt, uniform(0.1, 5, 3, 7), [1e-150, 1e-20, 1e20, 1e300]),
        ("square", torch.square, normal(3, 7), [-1e150, 1e-150, 1e150]),
        ("reciprocal", torch.reciprocal, off_zero(3, 7), [-1e-150, 1e-20, 1e20, -1e150]),
        ("sin", torch.sin, uniform(-6, 6, 3, 7), [-1e6, -1000.0, 100.0, 1e6, *TINY]),
        ("cos", torch.cos, uniform(-6, 6, 3, 7), [-1e6, -1000.0, 100.0, 1e6, *TINY]),
        ("tanh", torch.tanh, uniform(-3, 3, 3, 7), [-500.0, -19.0, -9.0, 9.0, 19.0, 500.0, *TINY]),
        (
            "sigmoid",
            torch.sigmoid,
            uniform(-4, 4, 3, 7),
            [-700.0, -36.0, -9.0, 9.0, 36.0, 700.0, *TINY],
        ),
        # PyTorch's softplus is the identity above a threshold; at 40 the two agree to the last bit.
        (
            "softplus",
            lambda x: F.softplus(x, threshold=40),
            uniform(-4, 4, 3, 7),
            [-700.0, -36.0, -9.0, 9.0, 39.0, 700.0, *TINY],
        ),
        ("relu", torch.relu, off_zero(3, 7), [-1e100, 1e100]),
        ("silu", F.silu, uniform(-4, 4, 3, 7), [-700.0, -36.0, -9.0, 9.0, 36.0, 700.0, *TINY]),
        ("gelu", F.gelu, uniform(-3, 3, 3, 7), [-40.0, 9.0, 40.0, *TINY]),
        ("erf", torch.erf, uniform(-3, 3, 3, 7), [-26.0, -6.0, -4.0, 4.0, 6.0, 26.0, *TINY]),
    ]:
        cases.add(f"{name}.ordinary", function, [ordinary])
        if hard:
            cases.add(f"{name}.hard", function, [given(hard)])
    cases.add("leaky_relu.ordinary", lambda x: F.leaky_relu(x, 0.01), [off_zero(3, 7)], slope=0.01)
    cases.add("leaky_relu.steep", lambda x: F.leaky_relu(x, 0.2), [off_zero(3, 7)], slope=0.2)
    cases.add("elu.ordinary", lambda x: F.elu(x, 1.0), [off_zero(3, 7)], alpha=1.0)
    cases.add(
        "elu.hard", lambda x: F.elu(x, 1.0), [given([-700.0, -40.0, 700.0, *TINY])], alpha=1.0
    )


def clamp(cases):
    inside_and_out = given([[-2.0, -1.1, -0.9, 0.0], [0.3, 0.7, 0.9, 5.0]])
    cases.add(
        "clamp.both", lambda x: torch.clamp(x, -1.0, 0.8), [inside_and_out], low=-1.0, high=0.8
    )
    cases.add("clamp.unit", lambda x: torch.clamp(x, 0.0, 1.0), [off_zero(3, 7)], low=0.0, high=1.0)


# name -> shapes of the two arguments
BROADCASTS = {
    "same": ((3, 4), (3, 4)),
    "row": ((3, 4), (4,)),
    "column": ((3, 1), (3, 4)),
    "both": ((3, 1), (1, 4)),
    "rank": ((2, 3, 4), (3, 1)),
    "one_value": ((), (3, 4)),
}


def binary(cases):
    for name, function, left, right in [
        ("add", torch.add, normal, normal),
        ("sub", torch.sub, normal, normal),
        ("mul", torch.mul, normal, normal),
        ("div", torch.div, normal, off_zero),
        ("pow", torch.pow, lambda *s: uniform(0.2, 3, *s), lambda *s: uniform(-2, 3, *s)),
        ("maximum", torch.maximum, distinct, lambda *s: distinct(*s, shift=0.05)),
        ("minimum", torch.minimum, distinct, lambda *s: distinct(*s, shift=0.05)),
    ]:
        for variant, (a, b) in BROADCASTS.items():
            cases.add(f"{name}.{variant}", function, [left(*a), right(*b)])


def scalar(cases):
    """A host number on one side: attribute `right` (x op number) or `left` (number op x)."""
    x = off_zero(2, 5, least=0.2)
    for name, function in [
        ("add", torch.add),
        ("sub", torch.sub),
        ("mul", torch.mul),
        ("div", torch.div),
    ]:
        cases.add(f"{name}.scalar_right", lambda x, f=function: f(x, 1.7), [x], right=1.7)
    cases.add("sub.scalar_left", lambda x: 1.7 - x, [x], left=1.7)
    cases.add("div.scalar_left", lambda x: 1.7 / x, [x], left=1.7)
    cases.add("pow.scalar_right", lambda x: torch.pow(x, 2.5), [uniform(0.2, 3, 2, 5)], right=2.5)
    cases.add(
        "pow.cube", lambda x: torch.pow(x, 3.0), [x], right=3.0
    )  # negative bases, whole exponent
    cases.add("pow.inverse_square", lambda x: torch.pow(x, -2.0), [x], right=-2.0)


def comparison(cases):
    """0/1 in the arguments' dtype, with equal values among them; no gradient."""
    a = given([[1.0, 2.0, 3.0, -1.0], [0.0, -0.0, 5.0, 1e-300]])
    b = given([[1.0, 3.0, 2.0, 1.0], [-0.0, 0.0, 5.0, -1e-300]])
    column = given([[1.0], [0.0]])
    for name, function in [
        ("equal", torch.eq),
        ("not_equal", torch.ne),
        ("less", torch.lt),
        ("less_equal", torch.le),
        ("greater", torch.gt),
        ("greater_equal", torch.ge),
    ]:
        cases.add(f"{name}.same", function, [a, b], constant=(0, 1))
        cases.add(f"{name}.column", function, [a, column], constant=(0, 1))
        cases.add(
            f"{name}.scalar_right", lambda x, f=function: f(x, 1.0), [a], constant=(0,), right=1.0
        )


def select(cases):
    """in0 is the condition as 0/1 float64, in1 what is taken where it is not zero, in2 the rest."""

    def where(condition, a, b):
        return torch.where(condition != 0, a, b)

    mask = given([[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    cases.add("select.same", where, [mask, normal(3, 4), normal(3, 4)], constant=(0,))
    cases.add("select.broadcast_values", where, [mask, normal(4), normal(3, 1)], constant=(0,))
    cases.add(
        "select.broadcast_condition",
        where,
        [given([[1.0], [0.0], [1.0]]), normal(3, 4), normal(3, 4)],
        constant=(0,),
    )
    cases.add(
        "select.scalar_right",
        lambda c, a: torch.where(c != 0, a, torch.tensor(-1.0, dtype=a.dtype)),
        [mask, normal(3, 4)],
        constant=(0,),
        right=-1.0,
    )


def add_all(cases):
    unary(cases)
    clamp(cases)
    binary(cases)
    scalar(cases)
    comparison(cases)
    select(cases)
