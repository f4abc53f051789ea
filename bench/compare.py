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
    """A program of another library."""

    script: str
    packages: list  # to install; each is imported under the same name


@dataclass
class Row:
    """One line of the table: arguments of `slope bench` and what does the same elsewhere."""

    name: str
    slope: list
    peer: str
    arguments: list
    variants: list  # of argument lists: ways to run the peer, the best of which counts
    per_evaluation: bool = False  # ratio of the time per evaluation: step controls differ


PEERS_BY_NAME = {
    "torch": Peer("torch_steps.py", ["torch", "torchdiffeq", "numpy"]),
    "diffrax": Peer("diffrax_solves.py", ["jax", "diffrax"]),
}
RESTRICTED = {
    "avx2": {
        "SLOPE_MAX_ISA": "avx2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    }
}
LAYOUTS = [["--layout", "nchw"], ["--layout", "channels_last"]]
ADJOINTS = [["--adjoint", "recursive"], ["--adjoint", "direct"]]


def torch_row(what, model, solver, batch=128, gradient="through", slope=()):
    adjoint = " adjoint" if gradient == "adjoint" else ""
    arguments = ["--model", model, "--solver", solver, "--batch", str(batch)]
    return Row(
        f"{what} {model} {solver}{adjoint} b{batch}",
        [what, *arguments, "--gradient", gradient, *slope],
        "torch",
        ["--what", what, *arguments, "--gradient", gradient],
        LAYOUTS,
        per_evaluation="@" in solver,
    )


def spheres_row(solver, peer, variants, dim=2, slope=()):
    return Row(
        f"train-step spheres-mlp dim={dim} {solver} b128",
        ["train-step", "--model", "spheres-mlp", "--data", f"spheres,dim={dim}", "--solver", solver]
        + list(slope),
        peer,
        ["--solver", solver, "--dim", str(dim)]
        + (["--model", "spheres-mlp"] if peer == "torch" else []),
        variants,
    )


def lotka_row(batch):
    solver = "dopri5@1e-6"
    stepping = ["--stepping", "per-sample"] if batch > 1 else []
    return Row(
        f"solve lotka-volterra {solver} b{batch}",
        ["solve", "--problem", "lotka-volterra", "--until", "10", "--solver", solver]
        + ["--batch", str(batch), *stepping],
        "diffrax",
        ["--case", "lotka-volterra", "--solver", solver, "--batch", str(batch)],
        [["--adjoint", "recursive"]],
    )


ROWS = [
    torch_row("train-step", "odenet-mnist", "rk4:1"),
    torch_row("train-step", "odenet-mnist", "rk4:4"),
    torch_row("train-step", "odenet-mnist", "dopri5@1e-3"),
    torch_row("train-step", "odenet-mnist", "dopri5@1e-3", gradient="adjoint"),
    torch_row("eval-step", "odenet-mnist", "rk4:4"),
    torch_row("train-step", "premetanode10", "rk2:8", batch=32),
    torch_row(
        "attack-step",
        "odenet-mnist",
        "rk4:1",
        slope=["--attack", "pgd,eps=0.3,step=0.01,iterations=40,result=last"],
    ),
    spheres_row("euler:64", "diffrax", ADJOINTS),
    spheres_row("dopri5@1e-4", "diffrax", ADJOINTS[:1], slope=["--gradient", "checkpointed"]),
    spheres_row("euler:64", "torch", [[]], dim=900),
    lotka_row(1),
    lotka_row(1000),
    torch_row("train-step", "resnet-mnist", "rk4:1"),
]


@dataclass
class Timing:
    """Figures of one program over all rounds."""

    name: str
    command: list
    minima: list = field(default_factory=list)
    medians: list = field(default_factory=list)
    nfe: float = 0.0
    of_peak: float = 0.0  # the most over the rounds; 0: not known
    megabytes: float = 0.0  # resident, the most over the rounds
    with_backward: bool = False  # evaluations of the backward solve count, too

    def add(self, text, megabytes):
        try:
            (case,) = json.loads(text)["cases"]
        except (ValueError, KeyError) as error:
            raise RunError(
                self.command, 0, f"its output is not one benchmark case: {error}"
            ) from error
        self.minima.append(case["min_ms"])
        self.medians.append(case["median_ms"])
        self.nfe = case["nfe"] + (case.get("nfe_backward", 0) if self.with_backward else 0)
        if "peak_gflops" in case:
            rate = case["gflop"] / case["min_ms"] * 1e3
            self.of_peak = max(self.of_peak, rate / case["peak_gflops"])
        self.megabytes = max(self.megabytes, megabytes)

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
    peer = PEERS_BY_NAME[row.peer]
    python = python_of(options.venv, peer.packages)
    common = ["--threads", str(options.threads), "--samples", str(options.samples)]
    peers = [
        Timing(
            " ".join([row.peer, *variant[-1:]]),
            [python, PEERS / peer.script, *row.arguments, *variant, *common],
        )
        for variant in row.variants
    ]
    slope = Timing("slope", [options.program, "bench", *row.slope, *common, "--json"])
    slope.with_backward = "adjoint" in row.slope  # the peer counts both, too
    timings = peers if options.peer_only else [slope, *peers]
    for number in range(options.rounds):
        print(f"{row.name}: round {number + 1} of {options.rounds}", file=sys.stderr)
        for timing in timings:
            timing.add(*machine.run_quietly(timing.command, options.attempts))
    return None if options.peer_only else slope, peers


def print_header(options):
    print(
        f"{'row':<45} {'program':<20} {'min ms':>9} {'median ms':>9} {'nfe':>7} {'of peak':>7} "
        f"{'MB':>6}   ({options.threads} threads, {options.isa or 'all instructions'}, "
        f"{options.rounds} rounds of {options.samples})"
    )


def print_row(row, slope, peers):
    best = min(peers, key=lambda timing: timing.middle)
    for t in ([slope] if slope else []) + peers:
        note = "  <- best" if t is best and len(peers) > 1 else ""
        share = f"{100 * t.of_peak:6.1f}%" if t.of_peak else f"{'':7}"
        print(
            f"{row.name:<45} {t.name:<20} {t.least:9.3f} {t.middle:9.3f} {t.nfe:7.5g} {share} "
            f"{t.megabytes:6.0f}{note}"
        )
    if slope:
        scale = slope.nfe / best.nfe if row.per_evaluation else 1
        rounds = [scale * p / s for p, s in zip(best.medians, slope.medians)]
        print(
            f"{row.name:<45} {'ratio':<20} {scale * best.least / slope.least:9.2f} "
            f"{scale * best.middle / slope.middle:9.2f}   "
            f"rounds {min(rounds):.2f} to {max(rounds):.2f}"
            + (", per evaluation" if row.per_evaluation else "")
        )


def figures(row, slope, peers):
    """A row as JSON."""
    timings = ([slope] if slope else []) + peers
    return {
        "row": row.name,
        "per_evaluation": row.per_evaluation,
        "timings": [
            {
                "program": t.name,
                "min_ms": t.minima,
                "median_ms": t.medians,
                "nfe": t.nfe,
                "of_peak": t.of_peak,
                "megabytes": t.megabytes,
            }
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
    add("--isa", choices=["avx2"], help="restrict slope and its peers to these instructions")
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

    if options.isa:
        os.environ |= RESTRICTED[options.isa]
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
            "isa": options.isa,
            "disturbed": machine.disturbed,
            "rows": [figures(*result) for result in measured],
        }
        options.json.write_text(json.dumps(whole, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
