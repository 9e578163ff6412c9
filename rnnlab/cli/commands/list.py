"""List the runs, the newest last.

The text under `run` is a name that the other commands take. A `stale` run has the state running, but its process has
ended, or, on another machine, has not updated its lock for a minute. A filter compares (= != < <= > >=) a column of
`--json`, `metrics.error_rate` and the like, or a dotted key of the config; `*` is a wildcard, `and`, `or` and
parentheses join conditions, and text with blanks is quoted.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from rnnlab.cli.errors import warn
from rnnlab.cli.options import RUNS, JsonOption, RunsOption, argument, complete_sweep, option
from rnnlab.cli.render.output import console, show, show_json, show_text
from rnnlab.cli.render.tables import fitting, table_lines
from rnnlab.core.errors import RunNotFoundError
from rnnlab.core.table import Column, Table
from rnnlab.core.text import visible
from rnnlab.runs.columns import COLUMNS, choose, order, row
from rnnlab.runs.filter import Filter, parse
from rnnlab.runs.find import RunTable, no_collection, read_runs, sweep_path
from rnnlab.runs.index import Index
from rnnlab.runs.run import Run
from rnnlab.storage.status import token_of

_FILTER = "Only runs that match: state=completed, 'cell.units>=32 and (task=adding* or loss<0.1)'. Repeatable."
_LIMIT = "At most N runs: the newest, or with --sort the first; 0: all."
_ON_A_TERMINAL = 40


def command(
    sweep: Annotated[
        str | None,
        argument("SWEEP", "Only the trials of this sweep: its path, or its name below the runs.", complete_sweep),
    ] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", metavar="FILTER", help=_FILTER, show_default=False)
    ] = None,
    sort: Annotated[str, option("KEY", "Order by a column or config key; -KEY: greatest first.")] = "started",
    limit: Annotated[int | None, option("N", _LIMIT, "40 on a terminal, else all", min=0)] = None,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    root = sweep_path(runs, sweep) / "trials" if sweep else runs
    with no_collection():
        chosen = [parse(text) for text in filters or []]
        _list(root, chosen, sort=sort, limit=limit, json=json)


def _list(root: Path, filters: list[Filter], *, sort: str, limit: int | None, json: bool) -> None:
    try:
        table = read_runs(root)
    except RunNotFoundError:
        if root.exists():
            raise
        table = RunTable([], [], Index(root))
    matching = order(choose(table.runs, filters), sort)
    newest = sort == "started"
    chosen = _limited(matching, limit, newest=newest, json=json)
    for one in table.damaged:
        warn(f"{one.path}: {one.reason}")
    if json:
        damaged = [{"run": one.name, "path": one.path, "reason": one.reason} for one in table.damaged]
        show_json("list", {"runs": [row(run) for run in chosen], "damaged": damaged})
    else:
        if chosen:
            cells = dict(zip(_HEADERS, zip(*map(_cells, chosen), strict=True), strict=True))
            columns = fitting(cells, console().width, cut=_NARROWEST, drop=_DROPPED, gap=_GAP)
            heads = [Column(name, is_number=name in _RIGHT) for name in columns]
            lines = table_lines(Table(tuple(heads), tuple(zip(*columns.values(), strict=True))), rule="", gap=_GAP)
            show_text("".join(f"{line}\n" for line in lines))
        for line in _notes(table, len(chosen), len(matching), root, newest=newest):
            show(line)
    table.save_index()


def _limited(runs: list[Run], limit: int | None, *, newest: bool, json: bool) -> list[Run]:
    if limit is None:
        limit = _ON_A_TERMINAL if not json and console().is_terminal else 0
    if not limit:
        return runs
    return runs[-limit:] if newest else runs[:limit]


def _notes(table: RunTable, shown: int, matching: int, root: Path, *, newest: bool) -> Iterator[str]:
    total, damaged = len(table.runs), len(table.damaged)
    if not total:
        yield f"no runs in {root} yet; start one with `rnnlab train quickstart`"
    elif shown < matching:
        which, of = "newest" if newest else "first", "" if matching == total else f" that match, of {total:,}"
        yield f"the {which} {shown:,} of {matching:,} runs{of} in {root}; --limit 0 shows all"
    elif matching < total:
        yield f"{matching:,} of {total:,} runs in {root}"
    if damaged:
        yield f"{damaged:,} more cannot be read (see stderr)"


_HEADERS = ("run", "name", "task", "cell", "state", "steps", "loss", "solved", "age")
_RIGHT = {"steps", "loss", "age"}
_NARROWEST = {"run": 24, "task": 10, "name": 8}  # columns that are shortened, and how far, the last first
_DROPPED = ("cell", "solved", "age", "steps", "task")  # columns that are left out then, in this order
_GAP = 2
_FORM = Column("")


def _cells(run: Run) -> tuple[str, ...]:
    summary, age = run.stored_summary, short_age(COLUMNS["age"](run))
    result = (summary.steps, summary.loss, summary.solved)
    cells = (token_of(run.folder.name), run.label, summary.task, summary.cell, run.state, *result, age)
    return tuple(visible(_FORM.text(cell)) for cell in cells)


def short_age(seconds: float) -> str:
    """Return a duration in its largest unit: seconds, minutes, hours or days.

    Example:
        >>> [short_age(seconds) for seconds in (-3, 59, 60, 7199, 86400, 8640000)]
        ['0s', '59s', '1m', '1h', '1d', '100d']
    """
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"
