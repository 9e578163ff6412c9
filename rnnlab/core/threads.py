"""Processors, and threads that libraries start by themselves: where the system allows fewer, the process ends."""

import os
import sys
import threading
from _thread import start_new_thread

MORE_PROCESSES = "raise the limit on processes and threads (ulimit -u; in a container its limit on pids)"
_START_SECONDS = 2.0  # in which a thread begins, also on a busy machine


def allotted_cpus() -> int:
    """Return the processors allotted to this process, at least 1.

    `SLURM_CPUS_PER_TASK` if a job sets it, and never more than the affinity allows.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(int(asked), allowed) if asked.isdecimal() and int(asked) > 0 else allowed


def startable_threads(most: int) -> int:
    """Return how many threads, `most` at most, could be started beside those that run: that many are, and end."""
    end, begun, ended = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)
    started = 0

    def live() -> None:
        begun.release()
        end.wait()
        ended.release()

    # A thread that gets no memory ends with an error. A function of Python's own needs none to ignore that.
    reported, sys.unraisablehook = sys.unraisablehook, callable
    try:
        while started < most:
            # `threading.Thread` would wait for ever for a thread that ends because there is no memory.
            start_new_thread(live, ())
            if not begun.acquire(timeout=_START_SECONDS):
                break
            started += 1
    except RuntimeError:  # the limit on processes is reached, or that on memory
        pass
    end.set()
    for _ in range(started):
        ended.acquire(timeout=_START_SECONDS)
    sys.unraisablehook = reported
    return started


def settle_threads() -> None:
    """Let OpenBLAS compute in one thread; call it before NumPy is imported.

    Its other threads would cost 60 ms of every command, and at these sizes compute nothing faster. Where it cannot
    start one, it sends this process a SIGINT.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
