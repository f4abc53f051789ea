"""Makes odes.json: Runge-Kutta steps with 50 digits, and what torchdiffeq's dopri5 does.

    python tests/golden/make_odes.py        (takes two minutes; needs mpmath, torch, torchdiffeq)

steps     one step of size h from (t, y): every stage's slope k, the result y1 and, where the method
          has one, the error h * sum(e_i k_i). Starts are float64 numbers, arithmetic has 50 digits,
          results are rounded once. Each step has been compared with torchdiffeq's own before it is
          written.
solves    `steps` equal steps from t0 to t1.
adaptive  torchdiffeq's dopri5 in float64, rtol = atol = tolerance, automatic first step.
          `overshoot` is its own way, going past t1 and interpolating; `clip` makes it end a step at
          t1, as slope does. `evaluations` includes the two of the first step's choice; `exact` is
          the true solution at t1, so that a test can ask for the error too. Rounding at the limit
          of acceptance may move a count by one attempt (6 evaluations).
"""

import json
import warnings
from fractions import Fraction
from pathlib import Path

import mpmath as mp
import torch
import torchdiffeq
from torchdiffeq._impl import rk_common
from torchdiffeq._impl.dopri5 import _DORMAND_PRINCE_SHAMPINE_TABLEAU as TORCH_DOPRI5

mp.mp.dps = 50
# A fixed method that does not call the counters of adaptive ones says so each time.
warnings.filterwarnings("ignore", message=".*does not support callbacks.*")

# Problems: f(t, y) in the arithmetic of its arguments; `cos` and `sin` come from the caller.
LINEAR = [[-1.0, 2.0, 0.0], [-2.0, -1.0, 1.0], [0.0, -1.0, -0.5]]
MU = 5.0

PROBLEMS = {
    "cosine": lambda t, y, m: [y[0] * m.cos(t)],
    "sine": lambda t, y, m: [m.sin(y[0])],
    "linear": lambda t, y, m: [sum(a * x for a, x in zip(row, y)) for row in LINEAR],
    "lotka-volterra": lambda t, y, m: [1.5 * y[0] - y[0] * y[1], y[0] * y[1] - 3 * y[1]],
    "vanderpol": lambda t, y, m: [y[1], MU * (1 - y[0] * y[0]) * y[1] - y[0]],
}
WHAT = {
    "cosine": "y' = y cos t",
    "sine": "y' = sin y",
    "linear": f"y' = A y, A = {LINEAR}",
    "lotka-volterra": "x' = 1.5 x - x y, y' = x y - 3 y",
    "vanderpol": "x' = v, v' = 5 (1 - x^2) v - x",
}

# Tableaus as rational numbers: the rows of a, then b, then the error weights b - b_embedded.
F = Fraction
TABLEAUS = {
    "euler": ([], [F(1)], None),
    "heun2": ([[F(1)]], [F(1, 2), F(1, 2)], None),
    "rk4": (
        [[F(1, 2)], [F(0), F(1, 2)], [F(0), F(0), F(1)]],
        [F(1, 6), F(1, 3), F(1, 3), F(1, 6)],
        None,
    ),
    "rk38": (
        [[F(1, 3)], [F(-1, 3), F(1)], [F(1), F(-1), F(1)]],
        [F(1, 8), F(3, 8), F(3, 8), F(1, 8)],
        None,
    ),
    # Dormand and Prince 1980; the error row is Shampine's of 1986, which torchdiffeq uses.
    "dopri5": (
        [
            [F(1, 5)],
            [F(3, 40), F(9, 40)],
            [F(44, 45), F(-56, 15), F(32, 9)],
            [F(19372, 6561), F(-25360, 2187), F(64448, 6561), F(-212, 729)],
            [F(9017, 3168), F(-355, 33), F(46732, 5247), F(49, 176), F(-5103, 18656)],
            [F(35, 384), F(0), F(500, 1113), F(125, 192), F(-2187, 6784), F(11, 84)],
        ],
        [F(35, 384), F(0), F(500, 1113), F(125, 192), F(-2187, 6784), F(11, 84), F(0)],
        [
            F(35, 384) - F(1951, 21600),
            F(0),
            F(500, 1113) - F(22642, 50085),
            F(125, 192) - F(451, 720),
            F(-2187, 6784) + F(12231, 42400),
            F(11, 84) - F(649, 6300),
            F(-1, 60),
        ],
    ),
}


