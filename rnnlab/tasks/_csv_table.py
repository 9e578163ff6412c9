"""Read a CSV file of numbers by pandas, once per process and content; an error names the line and column at fault."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import numpy as np

from rnnlab.core.batch import Array
from rnnlab.core.data_file import MOST_BYTES
from rnnlab.core.errors import UsageError
from rnnlab.core.named_files import read_named, sha256_of
from rnnlab.core.packages import missing_package
from rnnlab.core.registry import nearest
from rnnlab.tasks._csv_checks import check_order, check_series, check_wide
from rnnlab.tasks._csv_gaps import Gap, gaps_of
from rnnlab.tasks._csv_layout import Layout, fault, quoted, settle
from rnnlab.tasks._csv_lines import BLANKS, Lines, is_number, missing_values
from rnnlab.tasks._csv_options import Column, CsvFile
from rnnlab.tasks._csv_order import by_series, filled, times_of

_THOUSANDS = re.compile(r"[+-]?\d{1,3}([.,' ]\d{3})+([.,]\d+)?")
_KEPT = 4  # tables that a process remembers


@final
@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Numbers in columns; the rows of each series are together and in order. It is shared: nothing may change it."""

    names: tuple[str, ...]  # one per kept column: from the header, else `column 0`, `column 1`, …
    values: Array  # (rows, kept columns), float64, finite
    target: int  # which of the kept columns is to be predicted
    series: tuple[tuple[str, slice], ...]  # name and rows of each series; one called `""` where there is no `group`
    times: Array | None  # (rows,) datetime64 or float64, where a column has the times
    gaps: tuple[Gap, ...]  # where rows are missing, by the times
    filled: dict[str, int]  # how many missing cells were filled, by column
    is_recorded: Array  # (rows,) whether the target is in the file, and was not filled
    was_sorted: bool  # whether the rows came in the order of their times
    sha256: str  # of the bytes of the file


def read_table(file: CsvFile) -> Table:
    """Read a regular file of numbers in UTF-8, of at most 1 GiB.

    Raises:
        UsageError: The file is missing, not a regular file, too large or not UTF-8; or it can be read in no way, or in
            several; or a cell is no number, a row is not in order; the message says where, and which option mends it.
        EnvironmentFault: pandas is not installed.
    """
    path, hint = file.place, "give a plain CSV file"
    try:
        sha256 = sha256_of(path, MOST_BYTES, hint=hint)
        # One table for a content, wherever the config is that names it.
        same = CsvFile(**{**file.model_dump(), "path": str(path), "sha256": None})
        return _read(sha256, same.model_dump_json(), same)  # as text too: False is equal to 0
    except FileNotFoundError as error:
        raise fault(path, "no such file", hint="a path in a config is relative to the config file") from error
    except UsageError as error:
        raise error if error.where else fault(path, error.problem, hint=error.hint) from error


@lru_cache(maxsize=_KEPT)
def _read(sha256: str, _: str, file: CsvFile) -> Table:
    return _parsed(sha256, read_named(Path(file.path), MOST_BYTES, hint="read it again"), file)


def _parsed(sha256: str, content: bytes, file: CsvFile) -> Table:
    path = Path(file.path)
    text = content.removeprefix(b"\xef\xbb\xbf")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        problem = f"byte {len(content) - len(text) + error.start:,} is not UTF-8"
        raise fault(path, problem, hint="save the file as UTF-8") from error
    if b"\0" in text:
        raise fault(path, f"byte {content.index(0):,} is NUL: this is no text", hint="save the file as UTF-8")
    lines = Lines.of(text, file.comment)
    layout = settle(lines, file)
    columns = _Columns.of(layout, file)
    check_wide(lines, layout, path)
    pd = _pandas()
    numbers, frame = _frame(pd, lines, layout, columns, file)
    times = times_of(pd, frame, columns.time, file, numbers=numbers)
    groups = frame[columns.group].to_numpy() if columns.group is not None else None
    check_series(pd, frame, layout, columns.unused, file, numbers=numbers)
    check_order(pd, frame, layout, columns.unused if times is None else [], file, numbers=numbers, groups=groups)
    order, series = by_series(groups, times, path=path, numbers=numbers)
    is_in_order = bool((order == np.arange(len(order))).all())
    values = np.ascontiguousarray(frame[columns.kept].to_numpy(np.float64))
    values = values if is_in_order else values[order]
    times = times if times is None or is_in_order else times[order]
    names = tuple(layout.names[k] for k in columns.kept)
    target = columns.kept.index(columns.target)
    is_recorded = ~np.isnan(values[:, target])
    values, count = filled(values, series, names=names, file=file, numbers=numbers[order])
    values.setflags(write=False)
    return Table(
        names=names,
        values=values,
        target=target,
        series=series,
        times=times,
        gaps=gaps_of(times, series),
        filled=count,
        is_recorded=is_recorded,
        was_sorted=times is None or is_in_order or groups is not None,
        sha256=sha256,
    )


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise missing_package(f"a CSV file is read by pandas: {error}", extra="data") from error
    return pd


