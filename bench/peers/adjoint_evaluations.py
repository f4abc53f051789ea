"""Counts what torchdiffeq's adjoint evaluates on a trained odenet-mnist: one line per tolerance.

    slope train odenet-mnist --solver dopri5@1e-3 --epochs 1 --out runs/epoch
    slope export runs/epoch --out epoch.safetensors
    python bench/peers/adjoint_evaluations.py epoch.safetensors

dopri5, the first 64 training digits of data/mnist, float32, cross-entropy. docs/gradients.md has the
figures beside slope's own.
"""

import gzip
import pathlib
import sys

import numpy
import safetensors.torch
import torch
import torch.nn.functional as F
import torchdiffeq
from published_models import MODELS

BATCH = 64
TOLERANCES = (1e-3, 1e-5)


def digits(count):
    folder = pathlib.Path(__file__).parents[2] / "data" / "mnist"
    pixels = gzip.open(folder / "train-images-idx3-ubyte.gz").read()
    labels = gzip.open(folder / "train-labels-idx1-ubyte.gz").read()
    x = numpy.frombuffer(pixels, numpy.uint8, count * 784, 16).reshape(count, 1, 28, 28)
    return torch.tensor(x / 255.0, dtype=torch.float32), torch.tensor(list(labels[8 : 8 + count]))


class CountedField(torch.nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block, self.evaluations = block, 0

    def forward(self, t, x):
        self.evaluations += 1
        return self.block.field(t, x)


class AdjointBlock(torch.nn.Module):
    def __init__(self, field, tolerance):
        super().__init__()
        self.field, self.tolerance = field, tolerance

    def forward(self, x):
        return torchdiffeq.odeint_adjoint(
            self.field, x, torch.tensor([0.0, 1.0]), method="dopri5", rtol=self.tolerance,
            atol=self.tolerance)[-1]


def main():
    x, labels = digits(BATCH)
    weights = safetensors.torch.load_file(sys.argv[1])
    for tolerance in TOLERANCES:
        model = MODELS["odenet-mnist"]()
        model.load_state_dict(weights)
        field = CountedField(model.ode)
        model.ode = AdjointBlock(field, tolerance)
        loss = F.cross_entropy(model(x), labels)
        forward = field.evaluations
        loss.backward()
        print(f"dopri5@{tolerance:g}: {forward} forward, {field.evaluations - forward} backward, "
              f"loss {loss.item():.6f}")


if __name__ == "__main__":
    main()
