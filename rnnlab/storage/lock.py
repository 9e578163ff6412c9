"""The lock on a run: one process trains it, and others can find out whether that process is alive.

    lock-0003.json    the lock of the run's third attempt

To take the lock is to create the file of a number not used before, which only one process can; the highest number
counts. So the lock of a dead process is not broken but overtaken, and a process that was only thought dead finds,
before it next writes, that its number is no longer the highest.
"""

import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, final

from pydantic import AwareDatetime, Field, ValidationError

from rnnlab.core.errors import EnvironmentFault, RunLockedError, VerificationError
from rnnlab.core.options import Options
from rnnlab.storage import disk
from rnnlab.storage.files import create_whole, write_atomic
from rnnlab.storage.process import Process, is_running, this_process
from rnnlab.storage.reading import read_bytes
from rnnlab.storage.system_errors import reported

BEAT_SECONDS = 15.0  # between two signs of life
LEASE_SECONDS = 300.0  # without one, a holder on another machine counts as dead; a paused machine comes back sooner

_NAME = re.compile(r"lock-(\d{4,})\.json")
_LARGEST = 1 << 16  # bytes


@final
class Holder(Options):
    """The process that has the lock on a run; immutable."""

    token: str = Field(description="Random: differs for every lock taken.")
    host: str = Field(description="The machine's name.")
    machine: str = Field(description="Where process numbers are comparable: the boot, and the process namespace.")
    pid: int = Field(description="The process.")
    process_started: str | None = Field(description="When that process began, in the system's own count.")
    acquired: AwareDatetime = Field(description="When the lock was taken, UTC.")
    heartbeat: AwareDatetime = Field(description="The last sign of life, UTC.")

    @classmethod
    def here(cls) -> Self:
        """Return this process as a new holder."""
        now = datetime.now(UTC)
        process = this_process()
        return cls(
            token=secrets.token_hex(8),
            host=process.host,
            machine=process.machine,
            pid=process.pid,
            process_started=process.started,
            acquired=now,
            heartbeat=now,
        )

    def is_alive(self, now: datetime | None = None) -> bool:
        """Return whether the process is there; of one on another machine, whether it gave a sign of life lately."""
        process = Process(self.host, self.machine, self.pid, self.process_started)
        if process.machine == this_process().machine:
            return is_running(process)
        # A sign of life from the future is one: which of the two clocks is wrong cannot be known.
        return ((now or datetime.now(UTC)) - self.heartbeat).total_seconds() < LEASE_SECONDS

    def __str__(self) -> str:
        since = self.acquired.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"process {self.pid} on {self.host}, since {since}"


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
        number, path = _newest(self._path.parent) or (0, self._path)
        with suppress(VerificationError):
            if number == self.attempt and _read(path).token == self._holder.token:
                return
        by = _name(path) if number > self.attempt else "another process"
        raise RunLockedError(
            f"was taken over by {by}, so this process writes nothing more to it", where=str(self._path.parent)
        )

    def beat(self) -> None:
        """Give a sign of life.

        Raises:
            RunLockedError: Another process has taken the run over.
            EnvironmentFault: A system error.
        """
        self.check()
        alive = self._holder.model_copy(update={"heartbeat": datetime.now(UTC)})
        write_atomic(self._path, _encoded(alive))

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
    if newest and not force and _is_live(newest[1]):
        raise _locked(folder, newest[1])
    number = max(after, newest[0] if newest else 0) + 1
    path, holder = folder / f"lock-{number:04d}.json", Holder.here()
    try:
        create_whole(path, _encoded(holder))
    except FileExistsError:
        raise _locked(folder, path) from None
    except EnvironmentFault:
        # The process that was faster removes what killed processes left, and takes our unfinished file for such.
        faster = _newest(folder)
        if faster is None or faster[0] < number or _is_ours(faster[1], holder):
            raise
        raise _locked(folder, faster[1]) from None
    for old, dead in _all(folder):
        if old < number:
            with suppress(OSError):
                disk.unlink(dead)
    return Lock(path, number, holder)


def is_held(folder: Path) -> bool:
    """Return whether a live process has the lock on the run.

    Raises:
        EnvironmentFault: The folder cannot be read.
    """
    newest = _newest(folder)
    return newest is not None and _is_live(newest[1])


def read_holder(folder: Path) -> Holder | None:
    """Return the process that has the lock, alive or not; None where the run is not locked.

    Raises:
        VerificationError: The lock's file is damaged.
        EnvironmentFault: A file cannot be read.
    """
    newest = _newest(folder)
    return _read(newest[1]) if newest else None


def is_lock(name: str) -> bool:
    """Return whether a file of this name is a lock."""
    return _NAME.fullmatch(name) is not None


def _all(folder: Path) -> list[tuple[int, Path]]:
    with reported("look at", folder):
        names = [(match, path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return sorted((int(match[1]), path) for match, path in names)


def _newest(folder: Path) -> tuple[int, Path] | None:
    found = _all(folder)
    return found[-1] if found else None


def _read(path: Path) -> Holder:
    try:
        return Holder.model_validate_json(read_bytes(path, _LARGEST))
    except ValidationError as fault:
        raise VerificationError("is not a lock that rnnlab wrote", where=str(path)) from fault


def _is_ours(path: Path, holder: Holder) -> bool:
    with suppress(VerificationError):
        return _read(path).token == holder.token
    return False


def _is_live(path: Path) -> bool:
    try:
        return _read(path).is_alive()
    except VerificationError:
        # Empty or cut: whose it is cannot be known, so its age decides.
        with suppress(OSError):
            return abs(datetime.now(UTC).timestamp() - path.lstat().st_mtime) < LEASE_SECONDS
        return False


def _name(path: Path) -> str:
    try:
        return str(_read(path))
    except VerificationError:
        return "another process"


def _locked(folder: Path, path: Path) -> RunLockedError:
    return RunLockedError(
        f"is being trained by {_name(path)}",
        where=str(folder),
        hint="wait until it ends; if that process cannot be alive, add --force-unlock",
    )


def _encoded(holder: Holder) -> bytes:
    return (holder.model_dump_json(indent=2) + "\n").encode()
