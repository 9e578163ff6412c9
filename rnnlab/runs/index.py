"""What was read of many runs, remembered in one file beside them: there for speed, and never the truth.

    .index.rows        what is told of each run that has ended
    .index.configs     the config of each run, once many were asked for

An entry counts only while the files it was made from are the ones that were read, by inode, size, and times of change
to the nanosecond. So nobody who changes a run has to know of an index, and an index may be deleted, lost or copied with
its folder at any time. One that is damaged, of another version, or no plain file is passed over and replaced; where
none can be written, all is as without it.

Source: git, Documentation/technical/racy-git.txt, for files that were changed just before they were looked at;
sqlite.org/faq.html, question 5, for why this is no database: locks do not hold on many network file systems, and a
file that is replaced whole needs none.
"""

import hashlib
import json
import os
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, final

from rnnlab.core.errors import EnvironmentFault, RnnlabError
from rnnlab.storage import disk
from rnnlab.storage.files import is_leftover, write_atomic
from rnnlab.storage.reading import read_bytes

WORTH = 32  # entries, new or gone, for which a file is written anew: to read so many runs takes about as long
LARGEST = 1 << 28  # bytes
FRESH = 3_000_000_000  # ns in which a file may change twice and show one time: two seconds is the coarsest clock in use
_ABANDONED = 3600  # seconds after which nobody is still writing a file

Stamp = list[int]


@final
class Index:
    """One value for each run in a folder, each made from some files of the run.

    Ask for `known` first: a value that is learned then is of the files as they were at that moment, or later.

    Args:
        root: The folder that holds the runs.
        name: What the values are; names the file.
        files: The files of a run that a value is made from.
        version: To be raised when values are made in another way: others are passed over.
    """

    def __init__(self, root: Path, *, name: str, files: Sequence[str], version: str) -> None:
        self._path = root / f".index.{name}"
        self._head = f"rnnlab-index/1 {name}/{version}"
        self._root, self._files = f"{root}{os.sep}", files
        self._settled = time.time_ns() - FRESH
        self._old = self._read()
        self._new: dict[str, tuple[Stamp, Any]] = {}
        self._asked: dict[str, Stamp] = {}

    def known(self, run: str) -> Any:
        """Return the value of the run in the folder `run`, None where there is none or its files have changed."""
        stamp = self._stamp(run)
        if stamp is None:
            return None
        self._asked[run] = stamp
        entry = self._old.get(run)
        return entry[1] if isinstance(entry, list) and len(entry) == 2 and entry[0] == stamp else None

    def learn(self, run: str, value: Any) -> None:
        """Take what was read after `known` was asked; not what JSON would not give back as it is."""
        stamp = self._asked.get(run)
        if stamp is not None and max(*stamp[2::4], *stamp[3::4]) < self._settled and _survives(value):
            self._new[run] = (stamp, value)

    def save(self, runs: Collection[str]) -> None:
        """Write the file anew where that saves more time than it takes; a fault of the disk is passed over.

        Args:
            runs: The folders there are: entries of others go.
        """
        kept = {run: entry for run, entry in self._old.items() if run in runs}
        if len(self._new) + len(self._old) - len(kept) < WORTH:
            return
        with suppress(EnvironmentFault, RecursionError):
            body = json.dumps(dict(sorted({**kept, **self._new}.items())), separators=(",", ":")).encode()
            if len(body) < LARGEST:
                write_atomic(self._path, self._sealed(body))
        self._sweep()

    def _read(self) -> dict[str, Any]:
        try:
            data = read_bytes(self._path, LARGEST + len(self._sealed(b"")))
            body = data[data.index(b"\n") + 1 :]
            entries = json.loads(body) if self._sealed(body) == data else {}
        except (RnnlabError, ValueError, RecursionError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _sealed(self, body: bytes) -> bytes:
        return f"{self._head} {hashlib.sha256(body).hexdigest()}\n".encode() + body

    def _stamp(self, run: str) -> Stamp | None:
        """Return what a change of the files would change too; a link that took the place of one is another inode."""
        stamp = []
        for file in self._files:
            try:
                state = os.lstat(f"{self._root}{run}{os.sep}{file}")
            except OSError:
                return None
            stamp += [state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
        return stamp

    def _sweep(self) -> None:
        """Delete what killed processes left of writing this file; nobody else ever would."""
        with suppress(OSError):
            for path in self._path.parent.glob(f".{self._path.name}.*.tmp"):
                if is_leftover(path.name) and time.time() - path.lstat().st_mtime > _ABANDONED:
                    disk.unlink(path)


def _survives(value: Any) -> bool:
    """Say whether JSON gives the value back: no NaN, no date, no key that is no text."""
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError, RecursionError):
        return False
