"""The measurement: one child process after another, in rounds, in the same environment, compared with the reference."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.bench.child import Request
from rnnlab.bench.contenders import Contender
from rnnlab.bench.devices import SETTINGS, Device
from rnnlab.bench.work import TOLERANCE, Figures, Work, largest_difference, reference

TOO_BUSY = 0.2  # processors that other programs may use before a result is marked `loaded`
_PATIENCE = 900.0  # seconds a child may take: an engine may compile for minutes
_STAT = Path("/proc/stat")
_BUSY = (1, 2, 3, 6, 7, 8)  # user, nice, system, irq, softirq, steal; guest time is in user already
# If set, they may choose slower kernels than OpenBLAS chooses itself, and a contender with another BLAS would not be
# slowed down.
_REMOVED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
_THREADS = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of one child process.

    Attributes:
        threads: How many it could use.
        place: The number of this trial, from 1, and how many there are.
        results: What `rnnlab.bench.child.measure` returned; empty if it failed, and `failure` is why.
        cores_of_others: Processors kept busy by other programs meanwhile; None where the system does not report it.
        difference: The largest relative difference from the reference; None for a failure.
        differs: Which value has that difference.
    """

    work: Work
    contender: Contender
    threads: int
    round: int
    place: tuple[int, int]
    results: Mapping[str, Any]
    failure: str = ""
    cores_of_others: float | None = None
    difference: float | None = None
    differs: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether its loss or gradients are wrong."""
        return self.difference is not None and not self.difference <= TOLERANCE


def measure(
    entered: Mapping[Work, Sequence[Contender]], *, threads: Sequence[int], rounds: int, device: Device = "cpu"
) -> Iterator[Trial]:
    """Run every contender once per round, one after another, so that other load on the machine affects all equally.

    A contender that fails is left out of later rounds.
    """
    total = rounds * len(threads) * sum(map(len, entered.values()))
    place = 0
    with tempfile.TemporaryDirectory(prefix="rnnlab-bench-") as folder:
        for work, contenders in entered.items():
            expected, failed = reference(work), set[tuple[Contender, int]]()
            for number, count, contender in product(range(1, rounds + 1), threads, contenders):
                place += 1
                if (contender, count) in failed:
                    continue
                request = Request(str(contender), work, count, Path(folder, f"{place}.npz"), device)
                before = now()
                results, failure = _child(request)
                others = cores_of_others(before, now())
                off = _difference(results, request.gradients, expected)
                yield Trial(work, contender, count, number, (place, total), results, failure, others, *off)
                if failure:
                    failed.add((contender, count))


def _difference(results: Mapping[str, Any], gradients: Path, expected: Figures) -> tuple[float | None, str]:
    if results.get("loss") is None:
        return None, ""
    with np.load(gradients, allow_pickle=False) as arrays:
        figures = Figures(results["loss"], dict(arrays))
    gradients.unlink()
    return largest_difference(figures, expected)


def _child(request: Request) -> tuple[Mapping[str, Any], str]:
    """Return the results of a child process, or why there are none; the child has ended in every case."""
    command = [sys.executable, "-P", "-m", "rnnlab.bench.child", request.to_json()]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with confined(request.threads):
        environment = environment_for(request.threads, os.environ, device=request.device)
        child = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            command, env=environment, encoding="utf-8", errors="replace", **pipes
        )
    with child:
        try:
            out, err = child.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            return {}, f"took more than {_PATIENCE:.0f} s"
        finally:
            child.kill()
    try:
        results: dict[str, Any] = json.loads(out)
    except ValueError:
        return {}, _reason(child.returncode, err)
    return results, ""


def _reason(code: int, err: str) -> str:
    r"""Return why a child ended without an answer: its signal, or the last line of its stderr.

    Example:
        >>> _reason(-9, ""), _reason(1, "Traceback …\nRuntimeError: no such thing\n")
        ('killed by SIGKILL', 'RuntimeError: no such thing')
    """
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"ended with exit code {code} and printed nothing"


def environment_for(threads: int, environment: Mapping[str, str], *, device: Device = "cpu") -> dict[str, str]:
    """Return a child's environment: that of this process, with a bound on threads and the same import path."""
    kept = {name: value for name, value in environment.items() if name not in _REMOVED}
    # A file in the current folder must not be imported instead of a package of that name.
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    return kept | dict.fromkeys(_THREADS, str(threads)) | dict(SETTINGS[device]) | path


@contextmanager
def confined(cpus: int) -> Iterator[None]:
    """Restrict this thread, and with it the children it starts, to this many processors.

    XLA sizes its pool of threads by the affinity, and so does the NumPy backend.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:cpus])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, and for how long until then the processors of this process were busy, with all and with its own work."""

    at: float
    busy: float
    own: float


def now() -> Moment | None:
    """Return the present moment; None where the system does not report it.

    Source: proc_stat(5), Linux manual.
    """
    try:
        rows = [line.split() for line in _STAT.read_text(encoding="ascii").splitlines()]
    except OSError:
        return None
    names = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    ticks = sum(int(row[place]) for row in rows if row[0] in names for place in _BUSY)
    own = os.times()
    used = own.user + own.system + own.children_user + own.children_system
    return Moment(time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), used)


def cores_of_others(before: Moment | None, after: Moment | None) -> float | None:
    """Return how many processors other programs kept busy between two moments, 0 or more.

    Example:
        >>> cores_of_others(Moment(100.0, 10.0, 1.0), Moment(104.0, 16.0, 5.0))
        0.5
    """
    if before is None or after is None or after.at <= before.at:
        return None
    return max(0.0, (after.busy - before.busy - (after.own - before.own)) / (after.at - before.at))
