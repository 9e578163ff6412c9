"""What many runs came to, in seconds: from what the table of runs remembers, each record read only when asked for."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final, overload

from rnnlab.comparison.configured import flatten
from rnnlab.comparison.result import Damaged, Result, SolvedAt, read_result
from rnnlab.core.errors import RnnlabError
from rnnlab.runs.index import WORTH
from rnnlab.runs.rows import Row, RunTable, read_table
from rnnlab.storage import RunFolder

_KNOWN = {"completed", "interrupted", "failed", "diverged"}


def read_results(runs: Sequence[RunFolder | Damaged]) -> list[Result | Damaged]:
    """Return what each run came to, or why it cannot be read, in the order given.

    Of a few runs every file is read; of many that have ended, their summary and config alone, so that a damaged record
    shows when it is drawn, or to `rnnlab doctor`.
    """
    known = _Known([run for run in runs if isinstance(run, RunFolder)]) if len(runs) >= WORTH else None
    read = [run if isinstance(run, Damaged) else (known and known.result(run)) or read_result(run) for run in runs]
    if known:
        known.remember()
    return read


@final
class _Known:
    """The tables of the folders that hold most of the runs."""

    def __init__(self, runs: Sequence[RunFolder]) -> None:
        self._tables: list[RunTable] = []
        self._rows: dict[Path, Row] = {}
        for root in dict.fromkeys(run.path.parent for run in runs):
            if sum(run.path.parent == root for run in runs[: 2 * WORTH]) >= WORTH:
                table = read_table(root)
                self._tables.append(table)
                self._rows |= {row.folder.path: row for row in table.rows}

    def result(self, run: RunFolder) -> Result | None:
        row = self._rows.get(run.path)
        if row is None or row.values["state"] not in _KNOWN or not row.config:
            return None
        return _of_row(run, row)

    def remember(self) -> None:
        for table in self._tables:
            table.remember()


def _of_row(run: RunFolder, row: Row) -> Result:
    told = row.values
    at = [told[f"solved_{name}"] for name in ("step", "sequences", "seconds")]
    metrics = told["metrics"] if isinstance(told["metrics"], dict) else {}
    config = dict(flatten(row.config))
    return Result(
        name=run.name,
        label=run.label,
        path=run.path,
        state=told["state"],
        message="" if told["state"] == "completed" else run.read_status().message,
        stopped=told["stopped"] or told["state"],
        config=config,
        facts=_facts(run) if config.get("task.csv") else {},
        **{
            name: told[name] for name in ("steps", "sequences", "seconds", "steps_per_second", "parameters", "baseline")
        },
        solved=told["solved"],
        solved_at=None if None in at else SolvedAt(step=at[0], sequences=at[1], seconds=float(at[2])),
        records=_Records(run),
        finals={f"validation/{name}": value for name, value in metrics.items()},
    )


def _facts(run: RunFolder) -> Mapping[str, Any]:
    try:
        facts = run.read_provenance().get("task")
    except RnnlabError:
        return {}
    return facts if isinstance(facts, dict) else {}


@final
class _Records(Sequence[Mapping[str, Any]]):
    """The training record of a run, read at the first look; empty where it is damaged."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._read: Sequence[Mapping[str, Any]] | None = None

    def _all(self) -> Sequence[Mapping[str, Any]]:
        if self._read is None:
            try:
                self._read = self._run.read_metrics().records
            except RnnlabError:
                self._read = ()
        return self._read

    @overload
    def __getitem__(self, place: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, place: int | slice) -> Any:
        return self._all()[place]

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._all())
