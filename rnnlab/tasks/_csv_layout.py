"""The shape of a CSV file: delimiter, decimal separator, names. It is settled from all lines, and never guessed."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from rnnlab.core.batch import Array
from rnnlab.core.errors import UsageError
from rnnlab.tasks._csv_lines import BLANKS, DELIMITERS, SINGLE, Lines, is_number, missing_values
from rnnlab.tasks._csv_options import CsvFile

_SAMPLED = 400  # rows whose cells are looked at to tell numbers from text
_MOST_NAME_ROWS = 10
LONGEST_NAME = 200  # characters, of columns and series
_CALLED = {",": "`,`", ";": "`;`", "\t": "tabs", "|": "`|`", BLANKS: "blanks", SINGLE: "nothing (one column)"}
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


@final
@dataclass(frozen=True, slots=True)
class Layout:
    """One way to read a file."""

    delimiter: str  # what separates cells; `SINGLE` where a line is a cell
    decimal: str  # the decimal separator
    numeric: tuple[bool, ...]  # of each column, whether it has numbers, judged by rows from all over the file
    names: tuple[str, ...] = ()  # of the columns; empty text where there is none
    name_rows: int = 0  # how many lines have names


def fault(path: Path, problem: str, *, line: int | None = None, hint: str = "") -> UsageError:
    """Return an error in a file, or in one of its lines."""
    return UsageError(problem, where=str(path) if line is None else f"{path}:{line}", hint=hint)


def quoted(text: str) -> str:
    """Return a text of the file for a message."""
    return f"'{text if len(text) <= 40 else text[:37] + '…'}'"


def settle(lines: Lines, options: CsvFile) -> Layout:
    """Return how the file is read.

    Raises:
        UsageError: It can be read in no way, or in several; the message shows both.
    """
    path, missing = Path(options.path), set(missing_values(options.na_values))
    if not len(lines):
        raise fault(path, "the file is empty")
    known = [one for one in DELIMITERS if not (one == options.decimal and b'"' not in lines.content)]
    counts = {one: lines.counts(one) for one in ([options.delimiter] if options.delimiter else known)}
    even = [one for one, found in counts.items() if found[0] > 1 and (found == found[0]).all()]
    found = [layout for one in even if (layout := _reading(lines, one, options, missing))]
    # A text that another delimiter would cut between digits is two cells.
    found = [one for one in found if not any(_cuts(lines, one, other) for other in even if other != one.delimiter)]
    if not options.delimiter or (counts[options.delimiter] == 1).all():
        if single := _reading(lines, SINGLE, options, missing):
            found.append(single)
        elif not found and not options.delimiter and _is_even(lines.counts(BLANKS)):
            found = [layout for layout in [_reading(lines, BLANKS, options, missing)] if layout]
    if len(found) > 1:
        raise _ambiguous(path, lines, found[:2])
    if not found:
        raise _unreadable(path, lines, counts, even)
    return _named(path, lines, found[0], options, missing)


def _is_even(counts: Array) -> bool:
    return bool(counts[0] > 1 and (counts == counts[0]).all())


def _reading(lines: Lines, delimiter: str, options: CsvFile, missing: set[str]) -> Layout | None:
    """Return the way to read the file with this delimiter, if columns then have numbers."""
    sampled = lines.some(_SAMPLED)
    if delimiter == SINGLE and not all(_is_one_cell(lines.text(line).strip(), options, missing) for line in sampled):
        return None
    names = min(5, len(lines) - 1)  # lines that may have names
    columns = list(zip(*(lines.cells(line, delimiter) for line in sampled if line >= names), strict=False))
    numeric = {mark: [_has_numbers(column, mark, missing) for column in columns] for mark in (".", ",")}
    if options.decimal:
        decimal = options.decimal
    else:
        # Whole numbers are numbers with either separator.
        cells = {mark: [c for column in columns for c in column if is_number(c, mark)] for mark in (".", ",")}
        decimal = "," if len(cells[","]) > len(cells["."]) else "."
        if decimal == "," and all(_THOUSANDS.fullmatch(cell) for cell in cells[","] if "," in cell):
            shown = next(cell for cell in cells[","] if "," in cell)
            both = f"{quoted(shown)} as {shown.replace(',', '.')} or as {shown.replace(',', '')}"
            hint = "set `csv.decimal: ','` for the first; for the second, take the commas out of the file"
            raise fault(Path(options.path), f"can be read in two ways: {both}", hint=hint)
    return Layout(delimiter, decimal, tuple(numeric[decimal])) if any(numeric[decimal]) else None


def _has_numbers(column: Sequence[str], decimal: str, missing: set[str]) -> bool:
    numbers = sum(is_number(cell, decimal) for cell in column)
    return numbers > 0 and 2 * numbers >= sum(cell not in missing for cell in column)


def _is_one_cell(text: str, options: CsvFile, missing: set[str]) -> bool:
    """Return whether a line can be the only cell of a row: a number, or a word without a delimiter."""
    decimals = options.decimal or ".,"
    text = text.strip('"')
    return (
        text in missing or any(is_number(text, one) for one in decimals) or not any(one in text for one in DELIMITERS)
    )


def _cuts(lines: Lines, layout: Layout, other: str) -> bool:
    """Return whether a text of this reading has another delimiter between digits."""
    between = re.compile(rf"\d{re.escape(other)}\s*[-+]?\d")
    rows = (lines.cells(line, layout.delimiter) for line in lines.some(_SAMPLED))
    return any(
        between.search(cell)
        for row in rows
        for cell, is_numeric in zip(row, layout.numeric, strict=False)
        if not (is_numeric and is_number(cell, layout.decimal))
    )


def _named(path: Path, lines: Lines, layout: Layout, options: CsvFile, missing: set[str]) -> Layout:
    count, rows = _name_rows(path, lines, layout, options, missing)
    names = [""] * len(layout.numeric)
    for k in range(len(names)):
        cells = dict.fromkeys(row[k] for row in rows[:count] if k < len(row))
        names[k] = " ".join(cell for cell in cells if cell) or f"column {k}"
    if long := [k for k, name in enumerate(names) if len(name) > LONGEST_NAME]:
        problem = f"the name of column {long[0]} has {len(names[long[0]])} characters, expected at most {LONGEST_NAME}"
        raise fault(path, problem, hint="shorten it; or is it text before the table? see `csv.comment`")
    if count >= len(lines):
        raise fault(path, "there is a header, but no row of numbers", line=int(lines.numbers[0]))
    return Layout(layout.delimiter, layout.decimal, layout.numeric, tuple(names), count)


def _name_rows(
    path: Path, lines: Lines, layout: Layout, options: CsvFile, missing: set[str]
) -> tuple[int, list[list[str]]]:
    """Return how many rows have names, and the first rows."""
    rows = [lines.cells(line, layout.delimiter) for line in range(min(_MOST_NAME_ROWS + 1, len(lines)))]
    if options.header != "auto":
        count = int(options.header)
        return count, [lines.cells(line, layout.delimiter) for line in range(min(count, len(lines)))]
    numeric = [k for k, is_one in enumerate(layout.numeric) if is_one]
    numbers = [sum(is_number(row[k], layout.decimal) for k in numeric if k < len(row)) for row in rows]
    words = [
        [k for k in numeric if k < len(row) and row[k] not in missing and not is_number(row[k], layout.decimal)]
        for row in rows
    ]
    leading = next((n for n, found in enumerate(numbers) if found), len(rows))
    where = int(lines.numbers[0])
    if leading == 0:
        if words[0]:
            number = next(k for k in numeric if is_number(rows[0][k], layout.decimal))
            both = (
                f"{quoted(rows[0][words[0][0]])} in column {words[0][0]}, {quoted(rows[0][number])} in column {number}"
            )
            hint = "set `csv.header: true` if they are names, `csv.header: false` if they are not"
            raise fault(path, f"the first row mixes names and numbers: {both}", line=where, hint=hint)
        return int(_counts_up(path, rows, numeric, layout, where)), rows
    others = [n for n in range(1, leading) if words[n] or not _is_like_the_rows(rows[n], rows[leading:], layout)]
    if others or not words[0]:
        problem = (
            f"the first {leading} rows have no number" if leading > 1 else "the first row has no name and no number"
        )
        hint = f"set `csv.header: {max([n + 1 for n in others], default=1)}` if they are names, or how many of them are"
        raise fault(path, problem, line=where, hint=hint)
    return 1, rows


def _is_like_the_rows(row: Sequence[str], below: Sequence[Sequence[str]], layout: Layout) -> bool:
    """Return whether the texts of a row without numbers look like those below: digits where they have digits."""
    texts = [k for k, is_one in enumerate(layout.numeric) if not is_one and k < len(row)]
    has_digit = [any(c.isdigit() for c in row[k]) for k in texts]
    return bool(below) and has_digit == [any(c.isdigit() for c in below[0][k]) for k in texts]


def _counts_up(path: Path, rows: list[list[str]], numeric: list[int], layout: Layout, where: int) -> bool:
    """Return whether the first row is the names 0, 1, 2, … that pandas gives to columns, or years.

    Raises:
        UsageError: It can be that, or a row.
    """
    columns = [k for k in numeric if rows[0][k]]  # an index has no name
    cells = [rows[0][k] for k in columns]
    is_counting = all(cell.isdecimal() for cell in cells) and len(rows) > 1
    if not is_counting or [int(cell) - int(cells[0]) for cell in cells] != list(range(len(cells))):
        return False
    texts = [k for k, is_one in enumerate(layout.numeric) if not is_one]
    if texts and all(rows[0][k] for k in texts) and _is_like_the_rows(rows[0], rows[1:], layout):
        return False
    below = [row[k] for row in rows[1:] for k in columns if k < len(row) and row[k]]
    whole = sum(cell.lstrip("+-").isdecimal() for cell in below)
    if len(cells) > 1 and not whole:
        return True  # whole numbers alone, in the first row alone
    if whole == len(below) and (len(cells) == 1 or (len(cells) == 2 and cells[0] not in {"0", "1"})):
        return False
    if len(cells) == 1 and cells != ["0"]:
        return False
    problem = f"can be read in two ways: the first row, {quoted(', '.join(rows[0]))}, as names or as numbers"
    raise fault(path, problem, line=where, hint="set `csv.header: true` or `csv.header: false`")


def _ambiguous(path: Path, lines: Lines, found: Sequence[Layout]) -> UsageError:
    line = len(lines) - 1
    shown = [
        f"{len(cells)} cell{'s' * (len(cells) != 1)} {cells[:4]} between {_CALLED.get(one.delimiter, one.delimiter)}"
        for one in found
        for cells in [[cell.replace(one.decimal, ".") for cell in lines.cells(line, one.delimiter)]]
    ]
    hint = "set `csv.delimiter: ','` for the first, `csv.decimal: ','` for the second"
    if found[1].delimiter != SINGLE:
        hint = "set `csv.delimiter`"
    problem = f"can be read in two ways: {lines.text(line)[:60]!r} as {shown[0]} or as {shown[1]}"
    return fault(path, problem, line=int(lines.numbers[line]), hint=hint)


def _unreadable(path: Path, lines: Lines, counts: dict[str, Array], even: Sequence[str]) -> UsageError:
    usual = {one: Counter(found[found > 1].tolist()).most_common(1) for one, found in counts.items()}
    best = max(usual, key=lambda one: usual[one][0][1] if usual[one] else 0)
    if even or not usual[best] or 2 * usual[best][0][1] <= len(lines):
        if even:
            problem = f"no column has numbers: the last row is {quoted(lines.text(len(lines) - 1))}"
            return fault(
                path, problem, hint="cells are separated by something else? set `csv.delimiter`, `csv.decimal`"
            )
        problem = (
            f"no {', '.join(map(_CALLED.__getitem__, DELIMITERS))} or blanks separate cells of numbers in every row"
        )
        return fault(path, problem, hint="set `csv.delimiter`, and `csv.comment` where lines are no rows")
    width = usual[best][0][0]
    odd = np.flatnonzero(counts[best] != width)
    line = int(odd[0])
    cells = [cell for cell in lines.cells(line, best) if cell]
    text, cell_count = lines.text(line), int(counts[best][line])
    hint = "remove the line, or begin it with what `csv.comment` names"
    if 5 * len(odd) > len(lines) and len(lines) > 4:
        problem = f"rows have from {counts[best].min()} to {counts[best].max()} cells between {_CALLED.get(best, best)}"
        hint = "a row is a time step here, a column a feature: is this a series per row? turn it (pandas: df.T)"
    elif not any(is_number(cell, mark) for cell in cells for mark in ".,") and cell_count < width:
        problem = f"{quoted(text)} is a line of text, not a row of {width} cells"
    else:
        problem = f"{cell_count} cell{'s' * (cell_count != 1)} where most rows have {width}"
        hint = "complete or remove the row" if line else "complete or remove the row; the first may lack a name"
    more = f", and {len(odd) - 1} more lines" if len(odd) > 1 else ""
    return fault(path, problem + more, line=int(lines.numbers[line]), hint=hint)
