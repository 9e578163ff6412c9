"""Tables on their way out: to the terminal, as Markdown, as LaTeX and as CSV. Each renderer escapes what it writes.

Source: OWASP, "CSV injection", for what a spreadsheet takes for a formula.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import final

from rich.cells import cell_len
from rich.text import Text

from rnnlab.cli.render.output import can_show, console, printable, show_text
from rnnlab.core.table import Cell, Table
from rnnlab.core.text import visible

_GAP = 3  # blanks between two columns
_FOLDED = 16  # letters to which a column of text may be folded to save a second table
_NARROWEST = 6


def show_table(*tables: Table) -> None:
    """Print tables on stdout, one below the other, as wide as the terminal is."""
    show_text("\n".join("".join(f"{line}\n" for line in table_lines(one)) for one in tables))


@final
@dataclass(frozen=True, slots=True)
class _Shown:
    """A column as text: its cells, the heading first, and how wide they are, or may become when folded."""

    cells: list[str]
    is_number: bool
    wide: int
    least: int


def _shown(table: Table) -> list[_Shown]:
    made = []
    for column, texts in zip(table.columns, zip(table.head, *table.texts, strict=True), strict=True):
        head, *cells = map(printable, texts)
        words = max(map(cell_len, head.split()), default=0)
        wide = max(map(cell_len, cells), default=0)
        word = max((cell_len(word) for cell in cells for word in cell.split()), default=0)
        folded = min(wide, max(word, _FOLDED))
        least = max(words, wide if column.is_number else folded)  # numbers and, if possible, words are not folded
        made.append(_Shown([head, *cells], column.is_number, max(wide, cell_len(head)), least))
    return made


def table_lines(table: Table, width: int | None = None) -> list[str]:
    """Return the lines of a table on a terminal: no frame, numbers to the right.

    A table that is too wide first folds its headings and its columns of text; if that is not enough, it continues below
    with its first column repeated.

    Args:
        table: The table.
        width: Columns of the terminal; those of stdout when left out.
    """
    width = width or console().width
    lines = [printable(table.title)] if table.title else []
    for number, part in enumerate(_parts(_shown(table), width)):
        lines += [""] * (number > 0)
        lines += _laid_out(part, _widths(part, width))
    return lines


def _parts(columns: list[_Shown], width: int) -> list[list[_Shown]]:
    """Return the columns that are shown together, the first column in each part."""
    if len(columns) < 3 or _total([column.least for column in columns]) <= width:
        return [columns]
    first = columns[0]
    parts = [[first]]
    for column in columns[1:]:
        least = [min(first.wide, width // 2), *(one.least for one in (*parts[-1][1:], column))]
        if len(parts[-1]) > 1 and _total(least) > width:
            parts.append([first])
        parts[-1].append(column)
    return parts


def _widths(columns: Sequence[_Shown], width: int) -> list[int]:
    """Return the widths of columns: the widest is narrowed first; the first column and numbers only if need be."""
    widths = [column.wide for column in columns]
    for least in ([column.least for column in columns], [_NARROWEST] * len(columns)):
        while _total(widths) > width and (wide := [place for place, one in enumerate(widths) if one > least[place]]):
            widths[max(wide, key=lambda place: (place > 0, widths[place]))] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _laid_out(columns: Sequence[_Shown], widths: Sequence[int]) -> Iterator[str]:
    for number, row in enumerate(zip(*[column.cells for column in columns], strict=True)):
        folded = [_folded(cell, wide) for cell, wide in zip(row, widths, strict=True)]
        height = max(map(len, folded))
        for line in range(height):
            padded = []
            for column, cell, wide in zip(columns, folded, widths, strict=True):
                place = line if number else line - height + len(cell)  # headings end just above the rule
                text = cell[place] if 0 <= place < len(cell) else ""
                blanks = " " * (wide - cell_len(text))
                padded.append(blanks + text if column.is_number else text + blanks)
            yield (" " * _GAP).join(padded).rstrip()
        if number == 0:
            yield ("─" if can_show("─") else "-") * _total(widths)


def _folded(text: str, width: int) -> list[str]:
    """Return text in lines of at most `width`, broken between words, and within a word that is longer than a line."""
    return [text] if cell_len(text) <= width else [line.plain.rstrip() for line in Text(text).wrap(console(), width)]


def as_csv(table: Table) -> str:
    """Return the cells as CSV: numbers in full, nothing where a value is unknown or not finite, and no formula."""
    out = io.StringIO()
    lines: list[Sequence[Cell]] = [table.head, *table.rows]
    csv.writer(out, lineterminator="\n").writerows([_inert(cell) for cell in line] for line in lines)
    return out.getvalue()


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _inert(value: Cell) -> str | int | float:
    """Return a cell that no spreadsheet calculates; numbers stay numbers.

    Example:
        >>> _inert("=1+1"), _inert(-0.5), _inert(True), _inert(None)
        ("'=1+1", -0.5, 'true', '')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{_one_line(value)}" if value.startswith(_FORMULA) else _one_line(value)
    return "" if value is None or not isfinite(value) else value


def as_markdown(table: Table) -> str:
    """Return a table of pipes and dashes."""
    rule = ["---:" if column.is_number else "---" for column in table.columns]
    lines = [list(map(markdown_text, table.head)), rule, *(list(map(markdown_text, row)) for row in table.texts)]
    title = f"**{markdown_text(table.title)}**\n\n" if table.title else ""
    return title + "".join(f"| {' | '.join(line)} |\n" for line in lines)


_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~$&])")


def markdown_text(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return _MARKDOWN.sub(r"\\\1", _one_line(text))


def as_latex(table: Table) -> str:
    """Return a table for LaTeX with the package booktabs."""
    head, *rows = [" & ".join(map(_tex, line)) + r" \\" for line in (table.head, *table.texts)]
    caption = [rf"\caption{{{_tex(table.title)}}}"] if table.title else []
    columns = "".join("r" if column.is_number else "l" for column in table.columns)
    lines = [
        r"\begin{table}", r"\centering", *caption, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule",
        *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip
    return "".join(f"{line}\n" for line in lines)


_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}", "—": "---",
    "–": "--", "…": r"\dots{}", "×": r"$\times$",
}  # fmt: skip


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in _one_line(text))


def latex_comment(text: str) -> str:
    """Return a comment of one line."""
    return f"% {_one_line(text)}\n"


def _one_line(text: str) -> str:
    return visible(text)  # also of line ends, which would end a row
