"""`rnnlab list`."""

from typing import Annotated, Any

import typer

from rnnlab.cli._options import JsonOption, RunsOption

_FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="KEY=VALUE",
        help="Only runs that fulfil this: state=completed, 'task=adding*', 'cell.units>=32'. Repeatable.",
        show_default=False,
    ),
]
_SortOption = Annotated[
    str, typer.Option("--sort", metavar="KEY", help="Order by a column or config key; -KEY: greatest first.")
]


def command(
    filters: _FilterOption = None,
    sort: _SortOption = "started",
    runs: RunsOption = None,
    json: JsonOption = False,
) -> None:
    """List the runs, the newest last.

    What stands under `run` names the run to the other commands. A `stale` run says it is running, but its process is
    gone, or, if on another machine, gave no sign of life for five minutes. A filter compares (= != < <= > >=) any
    column of `--json`, `metrics.error_rate` and the like, or any dotted key of the config; `*` stands for any letters.
    """
    from rnnlab.cli._errors import warn
    from rnnlab.cli._output import show_json
    from rnnlab.runs import runs_root
    from rnnlab.runs.choosing import Condition, choose, order

    conditions = [Condition.read(text) for text in filters or []]
    root = runs_root(runs)
    table = _table(root)
    chosen = order(choose(table.rows, conditions), sort)
    for path, reason in table.broken:
        warn(f"{path}: {reason}")
    if json:
        broken = [{"path": str(path), "reason": reason} for path, reason in table.broken]
        show_json({"runs": [row.values for row in chosen], "broken": broken})
        return
    _show(chosen, total=len(table.rows), broken=len(table.broken), root=root)


def _table(root: Any) -> Any:
    from rnnlab.core.errors import RunNotFoundError
    from rnnlab.runs.table import RunTable, read_table

    try:
        return read_table(root)
    except RunNotFoundError:
        if root.exists():
            raise
        return RunTable([], [])


def _show(rows: list[Any], *, total: int, broken: int, root: Any) -> None:
    from rnnlab.cli._output import show
    from rnnlab.core.text import visible

    place = visible(str(root))
    if rows:
        _print_rows(rows)
    if not total:
        show(f"no runs in {place} yet; start one with `rnnlab train configs/quickstart.yaml`")
    elif len(rows) < total:
        show(f"{len(rows):,} of {total:,} runs in {place}")
    if broken:
        show(f"{broken:,} more cannot be read (named on stderr)")


def _print_rows(rows: list[Any]) -> None:
    from rnnlab.cli._output import console, show

    cells = [_HEADERS, *(_cells(row.values) for row in rows)]
    show("\n".join(_lines(cells, console().width)))


_HEADERS = ("run", "name", "task", "cell", "state", "steps", "loss", "solved", "age")
_RIGHT = {"steps", "loss", "age"}
_NARROWEST = {"name": 8, "task": 10}  # what gives way where all together is too wide, the wider first, and how far
_GAP = "  "


def _cells(values: dict[str, Any]) -> tuple[str, ...]:
    from rnnlab.core.text import visible

    texts = (visible(_text(values[key])) for key in ("run", "name", "task", "cell", "state"))
    loss = f"{values['loss']:.4g}" if isinstance(values["loss"], int | float) else "—"
    return (*texts, f"{values['steps']:,}", loss, visible(_text(values["solved"])), short_age(values["age"]))


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
    widths = dict(zip(_HEADERS, (max(map(len, column)) for column in zip(*cells, strict=True)), strict=True))
    spare = width - sum(widths.values()) - len(_GAP) * (len(widths) - 1)
    while spare < 0 and (wide := [name for name, least in _NARROWEST.items() if widths[name] > least]):
        widths[max(wide, key=widths.__getitem__)] -= 1
        spare += 1
    return [_GAP.join(map(_fitted, row, widths.values(), _HEADERS)).rstrip() for row in cells]


def _fitted(text: str, width: int, header: str) -> str:
    text = text if len(text) <= width else text[: width - 1] + "…"
    return text.rjust(width) if header in _RIGHT else text.ljust(width)
