"""A disk that misbehaves on command: the seam `rnnlab.storage.disk`, wrapped so that a chosen call goes wrong."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from rnnlab.storage import disk

When = Literal["early", "half", "late"]


class Killed(BaseException):
    """Simulates kill -9: no code of ours may catch it, and nothing done after it has any effect."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        code: The error that the call raises, for ENOMEM as Python does when an allocation fails; None for a kill.
        once: Whether the next call works again. A killed process makes no further calls.
        when: Before the call took effect, after it did (its answer was lost), or half-way, which only a write can be.
    """

    code: int | None = None
    once: bool = False
    when: When = "early"

    def __str__(self) -> str:
        name = errno.errorcode[self.code] if self.code else "kill"
        return f"{name}-{'once' if self.once else 'on'}-{self.when}"

    def error(self) -> BaseException:
        if self.code == errno.ENOMEM:
            return MemoryError()
        return OSError(self.code, os.strerror(self.code)) if self.code else Killed()


class Seam:
    """Counts the calls to the disk, makes one fail, and knows the open files of the process it simulates."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self._at, self._fault = 0, Fault()
        self._open: dict[int, tuple[int, int]] = {}  # the file of a descriptor
        self._unknown: set[int] = set()  # descriptors that were not opened through the seam
        for name in disk.CALLS:
            patch.setattr(disk, name, self._wrapped(name, getattr(disk, name)))

    def arm(self, at: int, fault: Fault) -> None:
        """Let the call number `at` from now on go wrong."""
        self.calls.clear()
        self._at, self._fault = at, fault

    def left_open(self) -> list[int]:
        """Return the descriptors that are open."""
        return [one for one in self._open if one not in self._unknown and _is(one, self._open[one])]

    def end_process(self) -> bool:
        """Do as the system does when a process ends, work well again, and return whether anything failed."""
        happened, self._at = 0 < self._at <= len(self.calls), 0
        for descriptor, file in self._open.items():
            if _is(descriptor, file):
                os.close(descriptor)
        self._open.clear()
        self._unknown.clear()
        return happened

    def _wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            self.calls.append(name)
            now = len(self.calls)
            first = now == self._at
            spared = name == "close" and self._fault.code == errno.ENOMEM  # it sets nothing aside
            if spared or (not first and (not self._at or now < self._at or self._fault.once)):
                return self._done(name, call, *arguments)
            # A failing close closes all the same.
            if name == "close" or (first and self._fault.when == "late"):
                result = self._done(name, call, *arguments)
                if name.startswith("open"):
                    self._unknown.add(result)
            elif first and self._fault.when == "half" and name == "write":
                call(arguments[0], arguments[1][: len(arguments[1]) // 2])
            raise self._fault.error()

        return wrapped

    def _done(self, name: str, call: Callable[..., Any], *arguments: Any) -> Any:
        if name == "close":
            self._open.pop(arguments[0], None)
        result = call(*arguments)
        if name.startswith("open"):
            self._open[result] = _identity(result)
            self._unknown.discard(result)
        return result


def _is(descriptor: int, file: tuple[int, int]) -> bool:
    """Return whether a descriptor still belongs to this file: a Python object may have closed it."""
    with suppress(OSError):
        return _identity(descriptor) == file
    return False


def _identity(descriptor: int) -> tuple[int, int]:
    state = os.fstat(descriptor)
    return state.st_dev, state.st_ino