def exactly(x):
    """A fraction or a float64 as a number of 50 digits, without rounding a float64."""
    return mp.mpf(x.numerator) / x.denominator if isinstance(x, Fraction) else mp.mpf(x)


def rounded(values):
    return [float(v) for v in values]


def step(method, f, t, y, h):
    """One explicit step in mpmath: slopes, y1, error (or None)."""
    rows, b, e = TABLEAUS[method]

    def combine(weights, slopes):
        return [
            sum((exactly(w) * k[i] for w, k in zip(weights, slopes)), mp.mpf(0))
            for i in range(len(y))
        ]

    slopes = [f(t, y, mp)]
    for row in rows:
        stage = [y_i + h * c for y_i, c in zip(y, combine(row, slopes))]
        slopes.append(f(t + h * exactly(sum(row)), stage, mp))
    y1 = [y_i + h * c for y_i, c in zip(y, combine(b, slopes))]
    return slopes, y1, [h * c for c in combine(e, slopes)] if e else None


class TorchField(torch.nn.Module):
    """A problem for torchdiffeq, which counts evaluations and steps."""

    def __init__(self, name):
        super().__init__()
        self.f = PROBLEMS[name]
        self.evaluations = self.accepted = self.rejected = 0
        self.first_step = None

    def forward(self, t, y, perturb=None):
        self.evaluations += 1
        return torch.stack(self.f(t, list(y), torch))

    def callback_step(self, t, y, h):
        if self.first_step is None:
            self.first_step = float(h)

    def callback_accept_step(self, t, y, h):
        self.accepted += 1

    def callback_reject_step(self, t, y, h):
        self.rejected += 1


def torch_step(method, name, t, y, h):
    """The same step by torchdiffeq, as [y1, error or None]."""
    field = TorchField(name)
    t, h, y = (torch.tensor(v, dtype=torch.float64) for v in (t, h, y))
    if method == "dopri5":
        y1, _, error, _ = rk_common._runge_kutta_step(
            field, y, field(t, y), t, h, t + h, TORCH_DOPRI5
        )
        return y1.tolist(), error.tolist()
    if method == "rk4":  # no public method of torchdiffeq is the classical one
        return (y + rk_common.rk4_step_func(field, t, h, t + h, y)).tolist(), None
    method = {"rk38": "rk4"}.get(method, method)
    return torchdiffeq.odeint(field, y, torch.stack([t, t + h]), method=method)[-1].tolist(), None


def check_close(what, got, true, bound=1e-14):
    scale = max(abs(v) for v in true)
    worst = max(abs(g - v) for g, v in zip(got, true))
    if worst > bound * max(scale, 1.0):
        raise SystemExit(f"{what}: torchdiffeq gives {got}, 50 digits give {true}")


STEP_STARTS = {"cosine": [1.25], "sine": [0.75], "linear": [1.0, -0.5, 2.0]}


def steps():
    for name, y in STEP_STARTS.items():
        for method in TABLEAUS:
            for t, h in [(0.3, 0.25), (1.0, -0.5)]:
                slopes, y1, error = step(
                    method, PROBLEMS[name], mp.mpf(t), [mp.mpf(v) for v in y], mp.mpf(h)
                )
                torch_y1, torch_error = torch_step(method, name, t, y, h)
                check_close(f"{method} on {name}", torch_y1, rounded(y1))
                row = {
                    "problem": name,
                    "method": method,
                    "t": t,
                    "h": h,
                    "y": y,
                    "slopes": [rounded(k) for k in slopes],
                    "y1": rounded(y1),
                }
                if error:
                    check_close(f"{method} on {name}, error", torch_error, rounded(error))
                    row["error"] = rounded(error)
                yield row


