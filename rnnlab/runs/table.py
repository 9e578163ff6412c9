"""All runs of a folder as plain rows, one a run, read from little more than its status and its summary."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

import yaml

from rnnlab.core.errors import RnnlabError, VerificationError
from rnnlab.runs.find import all_runs
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.naming import FOLDER_NAME

COLUMNS = (
    "run", "name", "path", "task", "timesteps", "backend", "cell", "seed", "state", "stopped", "steps", "sequences",
    "seconds", "steps_per_second", "parameters", "loss", "best_loss", "baseline", "solved", "solved_step",
    "solved_sequences", "solved_seconds", "started", "age", "metrics",
)  # fmt: skip

# Ten times as fast as the reader that marks lines; `dump_yaml` writes what every reader takes for the same data.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
    _config: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def config(self) -> dict[str, Any]:
        """The complete config; read when first asked for, empty where it cannot be read."""
        if self._config is None:
            self._config = _read_config(self.folder)
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


def read_table(root: Path, *, now: datetime | None = None) -> RunTable:
    """Return all runs in `root`.

    A run that has ended is told by its summary; one that has not, by its config and the newest line of its metrics.

    Raises:
        RunNotFoundError: `root` is not a folder.
        EnvironmentFault: The system refused to read it.
    """
    moment, listing = now or datetime.now(UTC), all_runs(root)
    table = RunTable([], listing.broken)
    for folder in listing.runs:
        try:
            table.rows.append(_row(folder, moment))
        except RnnlabError as fault:
            table.broken.append((folder.path, f"{fault.where.rpartition(os.sep)[2]} {fault.problem}"))
    return table


def _row(folder: RunFolder, now: datetime) -> Row:
    status = folder.read_status()
    # A running process writes its summary last of all; until then there is none, or that of an earlier part.
    row = Row(folder, _of_ended(folder.read_summary())) if folder.has_result(status) else _of_running(folder)
    match = FOLDER_NAME.fullmatch(folder.name)
    row.values |= {
        "run": match["token"] if match else folder.name,
        "name": folder.label,
        "path": str(folder.path),
        "state": "stale" if folder.is_stale(status) else status.state,
        "steps": max(status.step, row.values["steps"]),
        "started": status.started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "age": round((now - status.started).total_seconds()),
    }
    row.values = {name: row.values.get(name) for name in COLUMNS}
    return row


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


def _of_running(folder: RunFolder) -> Row:
    row = Row(folder, {})
    config, record = row.config, _newest_record(folder)
    metrics = {name.removeprefix("validation/"): record[name] for name in record if name.startswith("validation/")}
    timesteps = look_up(config, "shape.timesteps")
    row.values = {
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
    return row


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


def _read_config(folder: RunFolder) -> dict[str, Any]:
    try:
        config = yaml.load(folder.read_resolved(), _LOADER)  # noqa: S506
    except (VerificationError, yaml.YAMLError, RecursionError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
