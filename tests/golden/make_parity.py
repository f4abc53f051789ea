"""Makes parity.json: ten training steps of `odenet-mnist` as PyTorch + torchdiffeq compute them.

    python tests/golden/make_parity.py        (half a minute; needs data/mnist of this repository)

The run. torchdiffeq's MNIST ODE net (bench/peers/odenet_mnist.py), one step of rk38 on [0, 1]
(torchdiffeq's `rk4` is the 3/8 rule), plain backpropagation through the solver, cross-entropy
averaged over the batch, SGD with lr 0.01 and momentum 0.9 (buffer = momentum * buffer + gradient,
the first buffer is the gradient). At batch n step s takes images n s .. n s + n - 1 of the MNIST
training file in file order, pixels v / 255 (computed in float64, then cast).

The initial weights need no file. Parameter number p, counting from 0 in the order of the names in
the file (weight before bias), has at element i of its slope layout (convolutions (K, R, S, C), with
time as channel 0; linear (out, in); row-major) the value

    u = splitmix64(p * 2^32 + i) >> 11, times 2^-53                       in [0, 1)
    convolution and linear, weight and bias:   (2 u - 1) * bound,    bound = 1 / sqrt(fan_in)
    norm weight:                               1 + 0.1 * (2 u - 1)
    norm bias:                                 0.1 * (2 u - 1)

in float64, cast afterwards for float32. fan_in is R * S * C (time included; 9, 1024, 1024, 585,
585) or `in` (64). splitmix64(x), all in unsigned 64-bit arithmetic:

    x += 0x9e3779b97f4a7c15
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb
    return x ^ (x >> 31)

The file holds eight runs: float64 and float32, each with ReLU and with softplus, log(1 + e^x), in
place of every ReLU, at batch 32 and, for devices that are slow, at batch 2.
"""

import gzip
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "bench" / "peers"))
from odenet_mnist import OdeNet  # noqa: E402

STEPS, BATCHES = 10, (32, 2)
RK38 = {"method": "rk4"}
ACTIVATIONS = {
    "relu": torch.relu,
    # PyTorch's softplus is the identity above a threshold; at 40 the two are equal.
    "softplus": lambda x: F.softplus(x, threshold=40),
}


def splitmix64(x):
    """x: uint64 array; numpy's unsigned arithmetic wraps as the definition wants."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def slope_shape(shape):
    """(K, C, R, S) -> (K, R, S, C); other shapes are the same in both."""
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else tuple(shape)


def torch_layout(array):
    return np.moveaxis(array, 3, 1) if array.ndim == 4 else array


def set_initial_weights(model):
    """The formula above, in float64."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for p, (name, parameter) in enumerate(parameters.items()):
            shape = slope_shape(parameter.shape)
            index = np.arange(parameter.numel(), dtype=np.uint64) + np.uint64(p << 32)
            u = (splitmix64(index) >> np.uint64(11)).astype(np.float64) * 2.0**-53
            signed = 2.0 * u - 1.0
            layer, kind = name.rsplit(".", 1)
            if "norm" in layer:
                values = 1.0 + 0.1 * signed if kind == "weight" else 0.1 * signed
            else:
                weight = parameters[f"{layer}.weight"]
                values = signed * (1.0 / np.sqrt(float(weight[0].numel())))
            parameter.copy_(torch.from_numpy(torch_layout(values.reshape(shape)).copy()))


def first_images():
    """(320, 1, 28, 28) float64 and (320) int64."""
    n = STEPS * max(BATCHES)
    folder = ROOT / "data" / "mnist"
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + n * 784)[16:], np.uint8)
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(8 + n)[8:], np.uint8)
    images = pixels.reshape(n, 1, 28, 28).astype(np.float64) / 255.0
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


def train(images, labels, dtype, activation, size, memory_format=torch.contiguous_format):
    """One run: names, losses, gradient norms by step, first two rows of the first logits."""
    model = OdeNet(RK38, ACTIVATIONS[activation]).double()
    set_initial_weights(model)
    model = model.to(dtype).to(memory_format=memory_format)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    losses, norms, first_logits = [], [], None
    for step in range(STEPS):
        batch = slice(step * size, (step + 1) * size)
        x = images[batch].to(dtype).contiguous(memory_format=memory_format)
        logits = model(x)
        loss = F.cross_entropy(logits, labels[batch])
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            first_logits = logits[:2].tolist()
        losses.append(loss.item())
        # The norm is taken in float64 so that only the gradient carries the run's rounding.
        norms.append([p.grad.double().norm().item() for p in model.parameters()])
        optimiser.step()
    return {"losses": losses, "gradient_norms": norms, "first_logits": first_logits}


def formatted(runs, parameters):
    """JSON with one line a step; Python prints floats so that they read back exactly."""
    lines = [
        "{",
        '"parameters": [',
        ",\n".join(f"  {json.dumps(p)}" for p in parameters),
        "],",
        '"runs": {',
    ]
    blocks = []
    for name, run in runs.items():
        norms = ",\n".join("    " + json.dumps(row) for row in run["gradient_norms"])
        logits = ",\n".join("    " + json.dumps(row) for row in run["first_logits"])
        blocks.append(
            f'{json.dumps(name)}: {{\n  "losses": {json.dumps(run["losses"])},\n'
            f'  "gradient_norms": [\n{norms}\n  ],\n  "first_logits": [\n{logits}\n  ]\n}}'
        )
    return "\n".join(lines) + "\n" + ",\n".join(blocks) + "\n}\n}\n"


def largest_difference(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return float(np.max(np.abs(a - b) / np.abs(b)))


def main():
    torch.set_num_threads(1)  # one order of sums
    images, labels = first_images()
    model = OdeNet(RK38).double()
    set_initial_weights(model)
    parameters = [
        {
            "name": n,
            "shape": list(slope_shape(p.shape)),
            "first": p.flatten()[0].item(),
            "sum": p.detach().numpy().sum().item(),
        }
        for n, p in model.named_parameters()
    ]
    count = sum(p.numel() for p in model.parameters())
    if count != 208266:
        raise SystemExit(f"the model has {count} parameters, not 208,266")

    runs = {}
    cases = itertools.product(
        [(torch.float64, "float64"), (torch.float32, "float32")], ACTIVATIONS, BATCHES
    )
    for (dtype, bits), activation, size in cases:
        name = f"{bits} {activation} {size}"
        runs[name] = train(images, labels, dtype, activation, size)
        # How far PyTorch is from itself in its other memory layout: no test can ask for less.
        other = train(images, labels, dtype, activation, size, torch.channels_last)
        first, last = (
            largest_difference(other["gradient_norms"][s], runs[name]["gradient_norms"][s])
            for s in (0, STEPS - 1)
        )
        losses = runs[name]["losses"]
        print(
            f"{name}: loss {losses[0]:.6f} -> {losses[-1]:.6f}; the other layout differs by "
            f"{largest_difference(other['losses'], losses):.1e} in the losses, "
            f"{first:.1e} in the first gradient norms, {last:.1e} in the last"
        )
    (Path(__file__).parent / "parity.json").write_text(formatted(runs, parameters))


if __name__ == "__main__":
    main()
