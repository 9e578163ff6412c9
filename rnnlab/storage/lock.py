"""The lock on a run: one process trains it, and nothing counts that another one writes.

    lock-0003.json    the lock of the run's third attempt

To take the lock is to create the file of a number not used before, which only one process can; the highest number
counts. So the lock of a dead process is not broken but overtaken. A process that was only thought dead, because it was
frozen or cut off, may wake at any instant, also in the middle of a write. The order of the steps makes that harmless:

    to write        (1) create a temporary file, (2) check the lock, (3) rename the file
    to take over    (A) create the lock of a higher number, (B) remove all temporary files, (C) only then read the run

If 1 comes before B, then 3 finds no file. If 1 comes after B, then 2 finds the lock of A. A process that has ended
leaves no lock, so 2 reads the status too: its attempt is the number of the lock, and an attempt that resumes a run
writes the status before it changes anything else. Nothing but a later attempt ends a process here: a lock of its own
that somebody deleted is made again.

What is not renamed is harmless in other ways: metrics are appended to a file that the next attempt has replaced, where
the lock was checked once after the file was opened; for checkpoints that are deleted see `checkpoint`; event files have
the number of their attempt; the log may have lines of two processes.

A thread updates the lock, also while a step or an evaluation takes long. To overtake a living process costs no more
than its work since the last checkpoint, so the time without an update after which it counts as gone is short.
"""

import threading
from _thread import start_new_thread
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self, final

from rnnlab.core.errors import EnvironmentFault, RnnlabError, RunLockedError, VerificationError
from rnnlab.core.threads import MORE_PROCESSES
from rnnlab.storage import disk
from rnnlab.storage.files import create_whole, sweep, write_atomic
from rnnlab.storage.holder import (
    BEAT_SECONDS,
    Holder,
    LockFile,
    Pause,
    in_use,
    lock_files,
    newest_lock,
    require_gone,
    wait_a_moment,
)
from rnnlab.storage.jsonfile import sealed
from rnnlab.storage.reading import kind

_MEMORY = 1 << 20  # bytes that a thread may take
_START_SECONDS = 10.0


