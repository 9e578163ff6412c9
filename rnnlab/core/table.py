"""A table, before it is rendered: as text, Markdown, LaTeX, CSV or HTML."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import final

UNKNOWN = "—"  # a cell without a value

Cell = str | int | float | bool | None


@final
@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    name: str  # its heading
    is_number: bool = False  # whether its cells are aligned right
    # how its numbers are written, a format specification such as `.3g`; `,` for integers and `.4g` for others
    # when empty
    form: str = ""

    def text(self, value: Cell) -> str:
        """Return a cell as a reader sees it.

        Example:
            >>> [Column("x").text(value) for value in (12345, 0.123456, True, None, float("nan"), "a")]
            ['12,345', '0.1235', 'yes', '—', 'not finite', 'a']
            >>> Column("share", form=".0%").text(0.25)
            '25%'
        """
        if isinstance(value, bool):
            return "yes" if value else "no"
        if value is None or isinstance(value, str):
            return UNKNOWN if value is None else value
        if not isfinite(value):
            return "not finite"
        return format(value, self.form or ("," if isinstance(value, int) else ".4g"))


@final
@dataclass(frozen=True, slots=True)
class Table:
    """A table; each renderer escapes the text for its own format."""

    columns: tuple[Column, ...]  # the columns, from left to right
    rows: tuple[tuple[Cell, ...], ...]  # the cells, as many per row as there are columns; None where a value is unknown
    title: str = ""  # a heading above the table, or nothing

    @property
    def head(self) -> list[str]:
        """The headings."""
        return [column.name for column in self.columns]

    @property
    def texts(self) -> list[list[str]]:
        """The rows as a reader sees them."""
        return [[column.text(value) for column, value in zip(self.columns, row, strict=True)] for row in self.rows]

    def transposed(self) -> "Table":
        """Return the table with a column for each row, headed by the row's first cell.

        Example:
            >>> turned = table(["run", "steps", "loss"], [["a", 1000, 0.5], ["b", 2000, None]]).transposed()
            >>> turned.head, turned.rows
            (['', 'a', 'b'], (('steps', '1,000', '2,000'), ('loss', '0.5', '—')))
        """
        names, *rows = zip(*self.texts, strict=True)
        return table(["", *names], [(name, *row) for name, row in zip(self.head[1:], rows, strict=True)], self.title)


def table(
    columns: Sequence[str | Column], rows: Iterable[Sequence[Cell]], title: str = "", *, text: Iterable[str] = ()
) -> Table:
    """Return a table.

    `text` are the headings of columns of text; the first column always is one, and all others are numbers.

    Example:
        >>> made = table(["cell", "loss", "title"], [["janet", 0.01, "simplified LSTM"]], text=["title"])
        >>> [column.is_number for column in made.columns], made.texts
        ([False, True, False], [['janet', '0.01', 'simplified LSTM']])
    """
    left = {*columns[:1], *text}
    made = [one if isinstance(one, Column) else Column(one, is_number=one not in left) for one in columns]
    return Table(tuple(made), tuple(map(tuple, rows)), title)
