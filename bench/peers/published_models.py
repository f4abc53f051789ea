"""The published networks in PyTorch + torchdiffeq, with parameters and buffers named as in slope.

Used by tests/golden/make_exchange.py and the speed peers beside this file. `MODELS` maps slope's model words to functions solver -> module;
`solver` holds what torchdiffeq.odeint takes: method, options, tolerances.
"""

import torch
import torch.nn.functional as F
import torchdiffeq
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm


class OdeBlock(nn.Module):
    """Solves a field on [0, 1]. The field's parameters stand under the block's own name."""

    solver = None
    evaluations = 0  # of all blocks

    def forward(self, x):
        times = torch.tensor([0.0, 1.0], dtype=x.dtype)
        return torchdiffeq.odeint(self.counted, x, times, **self.solver)[-1]

    def counted(self, t, x):
        OdeBlock.evaluations += 1
        return self.field(t, x)


def solved(field_class):
    """A block whose field is this class's `field`."""
    return type(field_class.__name__, (field_class, OdeBlock), {})


class TimeConv(nn.Conv2d):
    """3x3 with time as one more channel, the first or the last."""

    def __init__(self, channels, last=False):
        super().__init__(channels + 1, channels, 3, padding=1)
        self.last = last

    def at(self, t, x):
        time = torch.ones_like(x[:, :1]) * t
        return super().forward(torch.cat([x, time] if self.last else [time, x], 1))


def group_norm(channels):
    return nn.GroupNorm(min(32, channels), channels)


