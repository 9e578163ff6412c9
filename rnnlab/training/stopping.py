"""Why a training ends, and stopping one from outside: the wish is noted at once, and met between two steps."""

import time
from typing import Literal, final

from rnnlab.core.errors import DivergedError, StoppedError
from rnnlab.storage import State

Reason = Literal["solved", "budget", "plateau", "diverged", "interrupted", "failed"]


# Of a process that ended a run by itself and wrote everything there is to write.
EXIT_CODES: dict[State, int] = {
    "completed": 0,
    "interrupted": StoppedError.exit_code,
    "diverged": DivergedError.exit_code,
}
PRUNER = "the pruner"  # the reason for which a search stops a trial
_STATES: dict[Reason, State] = {"diverged": "diverged", "interrupted": "interrupted", "failed": "failed"}


def state_of(stopped: Reason) -> State:
    """Return the state of a run whose training ended for this reason."""
    return _STATES.get(stopped, "completed")


@final
class Stop:
    """A request that a training stop; a signal handler may do no more than call `ask`."""

    def __init__(self) -> None:
        self.reason = ""  # why, as in "stopped by `reason`"; empty while there is no request

    def ask(self, reason: str) -> None:
        """Ask the training to stop; the first reason counts."""
        self.reason = self.reason or reason


class Halt(Exception):
    """Leaves an evaluation half-way because the training is to stop; nothing was changed by then."""


@final
class Deadline:
    """The time budget of one process, from now on: near as soon as another step might not fit in.

    Example:
        >>> Deadline(None).is_near(saving=1e9), Deadline(60.0).is_near(saving=1.0), Deadline(60.0).is_near(saving=21.0)
        (False, False, True)
    """

    def __init__(self, max_seconds: float | None) -> None:
        self.max_seconds = max_seconds
        self._began = self._last = time.perf_counter()
        self._longest = 0.0

    def is_near(self, *, saving: float) -> bool:
        """Return whether it is time to stop; called wherever that is possible. To save takes `saving` seconds."""
        if self.max_seconds is None:
            return False
        now = time.perf_counter()
        # Old stretches count less and less: the first also start up and compile, which does not happen again.
        self._longest = max(now - self._last, 0.9 * self._longest)
        self._last = now
        # What is written at the end is more than a checkpoint, and the disk may be slower by then.
        reserve = self._longest + max(3 * saving, 0.02 * self.max_seconds)
        return now - self._began + reserve >= self.max_seconds