def solves():
    t0, t1, n = 0.0, 2.0, 8
    for name, y0 in STEP_STARTS.items():
        for method in TABLEAUS:
            h = mp.mpf(t1 - t0) / n
            y = [mp.mpf(v) for v in y0]
            for i in range(n):
                y = step(method, PROBLEMS[name], t0 + i * h, y, h)[1]
            yield {
                "problem": name,
                "method": method,
                "t0": t0,
                "t1": t1,
                "steps": n,
                "y0": y0,
                "y1": rounded(y),
            }


# problem -> start, end time
ADAPTIVE = {
    "cosine": ([1.0], 10.0),
    "sine": ([1.0], 4.0),
    "linear": ([1.0, -0.5, 2.0], 5.0),
    "lotka-volterra": ([10.0, 5.0], 10.0),
    "vanderpol": ([2.0, 0.0], 20.0),
}


def exact(name, y0, t1):
    """The true solution at t1 from t = 0."""
    y0 = [mp.mpf(v) for v in y0]
    if name == "cosine":
        return [y0[0] * mp.exp(mp.sin(t1))]
    if name == "sine":
        return [2 * mp.atan(mp.tan(y0[0] / 2) * mp.exp(t1))]
    if name == "linear":
        return list(mp.expm(mp.matrix(LINEAR) * t1) * mp.matrix(y0))
    # Equal dopri5 steps, halved until they settle; the fifth-order error is extrapolated away.
    n, previous = 4000, None
    coarse = integrate(name, y0, t1, n)
    while n < 64000:
        n *= 2
        fine = integrate(name, y0, t1, n)
        value = [f + (f - c) / 31 for f, c in zip(fine, coarse)]
        if previous and max(abs(v - p) for v, p in zip(value, previous)) < 1e-15:
            return value
        coarse, previous = fine, value
    raise SystemExit(f"{name}: the true solution has not settled")


def integrate(name, y, t1, n):
    with mp.workdps(25):
        h = mp.mpf(t1) / n
        for i in range(n):
            y = step("dopri5", PROBLEMS[name], i * h, y, h)[1]
    return y


def adaptive():
    for name, (y0, t1) in ADAPTIVE.items():
        true = rounded(exact(name, y0, t1))
        for tolerance in (1e-3, 1e-6):
            row = {"problem": name, "tolerance": tolerance, "t1": t1, "y0": y0, "exact": true}
            for way, options in [("overshoot", {}), ("clip", {"step_t": torch.tensor([t1])})]:
                field = TorchField(name)
                y1 = torchdiffeq.odeint(
                    field,
                    torch.tensor(y0, dtype=torch.float64),
                    torch.tensor([0.0, t1], dtype=torch.float64),
                    method="dopri5",
                    rtol=tolerance,
                    atol=tolerance,
                    options=options,
                )[-1].tolist()
                row["first_step"] = field.first_step
                row[way] = {
                    "evaluations": field.evaluations,
                    "accepted": field.accepted,
                    "rejected": field.rejected,
                    "y1": y1,
                }
            yield row
            print(json.dumps(row))


def main():
    parts = {
        "problems": [{"problem": k, "what": v} for k, v in WHAT.items()],
        "steps": list(steps()),
        "solves": list(solves()),
        "adaptive": list(adaptive()),
    }
    text = ",\n".join(
        f'"{key}": [\n' + ",\n".join("  " + json.dumps(row) for row in rows) + "\n]"
        for key, rows in parts.items()
    )
    (Path(__file__).parent / "odes.json").write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    main()