@final
class Lock:
    """The lock on a run, taken by this process; a thread updates it until it is released.

    Args:
        folder: The run's folder.
        attempt: The number of the lock.
        recorded: Returns the newest attempt that is recorded in the folder.
    """

    def __init__(self, folder: Path, attempt: int, recorded: Callable[[], int]) -> None:
        self.attempt = attempt
        self._folder, self._recorded = folder, recorded
        self._holder, self._file = Holder.here(), LockFile(attempt, folder / f"lock-{attempt:04d}.json")
        self._is_lost = False
        self._began, self._ended, self._finished = (threading.Event() for _ in range(3))  # of the thread

    def make(self) -> None:
        """Create the file.

        Raises:
            FileExistsError: Another process has, or this one.
            EnvironmentFault: A system error.
        """
        create_whole(self._file.path, self._encoded(), sync=False)  # a power cut ends the process too

    def start(self) -> None:
        """Begin to update the file.

        Raises:
            MemoryError: There is none left.
            EnvironmentFault: The system allows no further thread.
        """
        bytearray(_MEMORY)
        problem, where = "cannot start a thread, which is to update the lock on the run", str(self._folder)
        try:
            start_new_thread(self._update, ())
        except RuntimeError as fault:
            raise EnvironmentFault(f"{problem}: {fault}", where=where, hint=MORE_PROCESSES) from fault
        # `threading.Thread` would wait for ever for a thread that ends because there is no memory.
        if not self._began.wait(_START_SECONDS):
            raise EnvironmentFault(problem, where=where, hint="allow more memory")

    def check(self) -> None:
        """Pass if this process still has the lock: called before each change of a file.

        Raises:
            RunLockedError: Another process has taken it over, or it was released.
            VerificationError: The recorded attempt cannot be read.
            EnvironmentFault: A system error.
        """
        self.look()
        self._require_newest()
        # A network file system may list a folder as it was a minute ago; to open a file asks the server.
        if self._holder.token.encode() in (self._file.content() or b""):
            return
        holder = self._file.holder()
        if holder is None and kind(self._file.path) == "missing":
            self._make_again()
            holder = self._file.holder()
        if holder and holder.token != self._holder.token:
            raise self._lost(holder)

    def look(self) -> None:
        """Pass unless this process is known to have lost the lock; no file is read.

        Raises:
            RunLockedError: It has.
        """
        if self._is_lost or self._ended.is_set():
            raise self._lost(None)

    def beat(self) -> None:
        """Update the lock, as proof that the process is alive; raises as `check`."""
        self._holder = self._holder.updated()
        write_atomic(self._file.path, self._encoded(), guard=self.check)

    def release(self) -> None:
        """Give the lock back; where that cannot be, the next process finds its holder gone."""
        self._ended.set()
        if self._began.is_set():
            self._finished.wait()
        self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            # What a later attempt removes or replaces looks like an error of the disk, or like damage.
            if isinstance(error, EnvironmentFault | VerificationError):
                with suppress(EnvironmentFault, VerificationError):
                    self.check()
        finally:
            self.release()

    def _encoded(self) -> bytes:
        return sealed(self._holder.model_dump(mode="json"))

    def _remove(self) -> None:
        with suppress(RnnlabError, OSError):
            holder = self._file.holder()
            if holder and holder.token == self._holder.token:
                disk.unlink(self._file.path)

    def _require_newest(self) -> None:
        newest = newest_lock(self._folder)
        if newest and newest.number > self.attempt:
            raise self._lost(newest.holder())
        if self._recorded() > self.attempt:
            raise self._lost(None)

    def _make_again(self) -> None:
        try:
            self.make()
        except FileExistsError:  # the other thread was faster, or another process
            return
        except EnvironmentFault:
            self._require_newest()
            raise
        try:
            self._require_newest()  # the new name makes the system list the folder anew
        except RunLockedError:
            self._remove()
            raise

    def _update(self) -> None:
        self._began.set()
        try:
            while not self._is_lost and not self._ended.wait(BEAT_SECONDS):
                with suppress(Exception):  # one update may fail: a full disk, a network that is away
                    self.beat()
        finally:
            self._finished.set()

    def _lost(self, holder: Holder | None) -> RunLockedError:
        self._is_lost = True
        problem = f"was taken over by {holder or 'another process'}, so this process writes nothing more to it"
        return RunLockedError(problem, where=str(self._folder))


def acquire(
    folder: Path,
    parts: Sequence[str] = (),
    *,
    recorded: Callable[[], int] = lambda: 0,
    force: bool = False,
    pause: Pause = wait_a_moment,
) -> Lock:
    """Take the lock on a run; where another machine has it, wait until it is known whether that process is alive.

    Args:
        folder: The run's folder.
        parts: The folders in it in which files are written.
        recorded: Returns the newest attempt that is recorded in the folder, 0 if none.
        force: Take it from a live process too, without a wait.
        pause: Called between two looks.

    Raises:
        RunLockedError: A live process has it, or was faster.
        EnvironmentFault: A system error.
    """
    newest = newest_lock(folder) if force else require_gone(folder, pause)
    lock = Lock(folder, max(recorded(), newest.number if newest else 0) + 1, recorded)
    try:
        lock.make()
        if recorded() < lock.attempt:
            lock.check()
            for old in lock_files(folder):
                if old.number < lock.attempt:
                    with suppress(OSError):
                        disk.unlink(old.path)
            for part in (folder, *map(folder.joinpath, parts)):
                if kind(part) == "folder":
                    sweep(part)
            lock.start()
            return lock
    except FileExistsError:
        raise in_use(newest_lock(folder) or LockFile(0, folder / "gone")) from None
    except BaseException as fault:
        lock.release()
        # The process that was faster removes unfinished files, and took ours for such.
        if not isinstance(fault.__cause__, FileNotFoundError) or kind(folder) == "missing":
            raise
    lock.release()  # another process has begun and ended since we looked
    return acquire(folder, parts, recorded=recorded, pause=pause)
