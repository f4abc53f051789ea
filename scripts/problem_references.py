#!/usr/bin/env python3
"""Reference values of the built-in problems that have no formula: apps/problems/references.inc.

Two independent methods of their own, neither of them a Runge-Kutta pair of slope's:
  * Gragg-Bulirsch-Stoer extrapolation of order 16 in 80-bit arithmetic, for what is not stiff;
  * Radau IIA with 5 stages (order 9) by full Newton in 40 digits (mpmath), for what is.
Each value is computed twice, the second time with half the step; the script stops if the two differ
by more than 1e-14 of the largest component (1e-12 where errors grow along the solution), and prints
by how much.

    python3 scripts/problem_references.py > apps/problems/references.inc
"""

import sys

import mpmath as mp
import numpy as np

real = np.longdouble
vector = lambda *values: np.array([real(v) for v in values], dtype=real)


# ---- Gragg-Bulirsch-Stoer (Hairer, Norsett, Wanner, Solving ODEs I, II.9) ------------------------
def extrapolation_step(f, t, y, h, columns=8):
    rows = []
    for j in range(1, columns + 1):
        n = 2 * j
        step = h / n
        before, now = y, y + step * f(t, y)
        for i in range(1, n):
            before, now = now, before + 2 * step * f(t + i * step, now)
        rows.append([now])
        for k in range(1, j):
            ratio = (real(n) / real(2 * (j - k))) ** 2
            rows[-1].append(rows[-1][k - 1] + (rows[-1][k - 1] - rows[-2][k - 1]) / (ratio - 1))
    return rows[-1][-1]


def extrapolate(f, y0, times, steps):
    """The state at each time; steps: per interval between times."""
    t, y, states = real(0), y0, []
    for end in times:
        h = (real(end) - t) / steps
        start = t
        for i in range(steps):
            y = extrapolation_step(f, start + i * h, y, h)
        t = real(end)
        states.append(y)
    return states


# ---- Radau IIA, 5 stages ---------------------------------------------------------------------------
class Radau:
    def __init__(self, stages=5):
        mp.mp.dps = 40
        # Nodes: zeros of the derivative of x^(s-1) (x-1)^s; weights by collocation.
        s = stages
        polynomial = mp.taylor(lambda x: mp.diff(lambda z: z ** (s - 1) * (z - 1) ** s, x, s - 1), 0, s)
        self.c = sorted(mp.re(r) for r in mp.polyroots(polynomial[::-1], maxsteps=200, extraprec=200))
        vandermonde = mp.matrix(s, s)
        integrals = mp.matrix(s, s)
        for i in range(s):
            for j in range(s):
                vandermonde[i, j] = self.c[i] ** j
                integrals[i, j] = self.c[i] ** (j + 1) / (j + 1)
        self.a = integrals * vandermonde ** -1
        self.stages = s

    def step(self, f, jacobian, y, h):
        """f: autonomous, list -> list; jacobian: list -> list of rows."""
        s, n = self.stages, len(y)
        z = [mp.mpf(0)] * (s * n)  # stage values minus y
        j = jacobian(y)
        system = mp.eye(s * n)
        for p in range(s):
            for q in range(s):
                for i in range(n):
                    for k in range(n):
                        system[p * n + i, q * n + k] -= h * self.a[p, q] * j[i][k]
        inverse = system ** -1
        for _ in range(60):
            slopes = [f([y[i] + z[p * n + i] for i in range(n)]) for p in range(s)]
            residual = mp.matrix(s * n, 1)
            for p in range(s):
                for i in range(n):
                    residual[p * n + i] = h * mp.fsum(self.a[p, q] * slopes[q][i] for q in range(s)) - z[p * n + i]
            change = inverse * residual
            z = [z[i] + change[i] for i in range(s * n)]
            if max(abs(change[i]) for i in range(s * n)) < mp.mpf(10) ** -32 * max(1, max(abs(v) for v in y)):
                return [y[i] + z[(s - 1) * n + i] for i in range(n)]
        return None

    def solve(self, f, jacobian, y0, times, tolerance, first):
        """Step doubling keeps each step's error near the tolerance."""
        t, y, h, states = mp.mpf(0), [mp.mpf(v) for v in y0], mp.mpf(first), []
        for end in times:
            end = mp.mpf(end)
            while t < end:
                h = min(h, end - t)
                whole = self.step(f, jacobian, y, h)
                half = self.step(f, jacobian, y, h / 2)
                fine = half and self.step(f, jacobian, half, h / 2)
                if not whole or not fine:
                    h /= 4
                    continue
                error = max(abs(a - b) / (abs(a) + mp.mpf(10) ** -8) for a, b in zip(fine, whole)) / tolerance
                if error <= 1:
                    t = end if h == end - t else t + h
                    y = fine
                h *= min(4, max(mp.mpf(1) / 5, mp.mpf(0.9) * (1 / max(error, mp.mpf(10) ** -20)) ** mp.mpf(0.1)))
            states.append(y)
        return states


