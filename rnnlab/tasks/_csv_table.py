"""Read a CSV file of numbers; an error names the line and column at fault."""

import csv
import hashlib
import io
import itertools
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnnlab.core.batch import Array
from rnnlab.core.errors import UsageError
from rnnlab.core.named_files import read_named
from rnnlab.core.registry import nearest

SIZE_CAP = 256 * 2**20
Column = int | str


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers in columns.

    Attributes:
        names: One per kept column: from the header, else `column 0`, `column 1`, …
        values: (rows, kept columns), float64, finite.
        sha256: Of the bytes of the file.
        all_names: One per column of the file, ignored ones included.
        kept: Indices in the file of the kept columns.
    """

    names: list[str]
    values: Array
    sha256: str
    all_names: list[str]
    kept: list[int]

    def find(self, column: Column, *, path: Path) -> int:
        """Return the place among the kept columns of a column given by its name or its index in the file.

        Raises:
            UsageError: There is none, several have that name, or it is left out.
        """
        position = find_column(column, self.all_names, path=path)
        if position not in self.kept:
            raise _fault(path, f"column {str(column)!r} is ignored", hint="remove it from `ignore`")
        return self.kept.index(position)


def read_table(path: Path, *, ignore: Sequence[Column] = ()) -> Table:
    """Read a regular file of comma-, semicolon- or tab-separated numbers in UTF-8, with or without a header row.

    Args:
        path: The file, at most 256 MiB.
        ignore: Names or indices of columns to leave out, e.g. a date.

    Raises:
        UsageError: The file is missing, not a regular file, too large, empty, not UTF-8, or has rows of unequal length
            or a cell that is not a finite number; the error names the line.
    """
    try:
        content = read_named(path, SIZE_CAP, hint="give a plain CSV file")
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _fault(path, f"byte {error.start:,} is not UTF-8", hint="save the file as UTF-8") from error
    except FileNotFoundError as error:
        raise _fault(path, "no such file", hint="a path in a config is relative to the config file") from error
    except UsageError as error:
        raise _fault(path, error.problem, hint=error.hint) from error
    names, keep, values = _parse(io.StringIO(text, newline=""), path=path, ignore=ignore)
    table = np.array(values).reshape(-1, len(keep))
    kept_names = [names[k] for k in keep]
    return Table(kept_names, table, hashlib.sha256(content).hexdigest(), all_names=names, kept=keep)


def find_column(column: Column, names: Sequence[str], *, path: Path) -> int:
    """Return the index of a column given by its name or index.

    Raises:
        UsageError: There is none, or several have that name.
    """
    if isinstance(column, int):
        if 0 <= column < len(names):
            return column
        raise _fault(path, f"no column {column}", hint=f"the columns are 0 to {len(names) - 1}")
    found = [k for k, name in enumerate(names) if name == column]
    if len(found) > 1:
        raise _fault(path, f"{len(found)} columns are named {column!r}", hint="give its index instead")
    if not found:
        raise _fault(path, f"no column named {column!r}", hint=nearest(column, names))
    return found[0]


def _parse(
    lines: Iterable[str], *, path: Path, ignore: Sequence[Column]
) -> tuple[list[str], list[int], "array[float]"]:
    rows = _rows(lines, path)
    line, first = next(rows, (1, []))
    if not first:
        raise _fault(path, "the file is empty")
    header = _is_header(first, path=path, line=line, ignore=ignore)
    names = [cell.strip() for cell in first] if header else [f"column {k}" for k in range(len(first))]
    ignored = {find_column(column, names, path=path) for column in ignore}
    keep = [k for k in range(len(names)) if k not in ignored]
    if not keep:
        raise _fault(path, "every column is ignored")
    values: array[float] = array("d")
    if not header:
        values.extend(_numbers(first, names=names, keep=keep, where=(path, line)))
    for line, row in rows:
        values.extend(_numbers(row, names=names, keep=keep, where=(path, line)))
    if not values:
        raise _fault(path, "there is a header, but no row of numbers", line=line)
    return names, keep, values


def _rows(lines: Iterable[str], path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of every row that is not blank; the first line decides the delimiter."""
    source = iter(lines)
    first = next(source, "")
    reader = csv.reader(itertools.chain([first], source), delimiter=max(",;\t", key=first.count))
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise _fault(path, f"not CSV: {error}", line=reader.line_num) from error


def _is_header(first: list[str], *, path: Path, line: int, ignore: Sequence[Column]) -> bool:
    words = [k for k, cell in enumerate(first) if k not in ignore and not _is_number(cell)]
    numbers = [k for k, cell in enumerate(first) if k not in ignore and _is_number(cell)]
    if words and numbers:
        both = f"{_cell(first[words[0]])} in column {words[0]}, {_cell(first[numbers[0]])} in column {numbers[0]}"
        raise _fault(
            path, f"the first row mixes names and numbers: {both}", line=line, hint="leave such columns out by `ignore`"
        )
    return bool(words)


def _numbers(row: list[str], *, names: list[str], keep: list[int], where: tuple[Path, int]) -> list[float]:
    path, line = where
    if len(row) != len(names):
        raise _fault(path, f"{len(row)} cells where the first row has {len(names)}", line=line)
    try:
        numbers = [float(row[k]) for k in keep]
        if all(map(math.isfinite, numbers)):
            return numbers
    except ValueError:
        pass
    bad = next(k for k in keep if not (_is_number(row[k]) and math.isfinite(float(row[k]))))
    problem = f"{_cell(row[bad])} in column {bad} ({names[bad]}) is not a finite number"
    raise _fault(path, problem, line=line, hint="fill or remove it, or leave the column out by `ignore`")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _cell(text: str) -> str:
    return f"'{text if len(text) <= 40 else text[:37] + '…'}'"


def _fault(path: Path, problem: str, *, line: int | None = None, hint: str = "") -> UsageError:
    where = str(path) if line is None else f"{path}:{line}"
    return UsageError(problem, where=where, hint=hint)
