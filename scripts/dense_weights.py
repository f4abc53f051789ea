#!/usr/bin/env python3
"""Weights of interpolants for Runge-Kutta methods that have none in their paper.

Reads a tableau as it stands in ode/methods.cpp and prints the lines that TableauText wants for its
interpolant y(t + x h) = y + h sum_i k_i sum_p d_ip x^p, p = 1..degree: the one of the asked order
that
  - meets every order condition up to that order as an identity in x,
  - has y1 and the slopes f(t, y), f(t1, y1) at its ends, and
  - among those has the smallest error of the next order: the integral over the step of the squared
    defects of its trees, each over its symmetry.
The method must be FSAL, so that its last stage is f(t1, y1).

  scripts/dense_weights.py dopri8 --order 5 --degree 6
"""
import argparse
import pathlib
import re
from fractions import Fraction

import mpmath as mp

mp.mp.dps = 80


def number(word):
    return mp.mpf(Fraction(word).numerator) / Fraction(word).denominator


def read_tableau(name):
    text = (pathlib.Path(__file__).parent.parent / "ode" / "methods.cpp").read_text()
    rows = re.search(r'\{"%s",.*?R"\((.*?)\)"\}' % re.escape(name), text, re.S).group(1)
    a, b = [], None
    for line in rows.strip().splitlines():
        head, values = (part.strip() for part in line.split("|"))
        values = [number(word) for word in values.split()]
        if head == "b":
            b = values
        elif head not in ("b^", "e", "mid") and not head.startswith("dense"):
            a.append(values)
    return a, b


def trees(largest):
    """Rooted trees as sorted tuples of their children, by order."""
    by_order = {1: [()]}

    def forests(nodes, limit):
        if nodes == 0:
            yield ()
            return
        for order in range(nodes, 0, -1):
            for tree in by_order.get(order, []):
                if (order, tree) > limit:
                    continue
                for rest in forests(nodes - order, (order, tree)):
                    yield (tree,) + rest

    for n in range(2, largest + 1):
        top = (n, ((),) * n)
        by_order[n] = list(dict.fromkeys(tuple(sorted(f)) for f in forests(n - 1, top)))
    return by_order


def order_of(tree):
    return 1 + sum(order_of(child) for child in tree)


def density(tree):
    product = order_of(tree)
    for child in tree:
        product *= density(child)
    return product


def symmetry(tree):
    product = 1
    for child in set(tree):
        count = tree.count(child)
        product *= symmetry(child) ** count * mp.factorial(count)
    return product


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("method")
    parser.add_argument("--order", type=int, required=True)
    parser.add_argument("--degree", type=int, required=True)
    options = parser.parse_args()
    a, b = read_tableau(options.method)
    s, degree = len(b), options.degree
    assert a[-1] + [mp.mpf(0)] == b, "the method is not FSAL"

    def weights(tree):
        """u_i(tree), see ode/order_conditions.h."""
        u = [mp.mpf(1)] * s
        for child in tree:
            v = weights(child)
            for i in range(s):
                u[i] *= mp.fsum(a[i][j] * v[j] for j in range(i))
        return u

    # Unknowns z[(p - 2) s + i] = d_ip for p = 2..degree; d_i1 = (1, 0, .., 0).
    count = (degree - 1) * s
    rows, right = [], []

    def condition(entries, value):
        row = [mp.mpf(0)] * count
        for (p, i), coefficient in entries.items():
            row[(p - 2) * s + i] += coefficient
        rows.append(row)
        right.append(value)

    by_order = trees(options.order + 1)
    for n in range(1, options.order + 1):
        for tree in by_order[n]:
            u = weights(tree)
            for p in range(2, degree + 1):
                wanted = mp.mpf(1) / density(tree) if p == n else mp.mpf(0)
                condition({(p, i): u[i] for i in range(s)}, wanted)
    for i in range(s):
        first = mp.mpf(1 if i == 0 else 0)
        last = mp.mpf(1 if i == s - 1 else 0)
        condition({(p, i): mp.mpf(1) for p in range(2, degree + 1)}, b[i] - first)
        condition({(p, i): mp.mpf(p) for p in range(2, degree + 1)}, last - first)

    # The error of the next order: sum over trees of the integral of (sum_p r_p x^p)^2, r_p linear.
    quadratic, linear = mp.matrix(count, count), [mp.mpf(0)] * count
    n = options.order + 1
    for tree in by_order[n]:
        u, weight = weights(tree), 1 / symmetry(tree) ** 2
        target = mp.mpf(1) / density(tree)
        for p in range(2, degree + 1):
            for i in range(s):
                row = (p - 2) * s + i
                for q in range(2, degree + 1):
                    for j in range(s):
                        quadratic[row, (q - 2) * s + j] += weight * u[i] * u[j] / (p + q + 1)
                linear[row] += weight * u[i] * target / (p + n + 1)

    # Independent conditions only, by elimination with complete pivoting. What is left of the others
    # comes from the tableau's own rounding.
    left = [row + [value] for row, value in zip(rows, right)]
    independent, values = [], []
    while left:
        best = max(range(len(left)), key=lambda k: max(abs(x) for x in left[k][:count]))
        row = left.pop(best)
        pivot = max(range(count), key=lambda k: abs(row[k]))
        if abs(row[pivot]) < mp.mpf(10) ** -9:
            rest = max(abs(row[count]), *(abs(r[count]) for r in left)) if left else abs(row[count])
            if rest > mp.mpf(10) ** -9:
                raise SystemExit(f"no interpolant of order {options.order} and degree {degree}: "
                                 f"{mp.nstr(rest, 5)} is left of a condition")
            break
        independent.append(row[:count])
        values.append(row[count])
        left = [[x - r[pivot] / row[pivot] * y for x, y in zip(r, row)] if r[pivot] else r
                for r in left]

    # Minimise subject to the conditions; a little of |z|^2 settles what the error does not.
    m = len(independent)
    size = count + m
    kkt, rhs = mp.matrix(size, size), mp.matrix(size, 1)
    for r in range(count):
        for c in range(count):
            kkt[r, c] = quadratic[r, c] + (mp.mpf(10) ** -20 if r == c else 0)
        rhs[r] = linear[r]
    for k in range(m):
        for c in range(count):
            kkt[count + k, c] = kkt[c, count + k] = independent[k][c]
        rhs[count + k] = values[k]
    z = mp.lu_solve(kkt, rhs)
    def weight(p, i):
        exact = z[(p - 2) * s + i] if p > 1 else mp.mpf(1 if i == 0 else 0)
        return exact if abs(exact) > mp.mpf(10) ** -11 else mp.mpf(0)  # rounding of the tableau

    def text(x):
        return mp.nstr(x, 20) if x != int(x) else str(int(x))

    if degree == 4:  # follows from its value in the middle
        line = [mp.fsum(weight(p, i) / 2**p for p in range(1, 5)) for i in range(s)]
        print("  mid | " + " ".join(text(x) for x in line))
    else:
        for p in range(1, degree + 1):
            print(f"  dense{options.order} | " + " ".join(text(weight(p, i)) for i in range(s)))
    square = mp.fsum(z[r] * quadratic[r, c] * z[c] for r in range(count) for c in range(count))
    square -= 2 * mp.fsum(linear[r] * z[r] for r in range(count))
    square += mp.fsum((1 / density(t) / symmetry(t)) ** 2 / (2 * n + 1) for t in by_order[n])
    error = mp.sqrt(abs(square))
    print(f"  # error of order {n}: {mp.nstr(error, 4)}; {m} conditions for {count} weights")


main()
