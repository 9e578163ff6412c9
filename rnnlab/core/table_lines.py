"""A table as lines of plain text: no frame, numbers to the right, as wide as it may be."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import final
from unicodedata import combining, east_asian_width

from rnnlab.core.table import Table
from rnnlab.core.text import visible

GAP = 3  # blanks between two columns
_FOLDED = 16  # letters to which a column of text may be folded to save a second table
_NARROWEST = 6


def table_lines(
    table: Table, width: int, *, shown: Callable[[str], str] = visible, rule: str = "─", gap: int = GAP
) -> list[str]:
    r"""Return the lines of a table.

    A table that is too wide first folds its headings and its columns of text; if that is not enough, it continues below
    with its first column repeated. `shown` makes a text safe to show, `rule` is a character of the line below the
    headings, without which there is none, and `gap` are the blanks between two columns.

    Example:
        >>> from rnnlab.core.table import table
        >>> print(*table_lines(table(["cell", "loss"], [["carry", 0.01], ["simple", None]]), 80), sep="\n")
        cell     loss
        ─────────────
        carry    0.01
        simple      —
    """
    lines = [shown(table.title)] if table.title else []
    for number, part in enumerate(_parts(_shown(table, shown), width, gap)):
        lines += [""] * (number > 0)
        lines += _laid_out(part, _widths(part, width, gap), rule, gap)
    return lines


@final
@dataclass(frozen=True, slots=True)
class _Shown:
    """A column as text: its cells, the heading first, and how wide they are, or may become when folded."""

    cells: list[str]
    is_number: bool
    wide: int
    least: int


def _shown(table: Table, shown: Callable[[str], str]) -> list[_Shown]:
    made = []
    for column, texts in zip(table.columns, zip(table.head, *table.texts, strict=True), strict=True):
        head, *cells = map(shown, texts)
        words = max(map(_wide, head.split()), default=0)
        wide = max(map(_wide, cells), default=0)
        word = max((_wide(word) for cell in cells for word in cell.split()), default=0)
        folded = min(wide, max(word, _FOLDED))
        least = max(words, wide if column.is_number else folded)  # numbers and, if possible, words are not folded
        made.append(_Shown([head, *cells], column.is_number, max(wide, _wide(head)), least))
    return made


def _wide(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    Example:
        >>> _wide("abc"), _wide("日本"), _wide("e\u0301")
        (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _parts(columns: list[_Shown], width: int, gap: int) -> list[list[_Shown]]:
    """Return the columns that are shown together, the first column in each part."""
    if len(columns) < 3 or _total([column.least for column in columns], gap) <= width:
        return [columns]
    first = columns[0]
    parts = [[first]]
    for column in columns[1:]:
        least = [min(first.wide, width // 2), *(one.least for one in (*parts[-1][1:], column))]
        if len(parts[-1]) > 1 and _total(least, gap) > width:
            parts.append([first])
        parts[-1].append(column)
    return parts


def _widths(columns: Sequence[_Shown], width: int, gap: int) -> list[int]:
    """Return the widths of columns: the widest is narrowed first; the first column and numbers only if need be."""
    widths = [column.wide for column in columns]
    for least in ([column.least for column in columns], [_NARROWEST] * len(columns)):
        while _total(widths, gap) > width and (
            wide := [place for place, one in enumerate(widths) if one > least[place]]
        ):
            widths[max(wide, key=lambda place: (place > 0, widths[place]))] -= 1
    return widths


def _total(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)


def _laid_out(columns: Sequence[_Shown], widths: Sequence[int], rule: str, gap: int) -> Iterator[str]:
    for number, row in enumerate(zip(*[column.cells for column in columns], strict=True)):
        folded = [_folded(cell, wide) for cell, wide in zip(row, widths, strict=True)]
        height = max(map(len, folded))
        for line in range(height):
            padded = []
            for column, cell, wide in zip(columns, folded, widths, strict=True):
                place = line if number else line - height + len(cell)  # headings end just above the rule
                text = cell[place] if 0 <= place < len(cell) else ""
                blanks = " " * (wide - _wide(text))
                padded.append(blanks + text if column.is_number else text + blanks)
            yield (" " * gap).join(padded).rstrip()
        if number == 0 and rule:
            yield rule * _total(widths, gap)


def _folded(text: str, width: int) -> list[str]:
    """Return text in lines of at most `width`, broken between words, and within a word that is longer than a line.

    Example:
        >>> _folded("an extraordinary day", 8)
        ['an', 'extraord', 'inary', 'day']
    """
    if _wide(text) <= width:
        return [text]
    lines = [""]
    for word in re.findall(r"\s*\S+\s*", text):
        if lines[-1] and _wide((lines[-1] + word).rstrip()) > width:
            lines.append("")
        for letter in word:
            if letter.strip() and _wide(lines[-1]) + _wide(letter) > width:
                lines.append("")
            lines[-1] += letter
    return [line.rstrip() for line in lines]
