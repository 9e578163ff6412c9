"""The run folder: one class that owns every file name in it.

    config.yaml        the config, bytes as given          resolved.yaml     the whole experiment, nothing left out
    provenance.json    who, where, with what               status.json       state and step
    metrics.jsonl      a line for each measurement         evaluations.jsonl a line for each `rnnlab evaluate`
    summary.json       the result in figures               log.txt           the log
    weights/           best.safetensors, last.safetensors  checkpoints/      to resume from (see `checkpoint`)
    plots/             pictures                            tensorboard/      event files, where they are asked for
    lock-0001.json     the lock (see `lock`)               cell.py, task.py … copies of code, never run

A folder with a plain `status.json` of ours is a run; so is a link to one, which a user may have made, whereas a link
inside is never followed. Paths of files outside are relative: a run may be moved.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, final

from rnnlab.config.yaml import dump_yaml
from rnnlab.core.errors import EnvironmentFault, RunNotFoundError, VerificationError
from rnnlab.core.options import check_name
from rnnlab.core.system_errors import ELSEWHERE, reported
from rnnlab.storage.append import AppendFile
from rnnlab.storage.files import always, ensure_folder, is_leftover, make_folder, sync_folder, write_atomic
from rnnlab.storage.holder import Pause, is_lock, wait_a_moment
from rnnlab.storage.jsonfile import Json, write_json
from rnnlab.storage.lock import Lock, acquire
from rnnlab.storage.metrics import EVALUATION, Metrics, check_prefix, read_metrics, read_prefix
from rnnlab.storage.reading import kind, read_bytes
from rnnlab.storage.run_id import read_own
from rnnlab.storage.sealed_yaml import parse_sealed, read_sealed, sealed
from rnnlab.storage.status import Status, folder_name, is_ours, label_of, read_status
from rnnlab.storage.summary import Summary

if TYPE_CHECKING:  # imported where it is used, so that runs can be listed without waiting for NumPy
    from rnnlab.storage.checkpoint import Checkpoints
    from rnnlab.storage.provenance import Provenance
    from rnnlab.storage.weights import Arrays, Expected, Loaded

Which = Literal["best", "last"]
CODE = ("cell.py", "task.py", "optimizer.py", "schedule.py")

_BEGUN = ("config.yaml", *CODE, "resolved.yaml", "provenance.json", "metrics.jsonl", "log.txt")
# The former of a new folder, before it is a run; these of a run, without its locks.
OWN = (*_BEGUN, "status.json", "evaluations.jsonl", "summary.json", "checkpoints", "weights", "plots", "tensorboard")

LARGEST_TEXT, _TRIES = 1 << 22, 100  # bytes of a config, which has at most 2^20 as given; names to try


@final
@dataclass(frozen=True)
class RunFolder:
    """A run's folder; make one with `create`, or take an existing one with `open`.

    Reading raises `VerificationError` where a file is missing or not what it should be; reading and writing raise
    `EnvironmentFault` on a system error. What is read must be of the run with the id `of`, where that is known.
    After a power cut the folder has all files that were written before the status that is found there.

    Args:
        path: The folder.
        lock: The lock, where `locked` returned it; each file is changed only while this process still has that.
    """

    path: Path
    lock: Lock | None = field(default=None, compare=False, repr=False)

    @classmethod
    def create(cls, root: Path, name: str, *, now: datetime | None = None) -> Self:
        """Make the folder of a new run called `name` in `root`, which is made too where it is missing.

        However many processes start at once, each gets a folder of its own.

        Raises:
            UsageError: `name` cannot be a run's name.
            EnvironmentFault: A system error; nothing was made but `root`.
        """
        check_name(name)
        ensure_folder(root)
        for _ in range(_TRIES):
            try:
                return cls(make_folder(root, folder_name(name, now)))
            except FileExistsError:
                continue
        raise EnvironmentFault(f"found no free folder name in {_TRIES} tries", where=str(root), hint=ELSEWHERE)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the run at `path`.

        Raises:
            RunNotFoundError: `path` is no rnnlab run.
            VerificationError: It was one, but its `status.json` is damaged or of another version of rnnlab.
        """
        run = cls(path)
        if kind(path, follow=True) != "folder" or kind(run._status) != "file" or not is_ours(run._status):
            if {kind(run._status), kind(path / "resolved.yaml"), kind(path / "provenance.json")} == {"file"}:
                raise VerificationError("is damaged: the folder has all else of a run", where=str(run._status))
            raise RunNotFoundError("is not an rnnlab run", where=str(path), hint="`rnnlab list` shows the runs")
        return run

    @classmethod
    def ensure(cls, path: Path) -> Self:
        """Return the folder at `path`, which is made where it is missing, a run or not.

        Raises:
            UsageError: Its name cannot be a run's name.
            EnvironmentFault: A system error, or something that is no folder has the name.
        """
        check_name(path.absolute().name)
        ensure_folder(path)
        return cls(path)

    def is_run(self) -> bool:
        """Return whether this folder is a run."""
        return kind(self._status) != "missing"

    def has_begun(self) -> bool:
        """Return whether there is anything to resume: a run that failed while it was made lacks part of its start."""
        start = (self.path / name for name in ("resolved.yaml", "provenance.json"))
        return self.is_run() and (kind(self.path / "checkpoints") != "missing" or "missing" not in map(kind, start))

    def strangers(self) -> list[str]:
        """Return the names in this folder that a run would not have before its status: none in a new one."""
        begun = {*_BEGUN, "status.json", "checkpoints"}
        with reported("look at", self.path):
            names = sorted(path.name for path in self.path.iterdir())
        return [name for name in names if name not in begun and not is_lock(name) and not is_leftover(name)]

    @property
    def name(self) -> str:
        """The folder's name, which names the run among others."""
        return self.path.name

    @property
    def label(self) -> str:
        """The name the user gave; that of the folder where it was renamed."""
        return label_of(self.name)

    def size(self) -> int:
        """Return the bytes of all files in the run."""
        with reported("look at", self.path):
            return sum(path.lstat().st_size for path in self.path.rglob("*") if path.is_file())

    def write_config(self, data: bytes, name: str = "config.yaml") -> None:
        """Store the config exactly as the user wrote it, or a file of code, which is never run."""
        write_atomic(self.path / name, data, guard=self._guard, sync=False)

    def read_config(self, name: str = "config.yaml") -> bytes:
        """Return the config exactly as the user wrote it, or a file of code."""
        return read_bytes(self.path / name, LARGEST_TEXT)

    def write_resolved(self, data: Mapping[str, Any], id: str) -> None:
        """Store the complete experiment of the run with this id."""
        write_atomic(self.path / "resolved.yaml", sealed(dump_yaml(data), id), guard=self._guard, sync=False)

    def read_resolved(self, of: str | None = None) -> dict[str, Any]:
        """Return the complete experiment as plain data, in the order of the file."""
        return parse_sealed(self.path / "resolved.yaml", LARGEST_TEXT, of)

    def read_resolved_text(self, of: str | None = None) -> str:
        """Return the complete experiment as the YAML that it is stored as."""
        return read_sealed(self.path / "resolved.yaml", LARGEST_TEXT, of)

    def write_provenance(self, value: "Provenance") -> None:
        """Store where the run comes from."""
        write_json(self.path / "provenance.json", value.document(), guard=self._guard, sync=False)

    def read_provenance(self, of: str | None = None) -> "Provenance":
        """Return where the run comes from."""
        from rnnlab.storage.provenance import Provenance

        return read_own(self.path / "provenance.json", Provenance, of)

    def write_status(self, status: Status) -> None:
        """Store the state of the run; from the first time on, the folder is a run."""

        def guard() -> None:
            sync_folder(self.path)  # what it describes first
            self._guard()

        write_json(self._status, status.model_dump(mode="json"), guard=guard)

    def read_status(self) -> Status:
        """Return the state of the run."""
        return read_status(self._status)

    def write_summary(self, summary: Summary) -> None:
        """Store the result in figures."""
        write_json(self.path / "summary.json", summary.model_dump(), guard=self._guard, sync=False)

    def read_summary(self, of: str | None = None) -> Summary:
        """Return the result in figures."""
        return read_own(self.path / "summary.json", Summary, of)

    def has_summary(self) -> bool:
        """Return whether there is a result."""
        return kind(self.path / "summary.json") != "missing"

    def metrics_writer(self, id: str) -> AppendFile:
        """Open the training record of the run with this id, to append to it; made if missing."""
        return AppendFile(self.path / "metrics.jsonl", id=id, guard=self._guard, sync=False)

    def read_metrics(self, of: str | None = None) -> Metrics:
        """Return the training record."""
        return read_metrics(self.path / "metrics.jsonl", of, in_order=True)

    def check_metrics(self, size: int, of: str) -> None:
        """Pass if the first `size` bytes of the training record are whole records, none of them damaged."""
        check_prefix(self.path / "metrics.jsonl", size, of)

    def cut_metrics(self, size: int) -> None:
        """Keep the first `size` bytes of the training record, in a new file: what is written to the old one is lost."""
        write_atomic(path := self.path / "metrics.jsonl", read_prefix(path, size), guard=self._guard)

    def evaluations_writer(self, id: str) -> AppendFile:
        """Open the record of evaluations of the run with this id, made after training, to append to it."""
        return AppendFile(self.path / "evaluations.jsonl", id=id)

    def read_evaluations(self, of: str | None = None) -> Metrics:
        """Return the record of evaluations made after training; none were made where there is no such file."""
        path = self.path / "evaluations.jsonl"
        return Metrics([], torn=False) if kind(path) == "missing" else read_metrics(path, of, fields=EVALUATION)

    def open_log(self) -> AppendFile:
        """Open the log, to append lines to it; made if missing."""
        return AppendFile(self.path / "log.txt", guard=self._guard, sync=False)

    def save_weights(self, which: Which, arrays: "Arrays", description: Mapping[str, Json]) -> str:
        """Store the weights and return their SHA-256; see `weights.save_arrays`."""
        from rnnlab.storage.weights import save_arrays

        path = self.inner("weights", make=True) / f"{which}.safetensors"
        return save_arrays(path, arrays, description, guard=self._guard)

    def load_weights(
        self, which: Which, expected: "Expected | None" = None, *, allow_nonfinite: bool = False, keep: bool = True
    ) -> "Loaded":
        """Return the weights and their description; see `weights.load_arrays`."""
        from rnnlab.storage.description import load_weights

        path = self.inner("weights") / f"{which}.safetensors"
        return load_weights(path, expected, allow_nonfinite=allow_nonfinite, keep=keep)

    def has_weights(self, which: Which) -> bool:
        """Return whether there are such weights, good or bad."""
        return kind(self.path / "weights" / f"{which}.safetensors") != "missing"

    def checkpoints(self, *, make: bool = False) -> "Checkpoints":
        """Return what there is to resume from; with `make`, ready to take more."""
        from rnnlab.storage.checkpoint import Checkpoints

        return Checkpoints(self.inner("checkpoints", make=make), guard=self._guard)

    def write_plot(self, name: str, data: bytes) -> Path:
        """Store a picture under `plots/` and return its path; `name` must be a name that a run could have."""
        check_name(name)
        write_atomic(path := self.inner("plots", make=True) / name, data, guard=self._guard)
        return path

    def inner(self, name: str, *, make: bool = False) -> Path:
        """Return the folder `name` in this one, made on request, without a sync; never one that leads out of the run.

        Raises:
            VerificationError: A link or a file has the name.
        """
        path = self.path / name
        found = kind(path)
        if found in {"file", "other"}:
            raise VerificationError("is not a folder of this run (a link, or a file)", where=str(path))
        if make and found == "missing":
            with suppress(FileExistsError):
                make_folder(self.path, name, sync=False)
        return path

    @contextmanager
    def locked(self, *, force: bool = False, pause: Pause = wait_a_moment) -> Iterator[Self]:
        """Take the lock on this folder, which is or will be a run, as `acquire`; enter with the one to write with."""

        def recorded() -> int:
            return self.read_status().attempt if self.is_run() else 0

        parts = ("weights", "checkpoints", "plots")
        with acquire(self.path, parts, recorded=recorded, force=force, pause=pause) as lock:
            yield replace(self, lock=lock)

    @property
    def attempt(self) -> int:
        """The number of this process's attempt; 0 without the lock."""
        return self.lock.attempt if self.lock else 0

    @property
    def _guard(self) -> Callable[[], None]:
        return self.lock.check if self.lock else always

    @property
    def _status(self) -> Path:
        return self.path / "status.json"
