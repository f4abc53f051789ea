"""The MNIST ODE net of torchdiffeq's example in PyTorch, with the parameters named as in slope.

Used by the speed peer beside this file and by the parity reference in tests/golden.
"""

import torch
import torchdiffeq
from torch import nn


def group_norm(channels):
    return nn.GroupNorm(min(32, channels), channels)


class ConcatConv2d(nn.Conv2d):
    """A convolution that sees time as one more channel, the first."""

    def __init__(self, channels):
        super().__init__(channels + 1, channels, 3, padding=1)

    def forward(self, t, x):
        return super().forward(torch.cat([torch.ones_like(x[:, :1]) * t, x], 1))


class Stem(nn.Module):
    """(N, 1, 28, 28) -> (N, 64, 6, 6)"""

    def __init__(self, activation):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 3)
        self.norm1 = group_norm(64)
        self.conv2 = nn.Conv2d(64, 64, 4, stride=2, padding=1)
        self.norm2 = group_norm(64)
        self.conv3 = nn.Conv2d(64, 64, 4, stride=2, padding=1)
        self.activation = activation

    def forward(self, x):
        x = self.activation(self.norm1(self.conv1(x)))
        x = self.activation(self.norm2(self.conv2(x)))
        return self.conv3(x)


class Field(nn.Module):
    """dx/dt = f(t, x); x: (N, 64, 6, 6). Counts its evaluations."""

    def __init__(self, activation):
        super().__init__()
        self.norm1 = group_norm(64)
        self.conv1 = ConcatConv2d(64)
        self.norm2 = group_norm(64)
        self.conv2 = ConcatConv2d(64)
        self.norm3 = group_norm(64)
        self.activation = activation
        self.evaluations = 0

    def forward(self, t, x):
        self.evaluations += 1
        x = self.conv1(t, self.activation(self.norm1(x)))
        x = self.conv2(t, self.activation(self.norm2(x)))
        return self.norm3(x)


class Head(nn.Module):
    """(N, 64, 6, 6) -> (N, 10)"""

    def __init__(self, activation):
        super().__init__()
        self.norm = group_norm(64)
        self.linear = nn.Linear(64, 10)
        self.activation = activation

    def forward(self, x):
        return self.linear(self.activation(self.norm(x)).mean((2, 3)))


class OdeNet(nn.Module):
    """208,266 parameters. `solver` is the method, options and tolerances for `odeint`, which is
    torchdiffeq's, or its odeint_adjoint."""

    def __init__(self, solver, activation=nn.ReLU(inplace=True), odeint=torchdiffeq.odeint):
        super().__init__()
        self.odeint = odeint
        self.stem = Stem(activation)
        self.ode = Field(activation)
        self.head = Head(activation)
        self.solver = solver

    def forward(self, x):
        x = self.stem(x)
        times = torch.tensor([0.0, 1.0], dtype=x.dtype)
        x = self.odeint(self.ode, x, times, **self.solver)[-1]
        return self.head(x)
