"""Makes exchange.json: logits of the published networks as PyTorch + torchdiffeq compute them.

    python tests/golden/make_exchange.py                       (a minute)
    python tests/golden/make_exchange.py MODEL FILE [DTYPE]    that model's state_dict in a file, as
                                                               `slope import` takes it

The networks are those of bench/peers/published_models.py, in evaluation mode, float64. Nothing is
stored that can be made again: value i (row-major, slope's layout: convolutions (K, R, S, C)) of
tensor number p, counted over the state_dict in its order, batch counters left out, is

    s = 2 u - 1,    u = splitmix64(p * 2^32 + i) >> 11, times 2^-53      (make_parity.py has splitmix64)
    convolution, linear:               s / sqrt(fan_in), fan_in that of the weight
    norm weight, running_var:          1 + 0.1 s
    norm bias, running_mean:           0.1 s
    weight norm's g (original0):       1 + 0.1 s
    spectral norm's vectors _u, _v:    s, then one step of the power iteration

The samples are u itself for p = 1000 in slope's layout, (1, 32, 32, 3) or (2, 28, 28, 1); points are
(4, 2) and s / 2.

The file maps each model word to its names in order and, by solver, to its logits.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "bench" / "peers"), str(Path(__file__).parent)]
from make_parity import splitmix64  # noqa: E402
from published_models import MODELS, OdeBlock  # noqa: E402

SOLVERS = {
    "euler:4": {"method": "euler", "options": {"step_size": 0.25}},
    "rk38:4": {"method": "rk4", "options": {"step_size": 0.25}},
    "dopri5@1e-6": {"method": "dopri5", "rtol": 1e-6, "atol": 1e-6},
}


def uniform(p, shape):
    index = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(p << 32)
    u = (splitmix64(index) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return u.reshape(shape)


def channels_last(shape):
    return (shape[0], *shape[2:], shape[1]) if len(shape) > 2 else tuple(shape)


def torch_layout(array):
    moved = np.moveaxis(array, -1, 1) if array.ndim > 2 else array
    return torch.from_numpy(np.ascontiguousarray(moved))


def fill(model):
    """The formula above; the names in order."""
    state = {n: t for n, t in model.state_dict().items() if "num_batches" not in n}
    for p, (name, values) in enumerate(state.items()):
        signed = 2.0 * uniform(p, channels_last(values.shape)) - 1.0
        layer, leaf = name.rsplit(".", 1)
        if "norm" in layer.rsplit(".", 1)[-1] or leaf == "original0":
            signed = 0.1 * signed + (leaf in ("weight", "running_var", "original0"))
        elif leaf not in ("_u", "_v"):
            weight = state.get(f"{layer}.weight", values)
            signed = signed / np.sqrt(float(weight[0].numel()))
        values.copy_(torch_layout(signed))
    for module in model.modules():
        if hasattr(module, "parametrizations"):
            module.train()
            module.weight  # in training, looking is a step
            module.eval()
    return list(state)


def samples(word):
    if word.startswith("spheres"):
        return torch.from_numpy(uniform(1000, (4, 2)) - 0.5)
    shape = (2, 28, 28, 1) if "mnist" in word else (1, 32, 32, 3)
    return torch_layout(uniform(1000, shape))


def make(word):
    model = MODELS[word]().double().eval()
    return model, fill(model)


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        from safetensors.torch import save_file

        dtype = getattr(torch, sys.argv[3] if len(sys.argv) > 3 else "float32")
        save_file(make(sys.argv[1])[0].to(dtype).state_dict(), sys.argv[2])
        return
    entries = []
    for word in MODELS:
        model, names = make(word)
        logits = {}
        for solver, arguments in SOLVERS.items():
            OdeBlock.solver = arguments
            logits[solver] = model(samples(word)).tolist()
        rows = ",\n".join(f"    {json.dumps(s)}: {json.dumps(v)}" for s, v in logits.items())
        entries.append(
            f'{json.dumps(word)}: {{\n  "names": {json.dumps(names)},\n  "logits": {{\n{rows}\n  }}\n}}'
        )
        print(word, sum(p.numel() for p in model.parameters()), logits["euler:4"][0][:2])
    text = "{\n" + ",\n".join(entries) + "\n}\n"
    (Path(__file__).parent / "exchange.json").write_text(text)


if __name__ == "__main__":
    main()
