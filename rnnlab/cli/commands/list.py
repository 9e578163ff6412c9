"""List the runs, the newest last.

What stands under `run` names the run to the other commands. A `stale` run says it is running, but its process is
gone, or, if on another machine, gave no sign of life for five minutes. A filter compares (= != < <= > >=) any
column of `--json`, `metrics.error_rate` and the like, or any dotted key of the config; `*` stands for any letters,
`and`, `or` and parentheses join conditions, and text with blanks is quoted.
"""

from typing import Annotated, Any

import typer

from rnnlab.cli.completion import complete_sweep
from rnnlab.cli.options import JsonOption, RunsOption

_FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="FILTER",
        help="Only runs that match: state=completed, 'cell.units>=32 and (task=adding* or loss<0.1)'. Repeatable.",
        show_default=False,
    ),
]
_SortOption = Annotated[
    str, typer.Option("--sort", metavar="KEY", help="Order by a column or config key; -KEY: greatest first.")
]
_LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="N",
        min=0,
        help="At most N runs: the newest, or with --sort the first; 0: all.",
        show_default="40 on a terminal, else all",
    ),
]
_ON_A_TERMINAL = 40


def command(
    sweep: Annotated[
        str | None,
        typer.Argument(
            metavar="[SWEEP]",
            help="Only the trials of this sweep: its path, or its name below the runs.",
            show_default=False,
            autocompletion=complete_sweep,
        ),
    ] = None,
    filters: _FilterOption = None,
    sort: _SortOption = "started",
    limit: _LimitOption = None,
    runs: RunsOption = None,
    json: JsonOption = False,
) -> None:
    from rnnlab.cli.collecting import no_collection
    from rnnlab.runs import runs_root
    from rnnlab.runs.filter import parse

    with no_collection():
        chosen = [parse(text) for text in filters or []]
        _list(_root(runs_root(runs), sweep), chosen, sort=sort, limit=limit, json=json)


def _list(root: Any, filters: list[Any], *, sort: str, limit: int | None, json: bool) -> None:
    from rnnlab.cli.errors import warn
    from rnnlab.cli.render.output import show_json
    from rnnlab.runs.columns import choose, order, row

    table = _table(root)
    fitting = order(choose(table.runs, filters), sort)
    chosen = _limited(fitting, limit, newest=sort == "started", json=json)
    for one in table.damaged:
        warn(f"{one.path}: {one.reason}")
    if json:
        damaged = [{"run": one.name, "path": one.path, "reason": one.reason} for one in table.damaged]
        show_json("list", {"runs": [row(run) for run in chosen], "damaged": damaged})
    else:
        counts = {"fitting": len(fitting), "total": len(table.runs), "broken": len(table.damaged)}
        _show(chosen, **counts, newest=sort == "started", root=root)
    table.save_index()


def _limited(rows: list[Any], limit: int | None, *, newest: bool, json: bool) -> list[Any]:
    from rnnlab.cli.render.output import console

    if limit is None:
        limit = _ON_A_TERMINAL if not json and console().is_terminal else 0
    if not limit:
        return rows
    return rows[-limit:] if newest else rows[:limit]


def _root(root: Any, sweep: str | None) -> Any:
    if sweep is None:
        return root
    from rnnlab.sweeps.folder import find_sweep

    return find_sweep(root, sweep).trials


def _table(root: Any) -> Any:
    from rnnlab.core.errors import RunNotFoundError
    from rnnlab.runs.index import Index
    from rnnlab.runs.many import RunTable, read_runs

    try:
        return read_runs(root)
    except RunNotFoundError:
        if root.exists():
            raise
        return RunTable([], [], Index(root))


def _show(rows: list[Any], *, fitting: int, total: int, broken: int, newest: bool, root: Any) -> None:
    from rnnlab.cli.render.output import show
    from rnnlab.core.text import visible

    place = visible(str(root))
    if rows:
        _print_rows(rows)
    if not total:
        show(f"no runs in {place} yet; start one with `rnnlab train configs/quickstart.yaml`")
    elif len(rows) < fitting:
        which, of = "newest" if newest else "first", "" if fitting == total else f" that fit, of {total:,}"
        show(f"the {which} {len(rows):,} of {fitting:,} runs{of} in {place}; --limit 0 shows all")
    elif fitting < total:
        show(f"{fitting:,} of {total:,} runs in {place}")
    if broken:
        show(f"{broken:,} more cannot be read (named on stderr)")


def _print_rows(rows: list[Any]) -> None:
    from rnnlab.cli.render.output import console, show_text

    cells = [_HEADERS, *map(_cells, rows)]
    show_text("\n".join(_lines(cells, console().width)) + "\n")


_HEADERS = ("run", "name", "task", "cell", "state", "steps", "loss", "solved", "age")
_RIGHT = {"steps", "loss", "age"}
_NARROWEST = {"name": 8, "task": 10}  # what gives way where all together is too wide, the wider first, and how far
_DROPPED = ("cell", "solved", "age", "steps", "task")  # what is left out then, one after the other
_SHORTEST = 6  # letters of `run`, without which no run can be named
_GAP = "  "


def _cells(run: Any) -> tuple[str, ...]:
    from rnnlab.core.text import visible
    from rnnlab.runs.columns import COLUMNS
    from rnnlab.storage.naming import token_of

    summary = run.stored_summary
    texts = (token_of(run.folder.name), run.label, _text(summary.task), _text(summary.cell), run.state)
    loss = "—" if summary.loss is None else f"{summary.loss:.4g}"
    return (*map(visible, texts), f"{summary.steps:,}", loss, _text(summary.solved), short_age(COLUMNS["age"](run)))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "—" if value is None else str(value)


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


def _lines(cells: list[tuple[str, ...]], width: int) -> list[str]:
    """Lay the cells out in columns; a table of Rich would take ten seconds for ten thousand runs."""
    columns = dict(zip(_HEADERS, zip(*cells, strict=True), strict=True))
    widths = _widths({name: max(map(len, column)) for name, column in columns.items()}, width)
    rows = zip(*(columns[name] for name in widths), strict=True)
    return [_GAP.join(map(_fitted, row, widths.values(), widths)).rstrip() for row in rows]


def _widths(widths: dict[str, int], width: int) -> dict[str, int]:
    """Return the columns there is room for, each with its width."""
    least = {name: min(wide, _NARROWEST.get(name, wide)) for name, wide in widths.items()}
    for name in _DROPPED:
        if _total(least) > width:
            widths = {one: wide for one, wide in widths.items() if one != name}
            least = {one: least[one] for one in widths}
    over = _total(widths) - width
    while over > 0 and (wide := [name for name in widths if widths[name] > least[name]]):
        widths[max(wide, key=widths.__getitem__)] -= 1
        over -= 1
    return widths | {"run": max(_SHORTEST, widths["run"] - max(0, over))}


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)


def _fitted(text: str, width: int, header: str) -> str:
    text = text if len(text) <= width else text[: width - 1] + "…"
    return text.rjust(width) if header in _RIGHT else text.ljust(width)
