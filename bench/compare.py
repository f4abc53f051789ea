#!/usr/bin/env python3
"""Runs slope's benchmarks and the same work in other libraries in turns, and prints the ratios.

    python3 bench/compare.py                      every row
    python3 bench/compare.py "rk4:1"              rows whose name contains the text
    python3 bench/compare.py --peer-only          the other libraries alone

The clock of a shared machine drifts and a foreign process on one core stalls a two-thread region, so only figures
from one run count: in every round slope and each variant of the peer run one after the other, each in a process
of its own, after waiting until the machine is idle; a run during which others took more than a few per cent of a
core is repeated. The peer's better variant counts. The ratio is peer time / slope time: above 1 slope is faster.

The other libraries live in a virtual environment outside the tree, made at the first call (--venv).
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "bench" / "peers"


@dataclass
class Peer:
    """A program of another library; each variant is one way to run it, the best of which counts."""

    script: str
    packages: list
    variants: list  # of argument lists


@dataclass
class Row:
    """One line of the table: arguments of `slope bench` and what does the same elsewhere."""

    name: str
    slope: list
    peer: str
    arguments: list


PEER_LIBRARIES = {
    "torch": Peer("torch_odenet.py", ["torch", "torchdiffeq", "numpy"],
                  [["--layout", "nchw"], ["--layout", "channels_last"]]),
}


def odenet(what, solver, batch=128):
    return Row(f"{what} odenet-mnist {solver} b{batch}",
               [what, "--model", "odenet-mnist", "--solver", solver, "--batch", str(batch)],
               "torch", ["--what", what, "--solver", solver, "--batch", str(batch)])


ROWS = [
    odenet("train-step", "rk4:1"),
    odenet("train-step", "rk4:4"),
    odenet("train-step", "euler:1"),
    odenet("train-step", "dopri5@1e-3"),
]


class Machine:
    """What other processes take of the CPUs, from /proc/stat."""

    TICK = os.sysconf("SC_CLK_TCK")

    def __init__(self, allowed, patience):
        self.allowed = allowed  # cores that others may use, for example 0.05
        self.patience = patience  # seconds to wait for an idle machine
        self.disturbed = 0

    @staticmethod
    def busy_seconds():
        """CPU time of everybody since the machine started: user nice system irq softirq steal."""
        fields = [int(v) for v in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        return sum(fields[i] for i in (0, 1, 2, 5, 6, 7)) / Machine.TICK

    def wait_until_idle(self):
        """True once a second has passed in which nobody did anything; False when patience has ended."""
        end = time.monotonic() + self.patience
        while True:
            before, start = self.busy_seconds(), time.monotonic()
            time.sleep(1.0)
            others = (self.busy_seconds() - before) / (time.monotonic() - start)
            if others <= self.allowed:
                return True
            if time.monotonic() > end:
                load = Path("/proc/loadavg").read_text().split()[0]
                warn(f"others use {others:.2f} cores (load {load}) and I have waited {self.patience} s; going on")
                return False

    def run(self, command):
        """Standard output of the command, and the cores that others used meanwhile."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            before, start = self.busy_seconds(), time.monotonic()
            process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - start
            process.returncode = os.waitstatus_to_exitcode(status)  # so that Popen does not wait again
            others = (self.busy_seconds() - before - usage.ru_utime - usage.ru_stime) / wall
            out.seek(0), err.seek(0)
            if process.returncode != 0:
                raise RunError(command, process.returncode, err.read().decode(errors="replace"))
            return out.read().decode(), max(others, 0.0)

    def run_quietly(self, command, attempts):
        """Standard output of an undisturbed run, or of the last attempt with a warning."""
        for attempt in range(1, attempts + 1):
            idle = self.wait_until_idle()
            text, others = self.run(command)
            if others <= self.allowed:
                return text
            if not idle or attempt == attempts:
                break
            print(f"  others used {others:.2f} cores meanwhile; once more", file=sys.stderr)
        self.disturbed += 1
        warn(f"disturbed run kept: others used {others:.2f} cores")
        return text


class RunError(Exception):
    def __init__(self, command, status, stderr):
        lines = stderr.strip().splitlines() or ["(it said nothing)"]
        super().__init__(f"{' '.join(map(str, command))}: exit {status}: {lines[-1]}")


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
            raise RunError(self.command, 0, f"its output is not one benchmark case: {error}") from error
        self.minima.append(case["min_ms"])
        self.medians.append(case["median_ms"])
        self.nfe = case.get("nfe", 0.0)

    @property
    def least(self):
        return min(self.minima)

    @property
    def middle(self):
        return statistics.median(self.medians)


