"""Stopping a training from outside: a wish is noted at once, and fulfilled where the training is whole."""

import time
from typing import final


@final
class Stop:
    """The wish that a training stop; a signal handler may do no more than call `ask`.

    Attributes:
        reason: Why, as in "stopped by `reason`"; empty while nobody has asked.
    """

    def __init__(self) -> None:
        self.reason = ""

    def ask(self, reason: str) -> None:
        """Ask the training to stop; the first reason counts."""
        self.reason = self.reason or reason


class Halt(Exception):
    """Leaves an evaluation half-way because the training is to stop; nothing was changed by then."""


@final
class Deadline:
    """Tells when so little is left of the time budget that another step might not fit.

    Args:
        max_seconds: The budget of this process, from now on; None for none.

    Example:
        >>> Deadline(None).is_near(saving=1e9), Deadline(60.0).is_near(saving=1.0), Deadline(60.0).is_near(saving=21.0)
        (False, False, True)
    """

    def __init__(self, max_seconds: float | None) -> None:
        self.max_seconds = max_seconds
        self._began = self._last = time.perf_counter()
        self._longest = 0.0

    def is_near(self, *, saving: float) -> bool:
        """Say whether it is time to stop; call it where the training could.

        Args:
            saving: Seconds that it takes to save the training.
        """
        if self.max_seconds is None:
            return False
        now = time.perf_counter()
        # Forgotten by and by: the first stretches also start up and compile, which does not happen again.
        self._longest = max(now - self._last, 0.9 * self._longest)
        self._last = now
        # What is written at the end is more than a checkpoint, and the disk may be slower by then.
        reserve = self._longest + max(3 * saving, 0.02 * self.max_seconds)
        return now - self._began + reserve >= self.max_seconds
