"""Threads that libraries start by themselves: where the system allows fewer, these end the process without an error."""

import os
import threading

MORE_PROCESSES = "raise the limit on processes and threads (ulimit -u; in a container its limit on pids)"
_MOST_OF_OPENBLAS = 64  # as NumPy builds it
_VARIABLE = "OPENBLAS_NUM_THREADS"


def startable_threads(most: int) -> int:
    """Return how many threads, `most` at most, could be started beside those that run: that many are, and end."""
    started, end = list[threading.Thread](), threading.Event()
    try:
        for _ in range(most):
            thread = threading.Thread(target=end.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:  # the limit on processes is reached, or that on memory
        pass
    end.set()
    for thread in started:
        thread.join()
    return len(started)


def settle_threads() -> None:
    """Let OpenBLAS compute in one thread if it could not start its others; call it before NumPy is imported.

    Where it cannot start one, it sends this process a SIGINT.
    """
    needed = min(os.cpu_count() or 1, _MOST_OF_OPENBLAS)
    if os.environ.get(_VARIABLE) != "1" and startable_threads(needed) < needed:
        os.environ[_VARIABLE] = "1"
