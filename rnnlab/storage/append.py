"""Files that only grow: each record is one write, and a cut record is recognized."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self, final

from rnnlab.core.errors import VerificationError
from rnnlab.core.system_errors import reported
from rnnlab.storage import disk
from rnnlab.storage.files import always, sync_folder, write_all
from rnnlab.storage.metrics import Value, encoded
from rnnlab.storage.reading import open_plain


@final
class AppendFile:
    """An open file of records, one a line, that is only ever appended to.

    Nothing already in the file is changed: where a killed process or a full disk left half a record, the next one
    starts on a line of its own.

    Args:
        path: The file, created if absent.
        id: The run's, which each record gets.
        guard: Called before the first write; raises if this process may no longer write to the file. Who takes over
            replaces the file, so that later writes go nowhere (see `lock`).
        sync: Whether to push the file's name to the disk.

    Raises:
        VerificationError: `path` is no plain file, or has a second name, whose owner would see it change.
        EnvironmentFault: A system error.
    """

    def __init__(self, path: Path, *, id: str = "", guard: Callable[[], None] = always, sync: bool = True) -> None:
        self._path, self._id, self._guard = path, id, guard
        self._descriptor = open_plain(path, append=True)
        try:
            self._unfinished = self._begin(sync)
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """The bytes in the file."""
        return os.fstat(self._descriptor).st_size

    def append(self, record: bytes) -> None:
        """Append `record` and the end of its line, by one write where the system takes it whole.

        Raises:
            EnvironmentFault: A system error; part of the record may be in the file.
        """
        self._guard()
        self._guard = always
        line = b"\n" * self._unfinished + record + b"\n"
        self._unfinished = True
        with reported(f"append {len(line):,} bytes", self._path):
            write_all(self._descriptor, line)
        self._unfinished = False

    def write(self, record: Mapping[str, Value]) -> None:
        """Append a record of metrics; see `metrics.encoded`.

        Raises:
            ValueError: It is none.
            EnvironmentFault: A system error.
        """
        self.append(encoded(record, id=self._id, torn_before=self._unfinished))

    def sync(self) -> None:
        """Wait until all that was appended is on the disk.

        Raises:
            EnvironmentFault: A system error: what was appended since the last sync may be lost.
        """
        with reported("sync", self._path):
            disk.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; more than once does no harm. What was not synced is left to the system to write."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                disk.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, sync: bool) -> bool:
        state = os.fstat(self._descriptor)
        if state.st_nlink > 1:
            raise VerificationError(f"has {state.st_nlink} names (hard links), expected one", where=str(self._path))
        with reported("append", self._path):
            if sync:
                sync_folder(self._path.parent)
            if not state.st_size:
                return False
            os.lseek(self._descriptor, -1, os.SEEK_END)
            return disk.read(self._descriptor, 1) != b"\n"
