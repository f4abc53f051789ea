#!/usr/bin/env python3
"""Writes core/ops/scalar_polynomials.h: scripts/scalar_polynomials.py > core/ops/scalar_polynomials.h

Needs mpmath and about a minute. Nobody needs to run it to build or test slope: the result is committed.
It is here so that every coefficient can be made again, and another degree can be tried.

Each polynomial is the one whose largest weighted error over its interval is smallest (Remez exchange on
a grid of Chebyshev nodes). The weight turns an error of the polynomial into a relative error of the
function it serves. Coefficients are rounded one after the other, lowest power first, and the rest is
fitted again each time, so that later coefficients absorb the rounding of earlier ones.
"""
import mpmath as mp
from mpmath import mpf

mp.mp.dps = 45
FLOAT, DOUBLE = 24, 53  # bits of a significand


def weighted_error(target, weight, grid, known):
    """Largest |weight * (target - sum of known coefficient * x^power)| over the grid."""
    return max(abs(w * (t - sum(c * x**k for k, c in known)))
               for x, t, w in zip(grid, target, weight))


def remez(target, weight, grid, powers, known):
    """Coefficients of x^power, for the powers given, that minimise the largest weighted error."""
    unknowns, last = len(powers), len(grid) - 1
    rest = [t - sum(c * x**k for k, c in known) for x, t in zip(grid, target)]
    basis = [[x**k for k in powers] for x in grid]
    chosen = [int(last * (i + 0.5) / (unknowns + 1)) for i in range(unknowns + 1)]
    best, smallest = None, mp.inf
    for _ in range(30):
        # Errors of equal size and alternating sign at the chosen points ...
        system, right = mp.matrix(unknowns + 1), mp.matrix(unknowns + 1, 1)
        for row, g in enumerate(chosen):
            for column in range(unknowns):
                system[row, column] = weight[g] * basis[g][column]
            system[row, unknowns] = (-1) ** row
            right[row] = weight[g] * rest[g]
        solution = mp.lu_solve(system, right)
        coefficients, level = list(solution)[:unknowns], abs(solution[unknowns])
        error = [w * (r - mp.fdot(coefficients, b)) for w, r, b in zip(weight, rest, basis)]
        largest = max(map(abs, error))
        if largest < smallest:
            best, smallest = coefficients, largest
        if largest <= level * mpf("1.001"):
            break
        # ... then move each point to the worst place between two sign changes.
        peaks, start = [], 0
        while start <= last:
            end = start
            while end <= last and (error[end] >= 0) == (error[start] >= 0):
                end += 1
            peaks.append(max(range(start, end), key=lambda g: abs(error[g])))
            start = end
        while len(peaks) > unknowns + 1:
            peaks.pop(0 if abs(error[peaks[0]]) < abs(error[peaks[-1]]) else -1)
        if len(peaks) <= unknowns:
            break
        chosen = peaks
    return best


def rounded(value, bits):
    mantissa, exponent = mp.frexp(value)
    return mp.ldexp(mp.nint(mp.ldexp(mantissa, bits)), int(exponent) - bits)


def fit(target, weight, low, high, terms, bits):
    """(coefficients rounded to bits, lowest power first; largest weighted error)"""
    nodes = 40 * terms
    grid = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (i + mpf(1) / 2) / nodes)
            for i in range(nodes)]
    values, weights = [target(x) for x in grid], [weight(x) for x in grid]
    known = []
    for power in range(terms):
        best = remez(values, weights, grid, range(power, terms), known)
        known.append((power, rounded(best[0], bits)))
    return [c for _, c in known], weighted_error(values, weights, grid, known)


def series(term, count=60):
    return lambda x: mp.fsum(term(k) * x**k for k in range(count))


def odd(function, linear):
    """z -> (function(x) / x - linear) / z with z = x^2"""
    def value(z):
        x = mp.sqrt(z)
        return (function(x) / x - linear) / z
    return value


LN2 = mp.log(2)
QUARTER = mp.pi / 4 * mpf("1.001")  # the rounding of x * 2/pi may leave a little more than pi/4
SQRT_HALF = mp.sqrt(mpf(1) / 2)
S2 = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2

exp_tail = series(lambda k: 1 / mp.factorial(k + 2))
sin_tail = series(lambda k: (-1) ** (k + 1) / mp.factorial(2 * k + 3))
cos_tail = series(lambda k: (-1) ** k / mp.factorial(2 * k + 4))
log_series = series(lambda k: mpf(2) / (2 * k + 3))  # (log((1+s)/(1-s)) - 2s) / (s z)
pow_series = series(lambda k: mpf(2) / (2 * k + 5))  # the same less its first term, over z
atanh_over_s = series(lambda k: mpf(2) / (2 * k + 1))
ERF_SLOPE = 2 / mp.sqrt(mp.pi)


def log_cubic(f):
    return 2 * (mp.log1p(f) - f + f * f / 2) / f**3


