"""Waiting for the lock on a run, where another machine has it and may or may not be alive."""

from collections.abc import Callable
from pathlib import Path

from rnnlab.core.errors import StoppedError
from rnnlab.storage.holder import LEASE_SECONDS, Pause, wait_a_moment
from rnnlab.training.stopping import Stop

Notify = Callable[[str], None]


def silently(_: str) -> None:
    """Show nothing."""


def waiting(path: Path, stop: Stop | None, notify: Notify = silently) -> Pause:
    """Return what to do between two looks at a lock: report the wait, once, and end it when a stop is requested.

    The function that is returned raises `StoppedError`.
    """
    reported = False

    def pause(holder: str) -> None:
        nonlocal reported
        if stop and stop.reason:
            raise StoppedError(f"stopped by {stop.reason} while waiting for the lock", where=str(path))
        if not reported:
            notify(f"{path}: locked by {holder}; waiting up to {LEASE_SECONDS:.0f} s to see whether it is alive")
        reported = True
        wait_a_moment(holder)

    return pause
