"""Runs commands while nobody else uses the machine, and says so when somebody does."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def warn(text):
    print(f"warning: {text}", file=sys.stderr)


class Machine:
    """What other processes take of the CPUs, from /proc/stat."""

    TICK = os.sysconf("SC_CLK_TCK")
    GRAIN = 3 / TICK  # seconds that /proc/stat may be off by at the two ends of a run

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
        """True after a second in which nobody did anything; False when patience has ended."""
        end = time.monotonic() + self.patience
        while True:
            before, start = self.busy_seconds(), time.monotonic()
            time.sleep(1.0)
            others = (self.busy_seconds() - before) / (time.monotonic() - start)
            if others <= self.allowed:
                return True
            if time.monotonic() > end:
                load = Path("/proc/loadavg").read_text().split()[0]
                warn(
                    f"others use {others:.2f} cores (load {load}) after "
                    f"{self.patience:g} s of waiting; going on"
                )
                return False

    def run(self, command):
        """Standard output of the command, its memory in MB, and the cores others used meanwhile."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            before, start = self.busy_seconds(), time.monotonic()
            process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - start
            process.returncode = os.waitstatus_to_exitcode(status)  # Popen need not wait again
            others = self.busy_seconds() - before - usage.ru_utime - usage.ru_stime
            out.seek(0), err.seek(0)
            if process.returncode != 0:
                raise RunError(command, process.returncode, err.read().decode(errors="replace"))
            return out.read().decode(), usage.ru_maxrss / 1e3, max(others - self.GRAIN, 0.0) / wall

    def run_quietly(self, command, attempts):
        """Output and memory in MB of an undisturbed run, or of the last attempt with a warning."""
        for attempt in range(1, attempts + 1):
            idle = self.wait_until_idle()
            text, megabytes, others = self.run(command)
            if others <= self.allowed:
                return text, megabytes
            if not idle or attempt == attempts:
                break
            print(f"  others used {others:.2f} cores meanwhile; once more", file=sys.stderr)
        self.disturbed += 1
        warn(f"disturbed run kept: others used {others:.2f} cores")
        return text, megabytes


class RunError(Exception):
    def __init__(self, command, status, stderr):
        lines = stderr.strip().splitlines() or ["(it said nothing)"]
        super().__init__(f"{' '.join(map(str, command))}: exit {status}: {lines[-1]}")
