"""Who has the lock on a run, and whether that process is alive."""

import os
import platform
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self, final

from pydantic import Field

from rnnlab.core.errors import RunLockedError, VerificationError
from rnnlab.core.options import Options
from rnnlab.core.system_errors import reported
from rnnlab.storage.fields import Count, Moment, Name, Pid, within_bounds
from rnnlab.storage.jsonfile import LIMIT, read_model
from rnnlab.storage.reading import read_bytes

BEAT_SECONDS = 10.0  # between two updates of the lock
LEASE_SECONDS = 60.0  # without one, a process on another machine counts as gone
LOOK_SECONDS = 0.2  # between two looks at the lock of another machine

# Waits for a moment; given who has the lock, in words. It may raise to end the wait.
Pause = Callable[[str], None]

# To ask on Windows would end the process; there, as on another machine, a process is alive that updates its lock.
_KNOWS_PROCESSES = hasattr(os, "fork")
_NAME = re.compile(r"lock-(\d{4,})\.json")


@final
class Holder(Options):
    """The process that has the lock on a run; immutable."""

    token: Name = Field(description="Random: differs for every lock taken.")
    host: Name = Field(description="The machine's name.")
    machine: Name = Field(description="Where process numbers are comparable: the boot, and the process namespace.")
    pid: Pid = Field(description="The process.")
    process_started: Name | None = Field(description="When that process began, in the system's own count.")
    acquired: Moment = Field(description="When the lock was taken, UTC.")
    heartbeat: Moment = Field(description="When the process last updated it, UTC.")
    beats: Count = Field(default=0, description="How often it has updated it.")

    @classmethod
    def here(cls) -> Self:
        """Return this process as a new holder."""
        now, pid = within_bounds(datetime.now(UTC)), os.getpid()
        return cls(
            token=secrets.token_hex(8),
            host=platform.node(),
            machine=_machine(),
            pid=pid,
            process_started=_started(pid),
            acquired=now,
            heartbeat=now,
        )

    def updated(self) -> Self:
        """Return the holder as it is after one more update of the lock."""
        return self.model_copy(update={"heartbeat": within_bounds(datetime.now(UTC)), "beats": self.beats + 1})

    def is_here(self) -> bool:
        """Return whether the process is, or was, on this machine, where the system knows whether it is alive."""
        return _KNOWS_PROCESSES and self.machine == _machine()

    def is_running(self) -> bool:
        """Return whether a process of this machine is there; one that has ended is not, even if not yet waited for.

        Example:
            >>> Holder.here().is_running()
            True
        """
        if not self.pid:
            return False
        try:
            os.kill(self.pid, 0)  # sends nothing: only asks
        except (ProcessLookupError, OverflowError):
            return False
        except OSError:  # it is another user's
            pass
        started = _started(self.pid)  # None where it is hidden from us, or on another system than Linux
        has_ended = _stat(self.pid)[:1] in (["Z"], ["X"])
        return not has_ended and (started is None or self.process_started in {None, started})

    def seems_alive(self) -> bool:
        """Return whether the process is alive; on another machine, as far as the clocks of both agree.

        That is good enough to show a state, and not to take a lock away.
        """
        if self.is_here():
            return self.is_running()
        return abs((datetime.now(UTC) - self.heartbeat).total_seconds()) < LEASE_SECONDS

    def __str__(self) -> str:
        since = self.acquired.strftime("%Y-%m-%dT%H:%M:%SZ")
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


class LockFile(NamedTuple):
    """The file of a lock; of several, that of the highest number counts."""

    number: int
    path: Path

    def read(self) -> Holder:
        """Return who has the lock; raises as `read_model`."""
        return read_model(self.path, Holder, what="a lock that rnnlab wrote")

    def holder(self) -> Holder | None:
        """Return who has the lock, None where that cannot be known: the file is damaged or gone."""
        with suppress(VerificationError):
            return self.read()
        return None

    def content(self) -> bytes | None:
        """Return what is in the file, None where it is gone or no plain file."""
        with suppress(VerificationError):
            return read_bytes(self.path, LIMIT)
        return None


def lock_files(folder: Path) -> list[LockFile]:
    """Return the locks in a folder, the newest last.

    Raises:
        EnvironmentFault: The folder cannot be read.
    """
    with reported("look at", folder):
        # Before each write: a path per name would take ten times as long.
        names = [match for name in os.listdir(folder) if (match := _NAME.fullmatch(name))]  # noqa: PTH208
    return sorted(LockFile(int(match[1]), folder / match[0]) for match in names)


def newest_lock(folder: Path) -> LockFile | None:
    """Return the lock that counts, None where there is none; raises as `lock_files`."""
    return max(lock_files(folder), default=None)


def is_lock(name: str) -> bool:
    """Return whether a file of this name is a lock."""
    return _NAME.fullmatch(name) is not None


def read_holder(folder: Path) -> Holder | None:
    """Return the process that has the lock, alive or not; None where the run is not locked.

    Raises:
        VerificationError: The lock's file is damaged.
        EnvironmentFault: A file cannot be read.
    """
    newest = newest_lock(folder)
    return newest.read() if newest else None


def is_held(folder: Path) -> bool:
    """Return whether a process that seems alive has the lock on the run.

    Raises:
        EnvironmentFault: The folder cannot be read.
    """
    newest = newest_lock(folder)
    if newest is None:
        return False
    if holder := newest.holder():
        return holder.seems_alive()
    with suppress(OSError):  # whose it is cannot be known, so its age decides
        return abs(datetime.now(UTC).timestamp() - newest.path.lstat().st_mtime) < LEASE_SECONDS
    return False


def wait_a_moment(_: str) -> None:
    """Wait until the next look at the lock."""
    time.sleep(LOOK_SECONDS)


def require_gone(folder: Path, pause: Pause) -> LockFile | None:
    """Wait until it is known that the process that has the lock is gone; return its lock, None where there is none.

    The clock of another machine proves nothing. A process there is gone when its lock was seen not to change for a
    whole lease, by the clock of this one.

    Raises:
        RunLockedError: The process is alive.
        EnvironmentFault: A file cannot be read.
    """
    seen: tuple[int, bytes | None] | None = None
    since = 0.0
    while newest := newest_lock(folder):
        now, found = time.monotonic(), (newest.number, newest.content())
        holder = newest.holder()
        if holder and holder.is_here():
            if holder.is_running():
                raise in_use(newest)
            return newest
        if seen is None:
            seen, since = found, now
        elif found != seen:
            raise in_use(newest)
        elif now - since >= LEASE_SECONDS:
            return newest
        pause(str(holder or "another process"))
    return None


def in_use(lock: LockFile) -> RunLockedError:
    """Return the error to raise where a live process has the lock."""
    return RunLockedError(
        f"is being trained by {lock.holder() or 'another process'}",
        where=str(lock.path.parent),
        hint="wait until it ends; if that process cannot be alive, add --force-unlock",
    )
