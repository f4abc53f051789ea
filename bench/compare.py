#!/usr/bin/env python3
"""Runs slope's benchmarks and the same work in other libraries in turns, and prints the ratios.

    python3 bench/compare.py                      every row
    python3 bench/compare.py "rk4:1"              rows whose name contains the text
    python3 bench/compare.py --peer-only          the other libraries alone

The clock of a shared machine drifts and a foreign process on one core stalls a two-thread region,
so only figures from one run count: in every round slope and each variant of the peer run one after
the other, each in a process of its own, after waiting until the machine is idle; a run during which
others took more than a few per cent of a core is repeated. The peer's better variant counts. The
ratio is peer time / slope time: above 1 slope is faster.

The other libraries live in a virtual environment outside the tree, made at the first call (--venv).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path

from idle_guard import Machine, RunError, warn

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "bench" / "peers"


@dataclass
class Peer:
    """A program of another library; each variant is one way to run it, the best of which counts."""

    script: str
    packages: list  # to install; each is imported under the same name
    variants: list  # of argument lists


@dataclass
class Row:
    """One line of the table: arguments of `slope bench` and what does the same elsewhere."""

    name: str
    slope: list
    peer: str
    arguments: list


PEER_LIBRARIES = {
    "torch": Peer(
        "torch_odenet.py",
        ["torch", "torchdiffeq", "numpy"],
        [["--layout", "nchw"], ["--layout", "channels_last"]],
    ),
}


def odenet(what, solver, batch=128):
    return Row(
        f"{what} odenet-mnist {solver} b{batch}",
        [what, "--model", "odenet-mnist", "--solver", solver, "--batch", str(batch)],
        "torch",
        ["--what", what, "--solver", solver, "--batch", str(batch)],
    )


ROWS = [
    odenet("train-step", "rk4:1"),
    odenet("train-step", "rk4:4"),
    odenet("train-step", "euler:1"),
    odenet("train-step", "dopri5@1e-3"),
]


@dataclass
class Timing:
    """Figures of one program over all rounds."""

    name: str
    command: list
    minima: list = field(default_factory=list)
    medians: list = field(default_factory=list)
    nfe: float = 0.0

    def add(self, text):
        try:
            (case,) = json.loads(text)["cases"]
        except (ValueError, KeyError) as error:
            raise RunError(
                self.command, 0, f"its output is not one benchmark case: {error}"
            ) from error
        self.minima.append(case["min_ms"])
        self.medians.append(case["median_ms"])
        self.nfe = case.get("nfe", 0.0)

    @property
    def least(self):
        return min(self.minima)

    @property
    def middle(self):
        return statistics.median(self.medians)


def python_of(folder, packages):
    """The virtual environment's python, with the packages installed."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making the virtual environment {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
    names = ", ".join(packages)
    if subprocess.run([python, "-c", f"import {names}"], capture_output=True).returncode != 0:
        print(f"installing {names}", file=sys.stderr)
        pip = [python, "-m", "pip", "install", "--quiet"]
        if (
            "torch" in packages
        ):  # the CPU build is a twentieth of the default; not every network has its index
            index = "https://download.pytorch.org/whl/cpu"
            subprocess.run(
                [*pip, "--retries", "0", "--timeout", "10", "--index-url", index, "torch"],
                capture_output=True,
            )
        subprocess.run([*pip, *packages], check=True)
    return python


def measure_row(row, options, machine):
    """Rounds of slope and every variant of the peer, one after the other."""
    peer = PEER_LIBRARIES[row.peer]
    python = python_of(options.venv, peer.packages)
    common = ["--threads", str(options.threads), "--samples", str(options.samples)]
    peers = [
        Timing(
            f"{row.peer} {variant[-1]}",
            [python, PEERS / peer.script, *row.arguments, *variant, *common],
        )
        for variant in peer.variants
    ]
    slope = Timing("slope", [options.program, "bench", *row.slope, *common, "--json"])
    timings = peers if options.peer_only else [slope, *peers]
    for number in range(options.rounds):
        print(f"{row.name}: round {number + 1} of {options.rounds}", file=sys.stderr)
        for timing in timings:
            timing.add(machine.run_quietly(timing.command, options.attempts))
    return None if options.peer_only else slope, peers


def print_header(options):
    print(
        f"{'row':<36} {'program':<20} {'min ms':>9} {'median ms':>9} {'nfe':>6}   "
        f"({options.threads} threads, {options.rounds} rounds of {options.samples})"
    )


def print_row(row, slope, peers):
    best = min(peers, key=lambda timing: timing.middle)
    for t in ([slope] if slope else []) + peers:
        note = "  <- best" if t is best and len(peers) > 1 else ""
        print(f"{row.name:<36} {t.name:<20} {t.least:9.3f} {t.middle:9.3f} {t.nfe:6g}{note}")
    if slope:
        rounds = [p / s for p, s in zip(best.medians, slope.medians)]
        print(
            f"{row.name:<36} {'ratio':<20} {best.least / slope.least:9.2f} "
            f"{best.middle / slope.middle:9.2f}          "
            f"rounds {min(rounds):.2f} to {max(rounds):.2f}"
        )
        if slope.nfe and slope.nfe != best.nfe:
            warn(f"{row.name}: slope takes {slope.nfe:g} evaluations, {best.name} {best.nfe:g}")


def figures(row, slope, peers):
    """A row as JSON."""
    timings = ([slope] if slope else []) + peers
    return {
        "row": row.name,
        "timings": [
            {"program": t.name, "min_ms": t.minima, "median_ms": t.medians, "nfe": t.nfe}
            for t in timings
        ],
    }


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    home = Path.home() / ".cache" / "slope-bench-venv"
    add = parser.add_argument
    add("rows", nargs="*", help="text that the name of a row contains (default: all rows)")
    add("--program", type=Path, default=ROOT / "build" / "slope")
    add("--venv", type=Path, default=home, help="where the other libraries are installed")
    add("--threads", type=int, default=os.cpu_count())
    add("--rounds", type=int, default=3)
    add("--samples", type=int, default=20, help="timed steps in each run")
    add("--others", type=float, default=0.05, help="cores that other processes may use")
    add("--patience", type=float, default=60, help="seconds to wait for an idle machine")
    add("--attempts", type=int, default=4, help="runs before a disturbed one is kept")
    add("--peer-only", action="store_true", help="without slope")
    add("--list", action="store_true", help="names of the rows")
    add("--json", type=Path, help="write all figures to this file")
    return parser.parse_args()


def main():
    options = parse_options()
    if options.list:
        print("\n".join(row.name for row in ROWS))
        return 0
    rows = [r for r in ROWS if not options.rows or any(text in r.name for text in options.rows)]
    if not rows:
        warn(f"no row contains {' or '.join(options.rows)}; --list shows the names")
        return 2
    if not options.peer_only and not options.program.exists():
        warn(f"{options.program} does not exist; run ./test.sh, or give --program")
        return 1

    machine = Machine(options.others, options.patience)
    measured, failed = [], False
    for row in rows:
        try:
            measured.append((row, *measure_row(row, options, machine)))
        except RunError as error:
            warn(f"{row.name}: {error}")
            failed = True
    print_header(options)
    for result in measured:
        print_row(*result)
    if machine.disturbed:
        warn(f"{machine.disturbed} runs were disturbed by others; do not quote these ratios")
    if options.json:
        whole = {
            "threads": options.threads,
            "disturbed": machine.disturbed,
            "rows": [figures(*result) for result in measured],
        }
        options.json.write_text(json.dumps(whole, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
