"""Times training steps of a small neural ODE, and solves of Lotka-Volterra, in jitted diffrax on CPU.

    python diffrax_solves.py --case spheres --solver euler:64 --batch 128
    python diffrax_solves.py --case lotka-volterra --solver dopri5@1e-6 --batch 1000

Prints {"cases": [{"name", "min_ms", "median_ms", "samples", "nfe", ..}]}, as `slope bench --json`
does. spheres: the field 2-32-2 with ReLU on the whole batch as one state, a linear classifier,
cross-entropy, gradients, SGD with momentum, float32. lotka-volterra: to t = 10 in float64, without
gradients; more than one sample: each with its own steps (vmap). Solver words are slope's:
METHOD:STEPS or METHOD@TOLERANCE with euler, dopri5, tsit5. --adjoint is how diffrax differentiates.
"""

import argparse
import json
import os
import statistics
import time

METHODS = {"euler": "Euler", "dopri5": "Dopri5", "tsit5": "Tsit5"}
STAGES = {"euler": 1, "dopri5": 6, "tsit5": 6}  # evaluations of an attempted step


def parse(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=["spheres", "lotka-volterra"], default="spheres")
    parser.add_argument("--dim", type=int, default=2, help="of the spheres")
    parser.add_argument("--solver", default="euler:64")
    parser.add_argument("--adjoint", choices=["recursive", "direct"], default="recursive")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=3)
    return parser.parse_args(argv)


def solver_arguments(diffrax, word, adjoint):
    """What diffrax.diffeqsolve calls a solver word of slope, solving from 0."""
    method, _, rest = word.replace("@", ":").partition(":")
    how = {"solver": getattr(diffrax, METHODS[method])()}
    if "@" in word:
        tolerance = float(rest)
        how |= {
            "stepsize_controller": diffrax.PIDController(rtol=tolerance, atol=tolerance),
            "dt0": None,
            "max_steps": 256,
        }
    else:
        how |= {"dt0": 1 / int(rest), "max_steps": int(rest)}
    adjoints = {
        "recursive": diffrax.RecursiveCheckpointAdjoint,
        "direct": diffrax.DirectAdjoint,
    }
    return how | {"adjoint": adjoints[adjoint]()}


def spheres(a, jax, diffrax):
    """One training step, jitted, as a function without arguments; -> attempted steps."""
    jnp = jax.numpy
    how = solver_arguments(diffrax, a.solver, a.adjoint)
    keys = jax.random.split(jax.random.key(0), 5)
    normal = jax.random.normal
    weights = {
        "w1": normal(keys[0], (a.dim, 32)) * (2 / a.dim) ** 0.5,
        "b1": jnp.zeros(32),
        "w2": normal(keys[1], (32, a.dim)) * (2 / 32) ** 0.5,
        "b2": jnp.zeros(a.dim),
        "w": normal(keys[2], (a.dim, 2)) * (2 / a.dim) ** 0.5,
        "b": jnp.zeros(2),
    }
    x = jax.random.uniform(keys[3], (a.batch, a.dim))
    labels = jax.random.randint(keys[4], (a.batch,), 0, 2)

    def field(t, y, p):
        return jax.nn.relu(y @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]

    def loss(p):
        solution = diffrax.diffeqsolve(diffrax.ODETerm(field), t0=0.0, t1=1.0, y0=x, args=p, **how)
        logits = solution.ys[-1] @ p["w"] + p["b"]
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
        return -picked.mean(), solution.stats["num_steps"]

    @jax.jit
    def update(p, velocity):
        gradients, steps = jax.grad(loss, has_aux=True)(p)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradients)
        return jax.tree.map(lambda w, v: w - 0.01 * v, p, velocity), velocity, steps

    state = [weights, jax.tree.map(jnp.zeros_like, weights)]

    def step():
        *state[:], steps = jax.block_until_ready(update(*state))
        return float(steps)

    return step


def lotka_volterra(a, jax, diffrax):
    """All samples from 0 to 10, jitted; -> attempted steps, mean over the samples."""
    jnp = jax.numpy
    how = solver_arguments(diffrax, a.solver, a.adjoint)
    start = jnp.array([10.0, 5.0]) * (1 + 0.1 * jnp.arange(a.batch) / a.batch)[:, None]

    def field(t, y, _):
        meetings = y[0] * y[1]
        return jnp.stack([1.5 * y[0] - meetings, meetings - 3.0 * y[1]])

    def solve(y0):
        solution = diffrax.diffeqsolve(diffrax.ODETerm(field), t0=0.0, t1=10.0, y0=y0, **how)
        return solution.ys[-1], solution.stats["num_steps"]

    run = jax.jit(jax.vmap(solve) if a.batch > 1 else solve)
    y0 = start if a.batch > 1 else start[0]

    def step():
        _, steps = jax.block_until_ready(run(y0))
        return float(steps.mean())

    return step


def main():
    a = parse()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: a.threads])  # before XLA counts them
    import diffrax
    import jax

    if a.case == "lotka-volterra":
        jax.config.update("jax_enable_x64", True)
    step = {"spheres": spheres, "lotka-volterra": lotka_volterra}[a.case](a, jax, diffrax)
    for _ in range(a.warm_up):
        step()
    times = []
    for _ in range(a.samples):
        start = time.perf_counter()
        steps = step()
        times.append((time.perf_counter() - start) * 1e3)
    case = {
        "name": f"{a.case} {a.solver} b{a.batch}",
        "adjoint": a.adjoint,
        "min_ms": min(times),
        "median_ms": statistics.median(times),
        "samples": a.samples,
        "nfe": steps * STAGES[a.solver.replace("@", ":").partition(":")[0]],
        "threads": a.threads,
        "versions": f"jax {jax.__version__}, diffrax {diffrax.__version__}",
    }
    print(json.dumps({"cases": [case]}))


if __name__ == "__main__":
    main()