def conv3(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


class Residual(nn.Module):
    """Pre-activation. norm: None for none. raw: the shortcut convolution sees x itself."""

    def __init__(self, inputs, outputs, stride, norm=group_norm, act=F.relu, raw=False):
        super().__init__()
        self.act, self.raw = act, raw
        self.norm1 = norm(inputs) if norm else nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
        self.conv1 = conv3(inputs, outputs, stride)
        self.norm2 = norm(outputs) if norm else nn.Identity()
        self.conv2 = conv3(outputs, outputs)

    def forward(self, x):
        a = self.act(self.norm1(x))
        shortcut = self.shortcut(x if self.raw else a) if hasattr(self, "shortcut") else x
        return self.conv2(self.act(self.norm2(self.conv1(a)))) + shortcut


class ConvStem(nn.Module):
    def __init__(self, halvings=2, last_norm=False):
        super().__init__()
        self.halvings = halvings
        self.conv1 = nn.Conv2d(1, 64, 3)
        for i in range(1, halvings + 1):
            self.add_module(f"norm{i}", group_norm(64))
            self.add_module(f"conv{i + 1}", nn.Conv2d(64, 64, 4, stride=2, padding=1))
        if last_norm:
            self.add_module(f"norm{halvings + 1}", group_norm(64))

    def forward(self, x):
        for layer in self.children():
            x = F.relu(layer(x)) if isinstance(layer, nn.GroupNorm) else layer(x)
        return x


class ResidualStem(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 3)
        self.block1, self.block2 = Residual(64, 64, 2), Residual(64, 64, 2)

    def forward(self, x):
        return self.block2(self.block1(self.conv1(x)))


@solved
class PreField(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.conv1 = group_norm(64), TimeConv(64)
        self.norm2, self.conv2 = group_norm(64), TimeConv(64)
        self.norm3 = group_norm(64)

    def field(self, t, x):
        x = self.conv1.at(t, F.relu(self.norm1(x)))
        return self.norm3(self.conv2.at(t, F.relu(self.norm2(x))))


@solved
class PostField(nn.Module):
    def __init__(self, norm=group_norm, last=False):
        super().__init__()
        self.conv1, self.norm1 = TimeConv(64, last), norm(64)
        self.conv2, self.norm2 = TimeConv(64, last), norm(64)

    def field(self, t, x):
        x = F.relu(self.norm1(self.conv1.at(t, x)))
        return F.relu(self.norm2(self.conv2.at(t, x)))


class Autonomous(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = conv3(64, 64), group_norm(64)
        self.conv2, self.norm2 = conv3(64, 64), group_norm(64)

    def field(self, t, x):
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class CnnBlock(Autonomous):
    def forward(self, x):
        return x + self.field(0, x)


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.linear = group_norm(64), nn.Linear(64, 10)

    def forward(self, x):
        return self.linear(F.relu(self.norm(x)).mean((2, 3)))


class Chain(nn.Module):
    """Modules by name, one after the other; pooling before a linear layer on images."""

    def __init__(self, *parts):
        super().__init__()
        for name, module in parts:
            self.add_module(name, module)

    def forward(self, x):
        for module in self.children():
            if isinstance(module, nn.Linear) and x.ndim == 4:
                x = x.mean((2, 3))
            x = module(x)
            if isinstance(module, nn.BatchNorm2d):
                x = F.relu(x)
        return x


def odenet_mnist(stem):
    return Chain(("stem", stem), ("ode", PreField()), ("head", Head()))


def resnet_mnist():
    blocks = [(f"block{i}", Residual(64, 64, 1)) for i in range(1, 7)]
    return Chain(("stem", ConvStem()), *blocks, ("head", Head()))


def rknet_mnist():
    parts = [("conv1", nn.Conv2d(1, 64, 3)), ("norm1", nn.BatchNorm2d(64))]
    for i in (2, 3):
        parts.append((f"conv{i}", nn.Conv2d(64, 64, 4, stride=2, padding=1)))
        parts.append((f"norm{i}", nn.BatchNorm2d(64)))
    ode = PostField(nn.BatchNorm2d, last=True)
    return Chain(*parts, ("ode", ode), ("linear", nn.Linear(64, 10)))


def tisode_mnist(block):
    body = {
        "tisode": lambda: ("ode", solved(Autonomous)()),
        "ode": lambda: ("ode", PostField()),
        "cnn": lambda: ("block", CnnBlock()),
    }[block]()
    return Chain(("stem", ConvStem(1, last_norm=True)), body, ("linear", nn.Linear(64, 10)))


class MetaStem(nn.Module):
    """Normalises the pixels."""

    def __init__(self):
        super().__init__()
        self.conv = conv3(3, 64)

    def forward(self, x):
        mean = torch.tensor([0.4914, 0.4822, 0.4465], dtype=x.dtype).view(3, 1, 1)
        std = torch.tensor([0.2023, 0.1994, 0.2010], dtype=x.dtype).view(3, 1, 1)
        return F.gelu(self.conv((x - mean) / std))


@solved
class MetaField(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.conv2 = conv3(channels, channels), conv3(channels, channels)

    def field(self, t, x):
        return self.conv2(F.gelu(self.conv1(F.gelu(x))))


class MetaLayer(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.residual1 = Residual(inputs, outputs, stride, None, F.gelu, raw=True)
        self.ode1 = MetaField(outputs)

    def forward(self, x):
        return self.ode1(self.residual1(x))


def premetanode10():
    return Chain(
        ("stem", MetaStem()),
        ("layer1", MetaLayer(64, 64, 1)),
        ("layer2", MetaLayer(64, 128, 2)),
        ("linear", nn.Linear(128, 10)),
    )


def with_norm(norm, model):
    """`norm` on the weight of every convolution, the head left as it is."""
    for module in list(model.modules()):
        if isinstance(module, nn.Conv2d):
            norm(module)
    return model


@solved
class ThreeConvolutions(nn.Module):
    """1x1, 3 wide, 1x1; in one dimension along the coordinates of a point."""

    def __init__(self, conv, channels, width):
        super().__init__()
        self.conv1 = conv(channels, width, 1)
        self.conv2 = conv(width, width, 3, padding=1)
        self.conv3 = conv(width, channels, 1)

    def field(self, t, x):
        return self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))


class Points(ThreeConvolutions):
    def forward(self, x):
        return super().forward(x.unsqueeze(1)).squeeze(1)


@solved
class PointMlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(dim, 32), nn.Linear(32, dim)

    def field(self, t, x):
        return self.linear2(F.relu(self.linear1(x)))


def odenet_pixels():
    ode = ThreeConvolutions(nn.Conv2d, 3, 128)
    return Chain(("ode", ode), ("flatten", nn.Flatten()), ("linear", nn.Linear(3072, 10)))


def spheres_mlp(dim=2):
    return Chain(("ode", PointMlp(dim)), ("linear", nn.Linear(dim, 2)))


MODELS = {
    "odenet-mnist": lambda: odenet_mnist(ConvStem()),
    "odenet-mnist,downsampling=res": lambda: odenet_mnist(ResidualStem()),
    "resnet-mnist": resnet_mnist,
    "rknet-mnist": rknet_mnist,
    "tisode-mnist": lambda: tisode_mnist("tisode"),
    "tisode-mnist,block=ode": lambda: tisode_mnist("ode"),
    "tisode-mnist,block=cnn": lambda: tisode_mnist("cnn"),
    "premetanode10": premetanode10,
    "premetanode10,param-norm=weight": lambda: with_norm(weight_norm, premetanode10()),
    "premetanode10,param-norm=spectral": lambda: with_norm(spectral_norm, premetanode10()),
    "odenet-pixels": odenet_pixels,
    "spheres-conv": lambda: Chain(
        ("ode", Points(nn.Conv1d, 1, 32)), ("linear", nn.Linear(2, 2))
    ),
    "spheres-mlp": spheres_mlp,
}
