"""Makes parametrizations.json: weight and spectral normalisation as PyTorch has them, float64.

    python tests/golden/make_parametrizations.py

Each case: a weight (out, in, ..) in PyTorch's layout, values row by row. weight norm: g, the
normed weight and the gradients of sum(c * w). spectral norm: the vectors u and v before a training
pass and after it, the weight of that pass, the gradient, and the weight in evaluation afterwards.
"""

import json
from pathlib import Path

import torch
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

HERE = Path(__file__).parent


def values(tensor):
    return tensor.detach().flatten().tolist()


def layer(shape):
    module = torch.nn.Linear(1, 1, bias=False).double()
    module.weight = torch.nn.Parameter(torch.randn(shape, dtype=torch.float64))
    return module


def main():
    torch.manual_seed(11)
    cases = []
    for shape in [(4, 3), (3, 5), (3, 2, 4), (3, 2, 2, 2)]:
        cotangent = torch.randn(shape, dtype=torch.float64)
        module = layer(shape)
        original = values(module.weight)
        module = weight_norm(module)
        parameters = module.parametrizations.weight
        with torch.no_grad():
            parameters.original0.mul_(1.5)
        (module.weight * cotangent).sum().backward()
        weight = {
            "g": values(parameters.original0),
            "weight": values(module.weight),
            "dg": values(parameters.original0.grad),
            "dv": values(parameters.original1.grad),
        }

        module = layer(shape)
        with torch.no_grad():
            module.weight.copy_(torch.tensor(original, dtype=torch.float64).reshape(shape))
        # Few iterations: the vector is still on its way.
        module = spectral_norm(module, n_power_iterations=1)
        parameters = module.parametrizations.weight
        vectors = [parameters[0]._u, parameters[0]._v]
        for vector in vectors:
            direction = torch.randn(vector.shape, dtype=torch.float64)
            vector.copy_(torch.nn.functional.normalize(direction, dim=0))
        before = [values(vector) for vector in vectors]
        normed = module.weight
        (normed * cotangent).sum().backward()
        after = [values(vector) for vector in vectors]
        module.eval()
        spectral = {
            "before": before,
            "after": after,
            "weight": values(normed),
            "dv": values(parameters.original.grad),
            "evaluated": values(module.weight),
        }
        cases.append(
            {
                "shape": shape,
                "original": original,
                "cotangent": values(cotangent),
                "weight_norm": weight,
                "spectral_norm": spectral,
            }
        )
    (HERE / "parametrizations.json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
