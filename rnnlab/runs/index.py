"""What was read of many runs, remembered in one file beside them: there for speed, and never the truth.

    .index    the results of the runs that have ended, and, once many were asked for, the configs

An entry counts only while the files it was made from are the ones that were read, by inode, size, and times of change
to the nanosecond. So nothing that changes a run has to know of an index, and an index may be deleted, lost or copied
with its folder at any time. One that is damaged, of another version, or no plain file is ignored and replaced; where
none can be written, everything works without it.

Source: git, Documentation/technical/racy-git.txt, for files that were changed just before they were read;
sqlite.org/faq.html, question 5, for why this is no database: locks do not hold on many network file systems, and a
file that is replaced whole needs none.
"""

import hashlib
import os
import time
import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic, Literal, NamedTuple, TypeVar, final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rnnlab.core.errors import EnvironmentFault, RnnlabError
from rnnlab.storage import disk
from rnnlab.storage.fields import Flat, Moment, Name, RunId, Text
from rnnlab.storage.files import is_leftover, write_atomic
from rnnlab.storage.reading import read_bytes
from rnnlab.storage.summary import Summary

FORMAT = "rnnlab-index/3"
WORTH = 32  # entries, new or gone, for which the file is written: to read so many runs takes about as long
LARGEST = 1 << 27  # bytes
FRESH = 3_000_000_000  # ns in which a file may change twice and show one time: two seconds is the coarsest clock in use
_ABANDONED = 3600  # seconds after which an unfinished file is of a killed process


class Ended(NamedTuple):
    """The result of a run that has ended: its state, the reason, when it began, and its figures."""

    state: Literal["completed", "interrupted", "failed", "diverged"]
    message: Text
    started: Moment
    summary: Summary


Config = tuple[RunId, dict[Name, Flat]]  # the id of the run it is stored with; and the config, by dotted key

_Value = TypeVar("_Value")
_Entries = dict[str, tuple[list[int], _Value]]  # name of a run -> what its files look like, and what was read of them

_STRICT = ConfigDict(strict=True, allow_inf_nan=False, defer_build=True)
_CONFIG: TypeAdapter[Config] = TypeAdapter(Config, config=_STRICT)


@final
class Index:
    """What is remembered of the runs in a folder.

    Ask first, then learn: what is learned is of the files as they were at that moment, or later.

    Args:
        root: The folder of the runs.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / ".index"
        ended, configs = self._read()
        self._ended = _Part(root, ("status.json", "summary.json"), TypeAdapter(_Entries[Ended], config=_STRICT), ended)
        of_configs = TypeAdapter(_Entries[Config], config=_STRICT)
        self._configs = _Part(root, ("resolved.yaml",), of_configs, configs)

    def ended(self, run: str) -> Ended | None:
        """Return what is remembered of the run in the folder `run`; None where it has changed, or has not ended."""
        return self._ended.known(run)

    def learn_ended(self, run: str, value: Ended) -> None:
        """Remember the result of a run."""
        self._ended.learn(run, value)

    def config(self, run: str) -> Config | None:
        """Return the id and the config; None where they are not remembered, or have changed."""
        return self._configs.known(run)

    def learn_config(self, run: str, config: Config) -> None:
        """Remember the id and the config of a run, unless it has other values than the index takes back."""
        with suppress(ValidationError):
            self._configs.learn(run, _CONFIG.validate_python(config))

    def save(self, runs: Collection[str]) -> None:
        """Write the file where that saves more time than it takes; where it cannot be written, do nothing.

        Args:
            runs: The folders there are: entries of others are dropped.
        """
        parts = (self._ended, self._configs)
        if all(part.changes(runs) < WORTH for part in parts):
            return
        with suppress(EnvironmentFault, RecursionError):
            ended, configs = (part.encoded(runs) for part in parts)
            if len(ended) + len(configs) < LARGEST:
                head = f"{FORMAT} {len(ended)} {_digest(ended)} {_digest(configs)}\n"
                write_atomic(self._path, head.encode() + ended + configs)
        self._sweep()

    def _read(self) -> tuple[tuple[bytes, str], tuple[bytes, str]]:
        """Return the two parts, each with the digest that it should have."""
        try:
            head, _, body = read_bytes(self._path, LARGEST + 1000).partition(b"\n")
            format, size, ended, configs = head.decode().split(" ")
            if format == FORMAT:
                return (body[: int(size)], ended), (body[int(size) :], configs)
        except (RnnlabError, ValueError):
            pass
        return (b"", ""), (b"", "")

    def _sweep(self) -> None:
        """Delete what killed processes left of writing this file; nothing else ever would."""
        with suppress(OSError):
            for path in self._path.parent.glob(f".{self._path.name}.*.tmp"):
                if is_leftover(path.name) and time.time() - path.lstat().st_mtime > _ABANDONED:
                    disk.unlink(path)


class _Part(Generic[_Value]):
    """One value for each run, each made from some files of the run."""

    def __init__(
        self, root: Path, files: Sequence[str], entries: TypeAdapter[_Entries[_Value]], sealed: tuple[bytes, str]
    ) -> None:
        self._root, self._files, self._entries = f"{root}{os.sep}", files, entries
        self._settled = time.time_ns() - FRESH
        self._sealed = sealed
        self._old: _Entries[_Value] | None = None  # parsed when first asked for
        self._new: _Entries[_Value] = {}
        self._asked: dict[str, list[int]] = {}

    def known(self, run: str) -> _Value | None:
        stamp = self._stamp(run)
        if stamp is None:
            return None
        self._asked[run] = stamp
        if self._old is None:
            self._old = self._parse()
        entry = self._old.get(run)
        return entry[1] if entry and entry[0] == stamp else None

    def learn(self, run: str, value: _Value) -> None:
        stamp = self._asked.get(run)
        if stamp is not None and max(*stamp[2::4], *stamp[3::4]) < self._settled:
            self._new[run] = (stamp, value)

    def changes(self, runs: Collection[str]) -> int:
        return len(self._new) + sum(run not in runs for run in self._old or ())

    def encoded(self, runs: Collection[str]) -> bytes:
        if self._old is None and not self._new:
            return self._sealed[0] if self._is_whole() else zlib.compress(b"{}")
        old = self._parse() if self._old is None else self._old
        entries = {run: entry for run, entry in old.items() if run in runs} | self._new
        return zlib.compress(self._entries.dump_json(dict(sorted(entries.items()))), level=1)

    def _parse(self) -> _Entries[_Value]:
        with suppress(ValidationError, zlib.error):
            # A megabyte can decompress to a gigabyte; what is cut off there is no JSON.
            data = zlib.decompressobj().decompress(self._sealed[0], LARGEST) if self._is_whole() else b"{}"
            return self._entries.validate_json(data)
        return {}

    def _is_whole(self) -> bool:
        return _digest(self._sealed[0]) == self._sealed[1]

    def _stamp(self, run: str) -> list[int] | None:
        """Return what a change of the files would change too; a link that took the place of one is another inode."""
        stamp = []
        for file in self._files:
            try:
                state = os.lstat(f"{self._root}{run}{os.sep}{file}")
            except OSError:
                return None
            stamp += [state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
        return stamp


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
