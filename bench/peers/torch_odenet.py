"""Times one step of odenet-mnist in PyTorch + torchdiffeq, float32, on CPU.

    python torch_odenet.py --what train-step --solver rk4:1 --layout nchw --threads 2

Prints {"cases": [{"name", "layout", "min_ms", "median_ms", "samples", "nfe", ..}]}, as `slope bench
--json` does. A training step is: gradients cleared, forward, cross-entropy, backward, SGD with
momentum. Solver words are slope's: METHOD:STEPS with euler, midpoint, heun2, rk4 (classical), rk38,
or dopri5@TOLERANCE.
"""

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F
import torchdiffeq
from odenet_mnist import OdeNet
from torchdiffeq._impl import rk_common
from torchdiffeq._impl.odeint import SOLVERS
from torchdiffeq._impl.solvers import FixedGridODESolver


class ClassicalRK4(FixedGridODESolver):
    """torchdiffeq has the classical step but no method of that name: its rk4 is the 3/8 rule."""

    order = 4

    def _step_func(self, func, t0, dt, t1, y0):
        f0 = func(t0, y0)
        return rk_common.rk4_step_func(func, t0, dt, t1, y0, f0=f0), f0


SOLVERS["classical"] = ClassicalRK4
METHODS = {"rk4": "classical", "rk38": "rk4"}
LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}


def solver_arguments(word):
    """What torchdiffeq.odeint calls a solver word of slope."""
    if "@" in word:
        method, tolerance = word.split("@")
        return {"method": method, "rtol": float(tolerance), "atol": float(tolerance)}
    method, _, steps = word.partition(":")
    return {"method": METHODS.get(method, method), "options": {"step_size": 1.0 / int(steps or 1)}}


def make_step(what, solver, batch, layout):
    """A function that does one step, and the model it works on."""
    torch.manual_seed(0)
    memory_format = LAYOUTS[layout]
    model = OdeNet(solver_arguments(solver)).to(memory_format=memory_format)
    x = torch.rand(batch, 1, 28, 28).contiguous(memory_format=memory_format)
    labels = torch.randint(0, 10, (batch,))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)

    def train_step():
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), labels).backward()
        optimiser.step()

    @torch.no_grad()
    def eval_step():
        model(x)

    return {"train-step": train_step, "eval-step": eval_step}[what], model


def measure(step, samples, warm_up):
    """Milliseconds of each sample."""
    for _ in range(warm_up):
        step()
    times = []
    for _ in range(samples):
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--what", choices=["train-step", "eval-step"], default="train-step")
    parser.add_argument("--solver", default="rk4:1")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--layout", choices=LAYOUTS, default="nchw")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=5)
    a = parser.parse_args()

    torch.set_num_threads(a.threads)
    step, model = make_step(a.what, a.solver, a.batch, a.layout)
    times = measure(step, a.samples, a.warm_up)
    model.ode.evaluations = 0
    step()
    case = {
        "name": f"{a.what} odenet-mnist {a.solver} b{a.batch}",
        "layout": a.layout,
        "min_ms": min(times),
        "median_ms": statistics.median(times),
        "samples": a.samples,
        "nfe": model.ode.evaluations,
        "threads": a.threads,
        "versions": f"torch {torch.__version__}, torchdiffeq {torchdiffeq.__version__}",
    }
    print(json.dumps({"cases": [case]}))


if __name__ == "__main__":
    main()
