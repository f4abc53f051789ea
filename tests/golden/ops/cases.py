"""What a golden case is, how its inputs are drawn, and how its values are collected.

A case runs one PyTorch expression in float64 on inputs that stand in slope's layout, and keeps the
inputs, the outputs, a random cotangent of the first output and the gradients that follow from it.
Each case draws from a generator seeded by its own name, so a new case leaves the others alone.
"""

import zlib

import numpy as np
import torch

torch.set_num_threads(1)  # sums in one fixed order: the file is the same bytes every time


class Case:
    """The tensors and attributes of one case, in the order in which they are written."""

    def __init__(self, name, attributes):
        self.name = name
        self.op = name.split(".")[0]
        self.attributes = attributes
        self.tensors = {}

    def store(self, key, tensor):
        # A copy, since optimisers go on to write into the parameter.
        array = tensor.detach().contiguous().numpy().copy()
        if not np.isfinite(array).all():
            raise ValueError(f"{self.name}: {key} holds infinity or NaN")
        self.tensors[key] = array


class Cases:
    """A list of cases with unique names."""

    def __init__(self):
        self.all = {}

    def open(self, name, **attributes):
        if name in self.all:
            raise ValueError(f"two cases are called {name}")
        case = self.all[name] = Case(name, attributes)
        return case, np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))

    def add(self, name, function, inputs, constant=(), **attributes):
        """One case: `function` of the drawn `inputs` is one tensor or a tuple of tensors.

        Gradients are those of the first output with respect to every float input whose index is not
        in `constant`; `attributes` go into the readable sidecar and to nobody else.
        """
        case, generator = self.open(name, **attributes)
        drawn = [draw(generator) for draw in inputs]
        outputs = function(*drawn)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        for i, x in enumerate(drawn):
            case.store(f"in{i}", x)
        for i, y in enumerate(outputs):
            case.store(f"out{i}", y.to(torch.float64) if y.dtype == torch.bool else y)
        wanted = [i for i, x in enumerate(drawn) if x.is_floating_point() and i not in constant]
        if not wanted:
            return
        for i in wanted:
            drawn[i].requires_grad_()
        # Run again, now with gradients: what was stored above must not be part of a graph.
        y = function(*drawn)
        y = y[0] if isinstance(y, tuple) else y
        cotangent = normal(*y.shape)(generator)
        case.store("g", cotangent)
        for i, d in zip(wanted, torch.autograd.grad(y, [drawn[i] for i in wanted], cotangent)):
            case.store(f"d{i}", d)


# Drawing inputs. Each of these gives a function of the case's generator.


def normal(*shape):
    return lambda generator: torch.from_numpy(np.asarray(generator.standard_normal(shape)))


def uniform(low, high, *shape):
    return lambda generator: torch.from_numpy(np.asarray(generator.uniform(low, high, shape)))


def off_zero(*shape, least=0.1, most=2.0):
    """Both signs, |x| at least `least`: away from a kink at zero."""

    def draw(generator):
        size = generator.uniform(least, most, shape)
        return torch.from_numpy(np.asarray(size * generator.choice([-1.0, 1.0], shape)))

    return draw


def distinct(*shape, shift=0.0):
    """Values 0.1 apart in random order, so that an extremum has no tie and no near tie.

    Two such tensors whose `shift` differs by 0.05 have no equal values either.
    """

    def draw(generator):
        n = int(np.prod(shape))
        values = 0.1 * (generator.permutation(n) - n // 2) + shift
        return torch.from_numpy(np.asarray(values.reshape(shape)))

    return draw


def given(values, dtype=torch.float64):
    return lambda generator: torch.tensor(values, dtype=dtype)


def integers(low, high, *shape):
    """int32 in low..high-1."""
    return lambda generator: torch.from_numpy(generator.integers(low, high, shape).astype(np.int32))


def nchw(x):
    """(N, H, W, C) -> (N, C, H, W); also weights (K, R, S, C) -> (K, C, R, S)."""
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    """(N, C, H, W) -> (N, H, W, C)."""
    return x.permute(0, 2, 3, 1)