# ---- the problems --------------------------------------------------------------------------------
def planets():
    k2, m0 = real(2.95912208286), real(1.00000597682)
    m = vector(0.000954786104043, 0.000285583733151, 0.0000437273164546, 0.0000517759138449, 0.00000277777777778)
    r = vector(3.42947415189, 3.35386959711, 1.35494901715, 6.64145542550, 5.97156957878, 2.18231499728,
               11.2630437207, 14.6952576794, 6.27960525067, -30.1552268759, 1.65699966404, 1.43785752721,
               -21.1238353380, 28.4465098142, 15.3882659679)
    v = vector(-0.557160570446, 0.505696783289, 0.230578543901, -0.415570776342, 0.365682722812, 0.169143213293,
               -0.325325669158, 0.189706021964, 0.0877265322780, -0.0240476254170, -0.287659532608, -0.117219543175,
               -0.176860753121, -0.216393453025, -0.0148647893090)

    def f(t, y):
        at, speed = y[:15].reshape(5, 3), y[15:]
        pull = np.zeros((5, 3), dtype=real)
        for j in range(5):
            pull[j] = -(m0 + m[j]) * at[j] / np.sum(at[j] ** 2) ** real(1.5)
            for k in range(5):
                if k != j:
                    d = at[k] - at[j]
                    pull[j] += m[k] * (d / np.sum(d ** 2) ** real(1.5) - at[k] / np.sum(at[k] ** 2) ** real(1.5))
        return np.concatenate([speed, k2 * pull.reshape(15)])

    return f, np.concatenate([r, v])


def minima_force(x):
    coefficients = [1.2, -2.5, -0.768, 2.364, 0.176, -0.192]  # V'(x), from x^5 down
    value = real(0)
    for c in coefficients:
        value = value * x + real(c)
    return value


def euler_rigid(t, y):
    return np.array([y[1] * y[2], -y[0] * y[2], -real(0.51) * y[0] * y[1]])


NOT_STIFF = {  # name: f, y0, times, steps per interval, allowed difference
    "lotka-volterra": (lambda t, y: np.array([real(1.5) * y[0] - y[0] * y[1], y[0] * y[1] - 3 * y[1]]),
                       vector(10, 5), [10], 200, 1e-14),
    "vanderpol,mu=5": (lambda t, y: np.array([y[1], 5 * (1 - y[0] ** 2) * y[1] - y[0]]), vector(2, 0), [20], 1600, 1e-14),
    "pendulum": (lambda t, y: np.array([y[1], -np.sin(y[0])]), vector(2, 0), [10], 80, 1e-14),
    "minima": (lambda t, y: np.array([y[1], -minima_force(y[0]) - real(0.2) * y[1]]), vector(2, 1.5), [100], 1200, 1e-14),
    "detest-a5": (lambda t, y: (y - t) / (y + t), vector(4), [20], 200, 1e-14),
    "detest-b1": (lambda t, y: np.array([2 * (y[0] - y[0] * y[1]), -(y[1] - y[0] * y[1])]), vector(1, 3), [20], 400, 1e-14),
    "detest-b3": (lambda t, y: np.array([-y[0], y[0] - y[1] ** 2, y[1] ** 2]), vector(1, 0, 0), [20], 100, 1e-14),
    "detest-b5": (euler_rigid, vector(0, 1, 1), [20], 100, 1e-14),
    "detest-c5": (*planets(), [20], 50, 1e-14),
    "detest-e2": (lambda t, y: np.array([y[1], (1 - y[0] ** 2) * y[1] - y[0]]), vector(2, 0), [20], 400, 1e-14),
    "detest-e3": (lambda t, y: np.array([y[1], y[0] ** 3 / 6 - y[0] + 2 * np.sin(real(2.78535) * t)]), vector(0, 0), [20], 300, 1e-14),
}

def robertson(y):
    slow, back, fast = mp.mpf(0.04) * y[0], mp.mpf(1e4) * y[1] * y[2], mp.mpf(3e7) * y[1] ** 2
    return [back - slow, slow - back - fast, fast]


def robertson_jacobian(y):
    k1, k2, k3 = mp.mpf(0.04), mp.mpf(1e4), mp.mpf(3e7)
    return [[-k1, k2 * y[2], k2 * y[1]], [k1, -k2 * y[2] - 2 * k3 * y[1], -k2 * y[1]], [0, 2 * k3 * y[1], 0]]


def stiff_vanderpol(mu):
    f = lambda y: [y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]]
    jacobian = lambda y: [[mp.mpf(0), mp.mpf(1)], [-2 * mu * y[0] * y[1] - 1, mu * (1 - y[0] ** 2)]]
    return f, jacobian


STIFF = {  # name: f, jacobian, y0, times, first step
    "robertson": (robertson, robertson_jacobian, [1, 0, 0], [0.4, 4, 40, 100, 1e3, 1e4, 1e5], 1e-5),
    "vanderpol,mu=1000": (*stiff_vanderpol(mp.mpf(1000)), [2, 0], [1000, 2000], 1e-4),
}


def report(name, time, fine, coarse, allowed):
    scale = max(abs(v) for v in fine)
    difference = max(abs(a - b) for a, b in zip(fine, coarse)) / scale
    print(f"{name} at {time:g}: two computations differ by {float(difference):.1e}", file=sys.stderr)
    if difference > allowed:
        sys.exit(f"{name}: the two computations differ by too much")
    values = ", ".join(repr(float(v)) for v in fine)
    print(f'{{"{name}", {time!r}, {{{values}}}}},')


def main():
    print("// Made by scripts/problem_references.py: name, time, state.")
    print("// clang-format off")
    for name, (f, y0, times, steps, allowed) in NOT_STIFF.items():
        coarse, fine = extrapolate(f, y0, times, steps), extrapolate(f, y0, times, 2 * steps)
        for time, a, b in zip(times, fine, coarse):
            report(name, float(time), a, b, allowed)
    method = Radau()
    for name, (f, jacobian, y0, times, first) in STIFF.items():
        coarse, fine = (method.solve(f, jacobian, y0, times, mp.mpf(10) ** -digits, first) for digits in (15, 17))
        for time, a, b in zip(times, fine, coarse):
            report(name, float(time), a, b, 1e-12)


if __name__ == "__main__":
    main()
