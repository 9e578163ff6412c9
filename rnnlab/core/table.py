"""A table of text: what every list, comparison and report is made of before it is rendered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

UNKNOWN = "—"  # a cell without a value


@final
@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Its heading.
        is_number: Whether its cells are aligned right.
    """

    name: str
    is_number: bool = False


@final
@dataclass(frozen=True, slots=True)
class Table:
    """A table; each renderer escapes the cells for its own format.

    Attributes:
        columns: The columns, from left to right.
        rows: Cells as text, as many per row as there are columns.
        title: A heading above the table, or nothing.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[str] | None = None, title: str = ""
) -> Table:
    """Return a table.

    Args:
        columns: The headings.
        rows: Cells as text.
        numbers: The headings of the columns of numbers; all but the first when left out.
        title: A heading above the table.

    Example:
        >>> made = table(["cell", "loss"], [["carry", "0.01"]])
        >>> [column.is_number for column in made.columns], made.rows
        ([False, True], (('carry', '0.01'),))
    """
    right = set(columns[1:] if numbers is None else numbers)
    return Table(tuple(Column(name, name in right) for name in columns), tuple(map(tuple, rows)), title)
