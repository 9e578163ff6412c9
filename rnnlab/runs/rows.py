"""All runs of a folder as plain rows, one a run, read from little more than its status and its summary."""

import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from rnnlab.core.errors import RnnlabError, VerificationError
from rnnlab.runs.configs import Configs, read_config
from rnnlab.runs.find import open_runs, run_names
from rnnlab.runs.index import Index
from rnnlab.storage.folder import RunFolder
from rnnlab.storage.naming import FOLDER_NAME

COLUMNS = (
    "run", "name", "path", "task", "timesteps", "backend", "cell", "seed", "state", "stopped", "steps", "sequences",
    "seconds", "steps_per_second", "parameters", "loss", "best_loss", "baseline", "solved", "solved_step",
    "solved_sequences", "solved_seconds", "started", "age", "metrics",
)  # fmt: skip

# Those that an index keeps: the others follow from the name and the clock.
_KEPT = tuple(name for name in COLUMNS if name not in {"run", "name", "path", "age"})
_VERSION = "1 " + " ".join(_KEPT)  # to be raised when the same summary gives another row
_ENDED = {"completed", "interrupted", "failed", "diverged"}


@final
@dataclass
class Row:
    """One run.

    Attributes:
        folder: The run.
        values: A value for each of `COLUMNS`, JSON data, None where it is not known. `run` is the part of the folder's
            name that tells it from the others; `age` is in seconds since the start; `timesteps` is [shortest, longest];
            `metrics` holds the final ones by name; `state` is the run's own or `stale`.
    """

    folder: RunFolder
    values: dict[str, Any]
    _read_config: Callable[[RunFolder], dict[str, Any]] = field(repr=False)
    _config: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def config(self) -> dict[str, Any]:
        """The complete config; read when first asked for, empty where it cannot be read."""
        if self._config is None:
            self._config = self._read_config(self.folder)
        return self._config


@final
@dataclass(frozen=True)
class RunTable:
    """The runs of a folder.

    Attributes:
        rows: Those that can be read, oldest first.
        broken: Those that cannot, each with the reason.
    """

    rows: list[Row]
    broken: list[tuple[Path, str]]
    _remember: Callable[[], None] = field(default=lambda: None, repr=False)

    def remember(self) -> None:
        """Keep what was read in an index beside the runs, for the next time; where that cannot be, do nothing."""
        self._remember()


def read_table(root: Path, *, now: datetime | None = None) -> RunTable:
    """Return all runs in `root`; nothing is written.

    A run that has ended is told by its summary, read now or, where it has not changed since, remembered; one that has
    not, by its config and the newest line of its metrics.

    Raises:
        RunNotFoundError: `root` is not a folder.
        EnvironmentFault: The system refused to read it.
    """
    names = run_names(root)
    reader = _Reader(root, now or datetime.now(UTC))
    rows = {name: row for name in names if (row := reader.remembered(RunFolder(root / name)))}
    listing = open_runs(root, [name for name in names if name not in rows])
    for folder in listing.runs:
        try:
            rows[folder.name] = reader.read(folder)
        except RnnlabError as fault:
            listing.broken.append((folder.path, f"{fault.where.rpartition(os.sep)[2]} {fault.problem}"))
    ordered = [rows[name] for name in names if name in rows]
    return RunTable(ordered, listing.broken, lambda: reader.remember(set(names)))


class _Reader:
    """Makes rows from the files of a run, or from what is remembered of them."""

    def __init__(self, root: Path, now: datetime) -> None:
        self._now = now
        self._index = Index(root, name="rows", files=("status.json", "summary.json"), version=_VERSION)
        self._configs = Configs(root)

    def remembered(self, folder: RunFolder) -> Row | None:
        known = self._index.known(folder.name)
        if not isinstance(known, list) or len(known) != len(_KEPT) or not _are_finite(known):
            return None
        values = dict(zip(_KEPT, known, strict=True))
        if values["state"] not in _ENDED or not isinstance(values["steps"], int):
            return None
        try:
            return self._row(folder, values)
        except (TypeError, ValueError, OverflowError):  # `started` is no time
            return None

    def read(self, folder: RunFolder) -> Row:
        status = folder.read_status()
        # A running process writes its summary last of all; until then there is none, or that of an earlier part.
        ended = folder.has_result(status)
        config = None if ended else read_config(folder)
        values = _of_ended(folder.read_summary()) if config is None else _of_running(folder, config)
        values |= {
            "state": "stale" if folder.is_stale(status) else status.state,
            "steps": max(status.step, values["steps"]),
            "started": status.started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        if ended:
            self._index.learn(folder.name, [values.get(name) for name in _KEPT])
        return self._row(folder, values, config)

    def remember(self, names: Collection[str]) -> None:
        self._index.save(names)
        self._configs.remember(names)

    def _row(self, folder: RunFolder, values: Mapping[str, Any], config: dict[str, Any] | None = None) -> Row:
        match = FOLDER_NAME.fullmatch(folder.name)
        told = {
            **values,
            "run": match["token"] if match else folder.name,
            "name": match["name"] if match else folder.name,
            "path": str(folder.path),
            "age": round((self._now - datetime.fromisoformat(values["started"])).total_seconds()),
        }
        return Row(folder, {name: told.get(name) for name in COLUMNS}, self._configs.read, config)


def _are_finite(values: Iterable[Any]) -> bool:
    for value in values:  # a quarter of a million, so the plainest loop
        if type(value) is float and not math.isfinite(value):
            return False
        if type(value) in _HOLDERS and not _are_finite(value.values() if type(value) is dict else value):
            return False
    return True


_HOLDERS = {dict, list}


def _of_ended(summary: Mapping[str, Any]) -> dict[str, Any]:
    best, solved = summary.get("best"), summary.get("solved_at")
    best = best.get("metrics") if isinstance(best, dict) else None
    solved = solved if isinstance(solved, dict) else {}
    return {
        **{name: summary.get(name) for name in COLUMNS},
        "steps": 0,
        "best_loss": best.get("loss") if isinstance(best, dict) else None,
        **{f"solved_{name}": solved.get(name) for name in ("step", "sequences", "seconds")},
    }


def _of_running(folder: RunFolder, config: Mapping[str, Any]) -> dict[str, Any]:
    record = _newest_record(folder)
    metrics = {name.removeprefix("validation/"): record[name] for name in record if name.startswith("validation/")}
    timesteps = look_up(config, "shape.timesteps")
    return {
        "task": look_up(config, "task.type"),
        "timesteps": [timesteps, timesteps] if isinstance(timesteps, int) else timesteps,
        "backend": config.get("backend"),
        "cell": look_up(config, "cell.type"),
        "seed": config.get("seed"),
        "steps": record.get("step", 0),
        "sequences": record.get("sequences"),
        "seconds": record.get("seconds"),
        "loss": metrics.get("loss"),
        "metrics": metrics,
    }


def look_up(data: Any, key: str) -> Any:
    """Return what stands at a dotted key, None where nothing does.

    Example:
        >>> look_up({"cell": {"type": "carry"}}, "cell.type"), look_up({"cell": 1}, "cell.type")
        ('carry', None)
    """
    for part in key.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _newest_record(folder: RunFolder) -> dict[str, Any]:
    try:
        records = folder.read_metrics().records
    except VerificationError:  # nothing measured yet; of a damaged line `rnnlab show` tells
        return {}
    return records[-1] if records else {}