def warn(text):
    print(f"warning: {text}", file=sys.stderr)


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
        if "torch" in packages:  # the CPU build is a twentieth of the default; not every network has its index
            index = "https://download.pytorch.org/whl/cpu"
            subprocess.run([*pip, "--retries", "0", "--timeout", "10", "--index-url", index, "torch"],
                           capture_output=True)
        subprocess.run([*pip, *packages], check=True)
    return python


def measure_row(row, options, machine):
    """Rounds of slope and every variant of the peer, one after the other."""
    peer = PEER_LIBRARIES[row.peer]
    python = python_of(options.venv, peer.packages)
    common = ["--threads", str(options.threads), "--samples", str(options.samples)]
    peers = [Timing(f"{row.peer} {variant[-1]}",
                    [python, PEERS / peer.script, *row.arguments, *variant, *common]) for variant in peer.variants]
    slope = Timing("slope", [options.program, "bench", *row.slope, *common, "--json"])
    timings = peers if options.peer_only else [slope, *peers]
    for number in range(options.rounds):
        print(f"{row.name}: round {number + 1} of {options.rounds}", file=sys.stderr)
        for timing in timings:
            timing.add(machine.run_quietly(timing.command, options.attempts))
    return None if options.peer_only else slope, peers


def print_row(row, slope, peers):
    best = min(peers, key=lambda timing: timing.middle)
    for timing in ([slope] if slope else []) + peers:
        note = "  <- best" if timing is best and len(peers) > 1 else ""
        print(f"{row.name:<44} {timing.name:<20} {timing.least:9.3f} {timing.middle:9.3f} {timing.nfe:6g}{note}")
    if slope:
        ratios = [p / s for p, s in zip(best.medians, slope.medians)]
        print(f"{row.name:<44} {'ratio':<20} {best.least / slope.least:9.2f} {best.middle / slope.middle:9.2f}"
              f"         rounds {min(ratios):.2f} to {max(ratios):.2f}")
        if slope.nfe and slope.nfe != best.nfe:
            warn(f"{row.name}: slope takes {slope.nfe:g} evaluations, {best.name} {best.nfe:g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help="text that the name of a row contains (default: all rows)")
    parser.add_argument("--program", type=Path, default=ROOT / "build" / "slope")
    parser.add_argument("--venv", type=Path, default=Path.home() / ".cache" / "slope-bench-venv")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=20, help="timed steps in each run")
    parser.add_argument("--others", type=float, default=0.05, help="cores that other processes may use")
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait for an idle machine")
    parser.add_argument("--attempts", type=int, default=4, help="runs before a disturbed one is kept")
    parser.add_argument("--peer-only", action="store_true", help="without slope")
    parser.add_argument("--list", action="store_true", help="names of the rows")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()

    rows = [row for row in ROWS if not options.rows or any(text in row.name for text in options.rows)]
    if options.list or not rows:
        print("\n".join(row.name for row in ROWS))
        return 0 if options.list else 2
    if not options.peer_only and not options.program.exists():
        print(f"error: {options.program} does not exist. Build it: cmake --preset release && cmake --build "
              "--preset release, or give --program.", file=sys.stderr)
        return 1

    machine, failed, results = Machine(options.others, options.patience), False, []
    measured = []
    for row in rows:
        try:
            measured.append((row, *measure_row(row, options, machine)))
        except RunError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
    print(f"{'row':<44} {'program':<20} {'min ms':>9} {'median ms':>9} {'nfe':>6}   "
          f"({options.threads} threads, {options.rounds} rounds of {options.samples})")
    for row, slope, peers in measured:
        print_row(row, slope, peers)
        results.append({"row": row.name, "timings": [
            {"program": t.name, "min_ms": t.minima, "median_ms": t.medians, "nfe": t.nfe}
            for t in ([slope] if slope else []) + peers]})
    if machine.disturbed:
        warn(f"{machine.disturbed} runs were disturbed by other processes; do not quote these ratios")
    if options.json:
        options.json.write_text(json.dumps({"threads": options.threads, "disturbed": machine.disturbed,
                                            "rows": results}, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
