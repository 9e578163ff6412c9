import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnlab.runs import index
from rnnlab.storage import disk
from tests.runs.many_runs import COUNT, path_of
from tests.stored_runs import store


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


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store(tmp_path_factory.mktemp("template"), "run-aaaaaa").path


@pytest.fixture
def many(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of more runs than it takes for an index, all of them taken for long written."""
    monkeypatch.setattr(index, "FRESH", -(10**15))
    for n in range(COUNT):
        shutil.copytree(template, path_of(tmp_path / "runs", n))
    return tmp_path / "runs"
