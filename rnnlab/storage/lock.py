"""The lock on a run: one process trains it, and others can find out whether that process is alive.

    lock-0003.json    the lock of the run's third attempt

To take the lock is to create the file of a number not used before, which only one process can; the highest number
counts. So the lock of a dead process is not broken but overtaken, and a process that was only thought dead finds,
before it next writes, that its number is no longer the highest.
"""

import os
import platform
import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self, final

from pydantic import AwareDatetime, Field

from rnnlab.core.errors import EnvironmentFault, RunLockedError, VerificationError
from rnnlab.core.options import Options
from rnnlab.core.system_errors import reported
from rnnlab.storage import disk
from rnnlab.storage.files import create_whole, write_atomic
from rnnlab.storage.jsonfile import read_model, sealed

BEAT_SECONDS = 15.0  # between two updates
LEASE_SECONDS = 300.0  # without one, a holder on another machine counts as dead; a paused machine comes back sooner

_NAME = re.compile(r"lock-(\d{4,})\.json")


@final
class Holder(Options):
    """The process that has the lock on a run; immutable."""

    token: str = Field(description="Random: differs for every lock taken.")
    host: str = Field(description="The machine's name.")
    machine: str = Field(description="Where process numbers are comparable: the boot, and the process namespace.")
    pid: int = Field(description="The process.")
    process_started: str | None = Field(description="When that process began, in the system's own count.")
    acquired: AwareDatetime = Field(description="When the lock was taken, UTC.")
    heartbeat: AwareDatetime = Field(description="When the process last updated it, UTC.")

    @classmethod
    def here(cls) -> Self:
        """Return this process as a new holder."""
        now, pid = datetime.now(UTC), os.getpid()
        return cls(
            token=secrets.token_hex(8),
            host=platform.node(),
            machine=_machine(),
            pid=pid,
            process_started=_started(pid),
            acquired=now,
            heartbeat=now,
        )

    def is_alive(self) -> bool:
        """Return whether the process is there; of one on another machine, whether it updated the lock lately.

        Example:
            >>> Holder.here().is_alive()
            True
        """
        if self.machine == _machine():
            return self._is_running()
        # An update from the future counts: which of the two clocks is wrong cannot be known.
        return (datetime.now(UTC) - self.heartbeat).total_seconds() < LEASE_SECONDS

    def _is_running(self) -> bool:
        """Return whether the process is there; one that has ended is not, even if not yet waited for."""
        if self.pid <= 0 or os.name != "posix":
            return self.pid == os.getpid()
        try:
            os.kill(self.pid, 0)  # sends nothing: only asks
        except (ProcessLookupError, OverflowError):
            return False
        except OSError:  # it is another user's
            pass
        started = _started(self.pid)  # None where it is hidden from us, or on another system than Linux
        has_ended = _stat(self.pid)[:1] in (["Z"], ["X"])
        return not has_ended and (started is None or self.process_started in {None, started})

    def __str__(self) -> str:
        since = self.acquired.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"process {self.pid} on {self.host}, since {since}"


def _machine() -> str:
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return platform.node()


def _started(pid: int) -> str | None:
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else None


def _stat(pid: int) -> list[str]:
    """Return the fields of the process that follow its name, which may contain anything."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return text.rpartition(")")[2].split()
    return []


class _File(NamedTuple):
    """A lock that was found; the highest number counts."""

    number: int
    path: Path

    def read(self) -> Holder:
        return read_model(self.path, Holder, what="a lock that rnnlab wrote")

    def holder(self) -> Holder | None:
        """Return the process that has it, None where that cannot be known: the file is empty, cut or gone."""
        with suppress(VerificationError):
            return self.read()
        return None

    def is_live(self) -> bool:
        if holder := self.holder():
            return holder.is_alive()
        with suppress(OSError):  # whose it is cannot be known, so its age decides
            return abs(datetime.now(UTC).timestamp() - self.path.lstat().st_mtime) < LEASE_SECONDS
        return False


@final
class Lock:
    """The lock on a run, taken by this process.

    Args:
        path: The lock's file.
        attempt: Its number.
        holder: The content of the file.
    """

    def __init__(self, path: Path, attempt: int, holder: Holder) -> None:
        self.attempt = attempt
        self._path, self._holder = path, holder

    def check(self) -> None:
        """Pass if this process still has the lock.

        Raises:
            RunLockedError: Another process has taken it over.
            EnvironmentFault: The folder cannot be read.
        """
        newest = _newest(self._path.parent)
        holder = newest.holder() if newest and newest.number >= self.attempt else None
        if newest and holder and (newest.number, holder.token) == (self.attempt, self._holder.token):
            return
        by = str(holder or "another process")
        raise RunLockedError(
            f"was taken over by {by}, so this process writes nothing more to it", where=str(self._path.parent)
        )

    def beat(self) -> None:
        """Update the lock, as proof that the process is alive.

        Raises:
            RunLockedError: Another process has taken the run over.
            EnvironmentFault: A system error.
        """
        self.check()
        write_atomic(
            self._path, _encoded(self._holder.model_copy(update={"heartbeat": datetime.now(UTC)})), guard=self.check
        )

    def release(self) -> None:
        """Give the lock back; where that cannot be, the next process finds its holder gone."""
        with suppress(OSError):
            disk.unlink(self._path)


def acquire(folder: Path, *, after: int, force: bool = False) -> Lock:
    """Take the lock on a run.

    Args:
        folder: The run's folder.
        after: The number of the last attempt there was, 0 if none.
        force: Take it from a live holder too.

    Raises:
        RunLockedError: A live process has it, or was faster.
        EnvironmentFault: A system error.
    """
    newest = _newest(folder)
    if newest and not force and newest.is_live():
        raise _locked(newest)
    number = max(after, newest.number if newest else 0) + 1
    path, holder = folder / f"lock-{number:04d}.json", Holder.here()
    try:
        create_whole(path, _encoded(holder))
    except FileExistsError:
        raise _locked(_File(number, path)) from None
    except EnvironmentFault:
        # The process that was faster removes what killed processes left, and takes our unfinished file for such.
        faster = _newest(folder)
        by = faster.holder() if faster else None
        if faster is None or faster.number < number or (by and by.token == holder.token):
            raise
        raise _locked(faster) from None
    for old in _files(folder):
        if old.number < number:
            with suppress(OSError):
                disk.unlink(old.path)
    return Lock(path, number, holder)


def is_held(folder: Path) -> bool:
    """Return whether a live process has the lock on the run.

    Raises:
        EnvironmentFault: The folder cannot be read.
    """
    newest = _newest(folder)
    return newest is not None and newest.is_live()


def read_holder(folder: Path) -> Holder | None:
    """Return the process that has the lock, alive or not; None where the run is not locked.

    Raises:
        VerificationError: The lock's file is damaged.
        EnvironmentFault: A file cannot be read.
    """
    newest = _newest(folder)
    return newest.read() if newest else None


def is_lock(name: str) -> bool:
    """Return whether a file of this name is a lock."""
    return _NAME.fullmatch(name) is not None


def _files(folder: Path) -> list[_File]:
    with reported("look at", folder):
        names = [(match, path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return sorted(_File(int(match[1]), path) for match, path in names)


def _newest(folder: Path) -> _File | None:
    return max(_files(folder), default=None)


def _locked(file: _File) -> RunLockedError:
    return RunLockedError(
        f"is being trained by {file.holder() or 'another process'}",
        where=str(file.path.parent),
        hint="wait until it ends; if that process cannot be alive, add --force-unlock",
    )


def _encoded(holder: Holder) -> bytes:
    return sealed(holder.model_dump(mode="json"))
