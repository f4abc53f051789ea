"""Times one training, evaluation or attack step in PyTorch + torchdiffeq, float32, on CPU.

    python torch_steps.py --what train-step --model odenet-mnist --solver rk4:1 --layout nchw

Prints {"cases": [{"name", "min_ms", "median_ms", "samples", "nfe", ..}]}, as `slope bench --json`
does. A training step is: gradients cleared, forward, cross-entropy, backward, SGD with momentum. An
attack step is PGD with 40 steps of 0.01 in an L-infinity ball of 0.3 from a random start, of a model
whose weights need no gradients. Solver words are slope's: METHOD:STEPS with euler, midpoint, rk2,
heun2, rk4 (classical), rk38, or dopri5@TOLERANCE. Models are those of published_models.py;
odenet-mnist has its activations in place, which is faster.
"""

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F
import torchdiffeq
from odenet_mnist import OdeNet
from published_models import MODELS, OdeBlock, spheres_mlp
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
METHODS = {"rk4": "classical", "rk38": "rk4", "rk2": "midpoint"}
LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
SAMPLE_SHAPES = {"premetanode10": (3, 32, 32), "odenet-pixels": (3, 32, 32)}  # others: digits
PGD = {"eps": 0.3, "step": 0.01, "iterations": 40}


def solver_arguments(word):
    """What torchdiffeq.odeint calls a solver word of slope."""
    if "@" in word:
        method, tolerance = word.split("@")
        return {"method": method, "rtol": float(tolerance), "atol": float(tolerance)}
    method, _, steps = word.partition(":")
    return {"method": METHODS.get(method, method), "options": {"step_size": 1.0 / int(steps or 1)}}


def make_model(a):
    """The model and one batch of samples (N, C, H, W), or (N, D) for the spheres."""
    solver = solver_arguments(a.solver)
    if a.model == "spheres-mlp":
        OdeBlock.solver = solver
        return spheres_mlp(a.dim), torch.rand(a.batch, a.dim)
    if a.model == "odenet-mnist":
        adjoint = a.gradient == "adjoint"
        odeint = torchdiffeq.odeint_adjoint if adjoint else torchdiffeq.odeint
        model = OdeNet(solver, odeint=odeint)
    elif a.gradient == "through":
        OdeBlock.solver = solver
        model = MODELS[a.model]()
    else:
        raise SystemExit("the adjoint is here for odenet-mnist only")
    memory_format = LAYOUTS[a.layout]
    x = torch.rand(a.batch, *SAMPLE_SHAPES.get(a.model, (1, 28, 28)))
    return model.to(memory_format=memory_format), x.contiguous(memory_format=memory_format)


def evaluations_of(model):
    """A function that says how often fields were evaluated so far."""
    if isinstance(model, OdeNet):
        return lambda: model.ode.evaluations
    return lambda: OdeBlock.evaluations


def make_step(what, model, x):
    """A function that does one step."""
    classes = 2 if x.ndim == 2 else 10
    labels = torch.randint(0, classes, (len(x),))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
    if what == "attack-step":
        model.requires_grad_(False)

    def train_step():
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), labels).backward()
        optimiser.step()

    @torch.no_grad()
    def eval_step():
        model(x)

    def attack_step():
        eps = PGD["eps"]
        attacked = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp_(0, 1)
        for _ in range(PGD["iterations"]):
            attacked.requires_grad_(True)
            loss = F.cross_entropy(model(attacked), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, attacked)
            with torch.no_grad():
                attacked = attacked + PGD["step"] * gradient.sign()
                attacked = torch.minimum(torch.maximum(attacked, x - eps), x + eps).clamp_(0, 1)
        with torch.no_grad():
            model(attacked).argmax(1)

    return {"train-step": train_step, "eval-step": eval_step, "attack-step": attack_step}[what]


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
    parser.add_argument(
        "--what", choices=["train-step", "eval-step", "attack-step"], default="train-step"
    )
    parser.add_argument("--model", choices=MODELS, default="odenet-mnist")
    parser.add_argument("--dim", type=int, default=2, help="of the spheres")
    parser.add_argument("--solver", default="rk4:1")
    parser.add_argument("--gradient", choices=["through", "adjoint"], default="through")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--layout", choices=LAYOUTS, default="nchw")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=3)
    a = parser.parse_args()

    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    model, x = make_model(a)
    step, evaluations = make_step(a.what, model, x), evaluations_of(model)
    times = measure(step, a.samples, a.warm_up)
    before = evaluations()
    step()
    case = {
        "name": f"{a.what} {a.model} {a.solver} b{a.batch}",
        "layout": a.layout,
        "min_ms": min(times),
        "median_ms": statistics.median(times),
        "samples": a.samples,
        "nfe": evaluations() - before,
        "threads": a.threads,
        "versions": f"torch {torch.__version__}, torchdiffeq {torchdiffeq.__version__}",
    }
    print(json.dumps({"cases": [case]}))


if __name__ == "__main__":
    main()
