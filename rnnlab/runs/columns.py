"""The columns of a list of runs: what `rnnlab list`, its filters and its order, and data frames show of a run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rnnlab.core.errors import RnnlabError, RunNotFoundError, UsageError
from rnnlab.core.named_files import home_expanded
from rnnlab.core.packages import is_installed, missing_package
from rnnlab.core.registry import nearest
from rnnlab.runs.filter import Filter, every
from rnnlab.runs.find import read_runs, runs_root, sweep_path
from rnnlab.runs.run import Run


def _summary(name: str) -> Callable[[Run], Any]:
    return lambda run: getattr(run.stored_summary, name)


def _solved(name: str) -> Callable[[Run], Any]:
    return lambda run: getattr(run.stored_summary.solved_at, name, None)


def _best_loss(run: Run) -> float | None:
    best = run.stored_summary.best
    return best.metrics.get("loss") if best else None


def _age(run: Run) -> int:
    """Return the whole seconds since the start."""
    return round((datetime.now(UTC) - datetime.fromisoformat(run.started)).total_seconds())


# JSON data, None where it is not known; what a run has of them is read from its summary.
COLUMNS: Mapping[str, Callable[[Run], Any]] = {
    "run": lambda run: run.folder.name,
    "name": lambda run: run.label,
    "path": lambda run: str(run.path),
    **{name: _summary(name) for name in ("task", "timesteps", "backend", "cell", "seed")},
    "state": lambda run: run.state,
    **{name: _summary(name) for name in ("stopped", "steps", "sequences", "seconds", "steps_per_second")},
    **{name: _summary(name) for name in ("parameters", "loss")},
    "best_loss": _best_loss,
    **{name: _summary(name) for name in ("baseline", "solved")},
    **{f"solved_{name}": _solved(name) for name in ("step", "sequences", "seconds")},
    "started": lambda run: run.started,
    "age": _age,
    "metrics": _summary("metrics"),
}


def row(run: Run) -> dict[str, Any]:
    """Return the value of every column."""
    return {name: value(run) for name, value in COLUMNS.items()}


def value_of(run: Run, key: str) -> Any:
    """Return what a run has at a column, at `metrics.NAME`, or at a dotted key of its config; None for nothing."""
    if column := COLUMNS.get(key):
        return column(run)
    if key.startswith("metrics."):
        return run.stored_summary.metrics.get(key.removeprefix("metrics."))
    return _config(run).get(key)


def choose(runs: Sequence[Run], filters: Sequence[Filter]) -> list[Run]:
    """Return the runs that match all filters, in their order.

    Raises:
        UsageError: No run has such a key; the hint names the nearest.
    """
    for key in every(list(filters)).names:
        require_key(runs, key, where="--filter")
    # Columns first: they are at hand, where each config is a file to read.
    for one in sorted(filters, key=lambda one: not all(name in COLUMNS for name in one.names)):
        runs = [run for run in runs if one.matches(partial(value_of, run))]
    return list(runs)


def order(runs: Sequence[Run], key: str) -> list[Run]:
    """Return the runs by the value at `key`, least first, or greatest first where it starts with `-`; unknown last.

    Raises:
        UsageError: No run has such a key; the hint names the nearest.
    """
    name = key.removeprefix("-")
    require_key(runs, name, where="--sort")
    values = [(value_of(run, name), run) for run in runs]
    known = sorted((pair for pair in values if pair[0] is not None), key=_rank, reverse=key.startswith("-"))
    return [run for _, run in known] + [run for value, run in values if value is None]


def require_key(runs: Sequence[Run], key: str, *, where: str) -> None:
    """Pass if `key` is a column, or at least one run has it.

    Raises:
        UsageError: It is not; the hint names the nearest.
    """
    if not runs or key in COLUMNS or any(_has(run, key) for run in runs):
        return
    known = {*COLUMNS, *(name for run in runs[-100:] for name in _names(run))}
    close = nearest(key, known)
    hint = close if close.startswith("did") else f"columns: {', '.join(COLUMNS)}; or a config key such as cell.units"
    raise UsageError(f"no run has a '{key}'", where=where, hint=hint)


def _has(run: Run, key: str) -> bool:
    if key.startswith("metrics."):
        return key.removeprefix("metrics.") in run.stored_summary.metrics
    return key in _config(run)


def _names(run: Run) -> Iterable[str]:
    yield from (f"metrics.{name}" for name in run.stored_summary.metrics)
    yield from _config(run)


def _config(run: Run) -> Mapping[str, Any]:
    with suppress(RnnlabError):  # one damaged config must not stop a list; `rnnlab show` reports it
        return run.config
    return {}


def _rank(pair: tuple[Any, Run]) -> tuple[bool, Any]:
    """Numbers come before texts, which cannot be compared with them."""
    value = pair[0]
    return (False, value) if isinstance(value, int | float) else (True, str(value))


def table(runs: str | Path | None = None) -> Any:
    """Return a frame of pandas, or of polars where only that is installed, with one row per run, the oldest first.

    The columns are those of `rnnlab list --json`, final metrics as `metrics.NAME`, then the complete config as
    `config.KEY` with dotted keys; a list is one value, and what a run does not have is missing.

    Args:
        runs: The folder of the runs, or a sweep by its path or name; left out, `RNNLAB_RUNS` or `runs` here.

    Raises:
        RunNotFoundError: There is no such folder or sweep.
        EnvironmentFault: Neither library is installed.
    """
    library = next((name for name in ("pandas", "polars") if is_installed(name)), "")
    if not library:
        raise missing_package("a frame needs pandas or polars", extra="data")
    found = read_runs(_folder(runs))
    rows = [_row(run) for run in found.runs]
    found.save_index()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    data = {column: [row.get(column) for row in rows] for column in columns}
    if library == "pandas":
        import pandas as pd

        return pd.DataFrame(data, columns=columns)
    import polars as pl

    return pl.DataFrame(data, strict=False)


def _folder(runs: str | Path | None) -> Path:
    """Return the folder of the runs that `table` is asked for."""
    if runs is None:
        return runs_root()
    with suppress(RunNotFoundError):
        return sweep_path(runs_root(), str(runs)) / "trials"
    return home_expanded(runs)


def _row(run: Run) -> dict[str, Any]:
    values = row(run)
    metrics = {f"metrics.{name}": value for name, value in values.pop("metrics").items()}
    return values | metrics | {f"config.{key}": value for key, value in _config(run).items()}
