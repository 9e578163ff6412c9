"""The machine during a measurement: its load by other programs, and the same environment for every contender."""

import os
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

TOO_BUSY = 0.2  # processors that other programs may use before a result is marked `loaded`
_STAT = Path("/proc/stat")
_BUSY = (0, 1, 2, 5, 6, 7)  # user, nice, system, irq, softirq, steal; guest time is in user already
# If set, they may choose slower kernels than OpenBLAS chooses itself, and a contender with another BLAS would not be
# slowed down.
_REMOVED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
_THREADS = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip
_PRIVATE = ("Private_Clean:", "Private_Dirty:")
_ON_THE_CPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclass(frozen=True, slots=True)
class Moment:
    """How long the processors have been busy, and when that was read; both in seconds."""

    busy: float
    at: float


def busy_seconds(stat: str, cpus: Collection[int], *, ticks: int = 100) -> float:
    r"""Return for how long these processors have been busy since the machine started, from the text of /proc/stat.

    Args:
        stat: The text.
        cpus: Which processors count.
        ticks: The units of the text per second.

    Source: proc_stat(5), Linux manual.

    Example:
        >>> busy_seconds("cpu  9 9 9\ncpu0 100 0 50 900 7 0 0 50 0 0\ncpu1 5 5 5 5 5 5 5 5 0 0", {0})
        2.0
    """
    rows = {row[0]: row[1:] for line in stat.splitlines() if (row := line.split())}
    found = [rows[f"cpu{number}"] for number in cpus if f"cpu{number}" in rows]
    return sum(int(row[place]) for row in found for place in _BUSY) / ticks


def now() -> Moment | None:
    """Return the present moment on the processors of this process; None where the system does not report it."""
    try:
        text = _STAT.read_text(encoding="ascii")
    except OSError:
        return None
    return Moment(busy_seconds(text, os.sched_getaffinity(0), ticks=os.sysconf("SC_CLK_TCK")), time.monotonic())


def cores_of_others(before: Moment | None, after: Moment | None, *, own: float) -> float | None:
    """Return how many processors other programs kept busy between two moments, 0 or more.

    Args:
        before: When it began.
        after: When it ended.
        own: Seconds of processor time of the child and of this process.

    Example:
        >>> cores_of_others(Moment(10.0, 100.0), Moment(16.0, 104.0), own=4.0)
        0.5
    """
    if before is None or after is None or after.at <= before.at:
        return None
    return max(0.0, (after.busy - before.busy - own) / (after.at - before.at))


def environment_for(threads: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return a child's environment: that of this process, with a bound on threads and the same import path."""
    kept = {name: value for name, value in environment.items() if name not in _REMOVED}
    # A file in the current folder must not be imported instead of a package of that name.
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    return kept | dict.fromkeys(_THREADS, str(threads)) | _ON_THE_CPU | path


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


def peak_memory() -> int | None:
    """Return the peak memory of this process, in bytes; None where the system does not report it.

    The present private memory of its children is added: they keep it from step to step.

    Differs: Linux passes `ru_maxrss` on through fork and exec, so that a child would show its parent's; it does not do
        so with VmHWM.
    """
    own = _kernel_bytes("/proc/self/status", ("VmHWM:",))
    if own is None:
        return _resource_peak()
    return own + sum(_kernel_bytes(f"/proc/{child}/smaps_rollup", _PRIVATE) or 0 for child in _children())


def _kernel_bytes(path: str, names: tuple[str, ...]) -> int | None:
    """Return the sum of these fields of a file in /proc, in bytes; None where they are missing."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith(names)]
    return sum(found) if found else None


def _children() -> list[str]:
    """Return the process numbers of this process's children."""
    found: list[str] = []
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended
            found += path.read_text(encoding="utf-8").split()
    return found


def _resource_peak() -> int | None:
    if resource is None:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