@final
@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns of the file are what; `unused` are those left out that are neither times nor groups."""

    kept: list[int]
    target: int
    time: list[int]
    group: int | None
    unused: list[int]

    @classmethod
    def of(cls, layout: Layout, file: CsvFile) -> "_Columns":
        path, names = Path(file.path), layout.names
        times = () if file.time is None else file.time if isinstance(file.time, tuple) else (file.time,)
        time = [find_column(one, names, path=path) for one in times]
        group = (
            find_column(file.group, names, path=path) if file.group is not None and file.group is not False else None
        )
        ignored = {find_column(one, names, path=path) for one in file.ignore}
        others = {*time, *([] if group is None else [group])}
        kept = [k for k in range(len(names)) if k not in ignored | others]
        if not kept:
            raise fault(path, "every column is ignored")
        target = kept[0] if file.target is None else find_column(file.target, names, path=path)
        if target not in kept:
            why = "ignored" if target in ignored else "the time or the group"
            hint = "remove it from `ignore`" if target in ignored else "name the column to predict by `target`"
            raise fault(path, f"the target, column {file.target!r}, is {why}", hint=hint)
        return cls(kept, target, time, group, [k for k in sorted(ignored) if k not in others])


def find_column(column: Column, names: Sequence[str], *, path: Path) -> int:
    """Return the index of a column given by its name or index.

    Raises:
        UsageError: There is none, or several have that name.
    """
    if isinstance(column, int):
        other = next((k for k, name in enumerate(names) if name == str(column)), column)
        if other != column:
            problem = f"column {column} can be the one at that place, from 0, or the one called '{column}'"
            raise fault(path, problem, hint=f"write '{column}' in quotes for the name, or the name of the other")
        if 0 <= column < len(names):
            return column
        raise fault(path, f"no column {column}", hint=f"the columns are 0 to {len(names) - 1}")
    found = [k for k, name in enumerate(names) if name == column]
    if len(found) > 1:
        raise fault(path, f"{len(found)} columns are named {column!r}", hint="give its index instead")
    if not found:
        raise fault(path, f"no column named {column!r}", hint=nearest(column, names))
    return found[0]


def _frame(pd: Any, lines: Lines, layout: Layout, columns: _Columns, file: CsvFile) -> tuple[Array, Any]:
    """Return the number of each row's line, and the frame: kept columns as float64, the others as text."""
    path, marks = Path(file.path), missing_values(file.na_values)
    body, numbers = lines.body(layout.name_rows), lines.numbers[layout.name_rows :]
    settings: dict[str, Any] = {
        "header": None,
        "names": range(len(layout.names)),
        "index_col": False,
        "sep": r"\s+" if layout.delimiter == BLANKS else layout.delimiter,
        "decimal": layout.decimal,
        "skipinitialspace": True,
        "skip_blank_lines": False,
        # A series may be called NA.
        "na_values": {k: marks if k in columns.kept else [""] for k in range(len(layout.names))},
        "keep_default_na": False,
        "encoding": "utf-8",
    }
    dtypes = {k: "float64" if k in columns.kept else "str" for k in range(len(layout.names))}
    try:
        frame = pd.read_csv(io.BytesIO(body), dtype=dtypes, **settings)
    except (ValueError, OverflowError):
        frame = pd.read_csv(io.BytesIO(body), dtype="str", **settings)
        raise _no_numbers(frame, layout, columns, path, numbers=numbers) from None
    if len(frame) != len(numbers):
        raise fault(path, f"has {len(numbers):,} rows, of which {len(frame):,} can be read", hint="look at the quotes")
    values = frame[columns.kept].to_numpy()
    if np.isinf(values).any():
        row, k = (int(one[0]) for one in np.nonzero(np.isinf(values)))
        where = f"in column {columns.kept[k]} ({layout.names[columns.kept[k]]})"
        raise fault(
            path,
            f"an infinite number {where}",
            line=int(numbers[row]),
            hint="correct it, or name it in `csv.na_values`",
        )
    if file.missing == "error" and (missing := np.isnan(values)).any():
        raise _missing(missing, lines, layout, columns, path)
    return numbers, frame


def _no_numbers(frame: Any, layout: Layout, columns: _Columns, path: Path, *, numbers: Array) -> UsageError:
    """Return an error that names the first cell that is no number, and counts the others."""
    wrong = {
        k: [row for row, cell in enumerate(frame[k]) if isinstance(cell, str) and not _is_read(cell, layout.decimal)]
        for k in columns.kept
    }
    wrong = {k: rows for k, rows in wrong.items() if rows}
    k = min(wrong, key=lambda one: wrong[one][0])
    row, count = wrong[k][0], sum(map(len, wrong.values()))
    more = f"; so are {count - 1:,} more cells" if count > 1 else ""
    problem = f"{quoted(frame[k][row])} in column {k} ({layout.names[k]}) is not a number{more}"
    hint = "correct it, leave the column out by `ignore`, or name it in `csv.na_values` if it is a missing value"
    if _THOUSANDS.fullmatch(frame[k][row].strip()):
        hint = "take what separates thousands out of the file"
    elif not layout.numeric[k]:
        hint = "leave the column out by `ignore`, or is it the `time` or the `group`?"
    return fault(path, problem, line=int(numbers[row]), hint=hint)


def _is_read(cell: str, decimal: str) -> bool:
    return is_number(cell.strip(), decimal) or cell.strip().lower().lstrip("+-") in {"inf", "infinity"}


def _missing(missing: Array, lines: Lines, layout: Layout, columns: _Columns, path: Path) -> UsageError:
    row = int(np.flatnonzero(missing.any(axis=1))[0])
    k = columns.kept[int(np.flatnonzero(missing[row])[0])]
    line = row + layout.name_rows
    cells = lines.cells(line, layout.delimiter)
    shown = quoted(cells[k] if k < len(cells) else "")
    rows, wide = int(missing.any(axis=1).sum()), int(missing.any(axis=0).sum())
    count = f"{missing.sum():,} cell{'s' * bool(missing.sum() > 1)} in {rows:,} row{'s' * (rows > 1)}"
    problem = f"{count} and {wide} column{'s' * (wide > 1)} are missing, the first {shown} in column {k}"
    hint = "set `csv.missing: forward` or `interpolate`, fill them, or leave columns out by `ignore`"
    return fault(path, f"{problem} ({layout.names[k]})", line=int(lines.numbers[line]), hint=hint)
