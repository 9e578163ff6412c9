"""Makes calls to the disk fail, be cut short, or end the process."""

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from rnnlab.storage import disk


class Killed(BaseException):
    """Stands for kill -9: nothing after it has any effect."""


class Faults:
    """Counts the calls to the disk and makes the N-th fail: once or from then on, before or after it took effect."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.disarm()
        for name in disk.CALLS:
            patch.setattr(disk, name, self._wrapped(name, getattr(disk, name)))

    def disarm(self) -> None:
        self.calls.clear()
        self.at, self.once, self.late, self.error = 0, True, False, OSError()

    def arm(self, at: int, *, error: BaseException | None = None, once: bool = True, late: bool = False) -> None:
        self.calls.clear()
        self.at, self.once, self.late = at, once, late
        self.error = error or OSError(errno.EIO, os.strerror(errno.EIO))

    def _wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            self.calls.append(name)
            now = len(self.calls)
            if not self.at or now < self.at or (now > self.at and self.once):
                return call(*arguments)
            # A failing close closes all the same, and a killed process has no descriptors left.
            if self.late or name == "close":
                result = call(*arguments)
                if name.startswith("open"):
                    os.close(result)
            raise self.error

        return wrapped