# name, argument, what it approximates, accuracy of what, target, weight, interval, terms per type
POLYNOMIALS = [
    ("exp_tail", "r", "(e^r - 1 - r) / r^2 for |r| <= ln(2) / 2", "e^r - 1",
     exp_tail, lambda r: r * r / abs(mp.expm1(r)), -LN2 / 2, LN2 / 2, {FLOAT: 5, DOUBLE: 11}),
    ("log_cubic", "f", "(log(1 + f) - f + f^2 / 2) / (f^3 / 2) for 1 + f in [sqrt(1/2), sqrt(2)]",
     "log(1 + f)", log_cubic, lambda f: abs(f**3 / 2 / mp.log1p(f)), SQRT_HALF - 1, mp.sqrt(2) - 1,
     {FLOAT: 8}),
    ("unit_log_cubic", "e", "the same for e in [0, 1]", "log(1 + e)", log_cubic,
     lambda e: e**3 / 2 / mp.log1p(e), mpf(0), mpf(1), {FLOAT: 8}),
    ("log_series", "z", "(log((1 + s) / (1 - s)) - 2 s) / s^3 with z = s^2, s = f / (2 + f), f as above",
     "the logarithm", log_series, lambda z: z / atanh_over_s(z), mpf(0), S2, {DOUBLE: 7}),
    ("unit_log_series", "z", "the same for f in [0, 1]", "the logarithm",
     log_series, lambda z: z / atanh_over_s(z), mpf(0), mpf(1) / 9, {DOUBLE: 10}),
    ("log_series_rest", "z", "(log_series(z) - 2/3) / z for f as in log_cubic", "the logarithm",
     pow_series, lambda z: z * z / atanh_over_s(z), mpf(0), S2, {DOUBLE: 8}),
    ("sin_tail", "z", "(sin(r) - r) / r^3 with z = r^2, |r| <= pi / 4", "the sine",
     sin_tail, lambda z: z / (1 + z * sin_tail(z)), mpf(0), QUARTER**2, {FLOAT: 3, DOUBLE: 6}),
    ("cos_tail", "z", "(cos(r) - 1 + r^2 / 2) / r^4 with z = r^2, |r| <= pi / 4", "the cosine",
     cos_tail, lambda z: z * z / (1 - z / 2 + z * z * cos_tail(z)), mpf(0), QUARTER**2,
     {FLOAT: 3, DOUBLE: 6}),
    ("tanh_tail", "z", "(tanh(x) - x) / x^3 with z = x^2, |x| <= 0.625", "tanh",
     odd(mp.tanh, 1), lambda z: z * mp.sqrt(z) / mp.tanh(mp.sqrt(z)), mpf(0), mpf("0.625") ** 2,
     {FLOAT: 5, DOUBLE: 11}),
    ("erf_slope", "z", "erf(x) / x - 1 with z = x^2, |x| <= 1", "erf",
     lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)),
     mpf(0), mpf(1), {FLOAT: 7, DOUBLE: 12}),
    ("erf_exponent", "x", "-log(1 - erf(x)) for x from 1 to where erf rounds to 1 (3.95; 5.95)", "erf",
     lambda x: -mp.log(mp.erfc(x)), lambda x: mp.erfc(x) / mp.erf(x), mpf(1),
     {FLOAT: mpf("3.95"), DOUBLE: mpf("5.95")}, {FLOAT: 7, DOUBLE: 18}),
]

HEAD = """\
// Polynomials behind the functions of scalar.h, written by scripts/scalar_polynomials.py.
//
// Each is the polynomial with the smallest largest error on its interval (Remez), its coefficients
// rounded to the type one after the other. "within" is the relative error of the function that the
// polynomial serves, before any rounding in its evaluation; a float has 24 bits, a double 53.
#pragma once

#include "core/ops/scalar_arithmetic.h"

// clang-format off
namespace slope::math {
"""


def function_text(name, argument, what, whose, target, weight, low, high, terms):
    lines = [f"// {what}"]
    for bits, count in terms.items():
        top = high[bits] if isinstance(high, dict) else high
        coefficients, error = fit(target, weight, low, top, count, bits)
        kind, digits, suffix = ("float", 9, "f") if bits == FLOAT else ("double", 17, "")
        numbers = [f"{mp.nstr(c, digits, min_fixed=0, max_fixed=0)}{suffix}" for c in coefficients]
        width = max(map(len, numbers))
        lines.append(f"// {kind}: {whose} within 2^{float(mp.log(error, 2)):.1f}")
        lines.append(f"SLOPE_SCALAR_INLINE {kind} {name}({kind} {argument}) {{")
        lines.append(f"  return polynomial({argument},")
        per_line = 3
        for i in range(0, count, per_line):
            row = ", ".join(n.rjust(width) for n in numbers[i:i + per_line])
            lines.append("    " + row + (");" if i + per_line >= count else ","))
        lines.append("}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(HEAD)
    for polynomial in POLYNOMIALS:
        print(function_text(*polynomial))
    print("}  // namespace slope::math\n// clang-format on")
