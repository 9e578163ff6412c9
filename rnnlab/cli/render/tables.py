"""Tables on their way out: to the terminal, as Markdown, as LaTeX and as CSV. Each renderer escapes what it writes.

Source: OWASP, "CSV injection", for what a spreadsheet takes for a formula.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from math import isfinite

from rich.cells import cell_len, chop_cells

from rnnlab.cli.render.output import can_show, console, printable, show_text
from rnnlab.core.table import Cell, Column, Table
from rnnlab.core.text import visible

_GAP = 3  # blanks between two columns
_FOLDED = 16  # letters to which a column of text may be folded to save a second table
_NARROWEST = 6
_WORD = re.compile(r".+?(?:\s+|(?<=[a-z])\.(?=[a-z])|(?<=\w)[-/](?=\w)|$)", re.DOTALL)


def show_table(*tables: Table) -> None:
    """Print tables on stdout, one below the other, as wide as the terminal is."""
    show_text("\n".join("".join(f"{line}\n" for line in table_lines(one)) for one in tables))


def table_lines(table: Table, width: int | None = None) -> list[str]:
    """Return the lines of a table on a terminal: no frame, numbers to the right.

    A table that is too wide first folds its headings and its columns of text; if that is not enough, it continues below
    with its first column repeated.

    Args:
        table: The table.
        width: Columns of the terminal; those of stdout when left out.
    """
    width = width or console().width
    columns = list(zip(*[[printable(cell) for cell in line] for line in (table.head, *table.texts)], strict=True))
    lines = [printable(table.title)] if table.title else []
    for number, places in enumerate(_parts(columns, table.columns, width)):
        widths = _widths([columns[place] for place in places], [table.columns[place] for place in places], width)
        lines += [""] * (number > 0)
        lines += _laid_out([columns[place] for place in places], widths, [table.columns[place] for place in places])
    return lines


def natural_width(table: Table) -> int:
    """Return how wide a terminal must be to show a table without folding it."""
    columns = zip(*[[printable(cell) for cell in line] for line in (table.head, *table.texts)], strict=True)
    return _total([max(map(cell_len, column)) for column in columns])


def _parts(columns: Sequence[Sequence[str]], kinds: Sequence[Column], width: int) -> list[list[int]]:
    """Return the places of the columns that are shown together, the first column in each part."""
    least = [_least(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    if len(columns) < 3 or _total(least) <= width:
        return [list(range(len(columns)))]
    least[0] = min(max(map(cell_len, columns[0])), width // 2)
    parts: list[list[int]] = [[0]]
    for place in range(1, len(columns)):
        if len(parts[-1]) > 1 and _total([least[one] for one in (*parts[-1], place)]) > width:
            parts.append([0])
        parts[-1].append(place)
    return parts


def _least(column: Sequence[str], kind: Column) -> int:
    """Return how narrow a column may become: numbers are not folded."""
    head, *cells = column
    words = max(map(cell_len, _words(head)), default=0)
    wide = max(map(cell_len, cells), default=0)
    return max(words, wide if kind.is_number else min(wide, _FOLDED))


def _widths(columns: Sequence[Sequence[str]], kinds: Sequence[Column], width: int) -> list[int]:
    """Return the widths of columns: the widest is narrowed first; the first column and numbers only if need be."""
    widths = [max(map(cell_len, column)) for column in columns]
    for least in ([_least(*pair) for pair in zip(columns, kinds, strict=True)], [_NARROWEST] * len(columns)):
        while _total(widths) > width and (wide := [place for place, one in enumerate(widths) if one > least[place]]):
            widths[max(wide, key=lambda place: (place > 0, widths[place]))] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _laid_out(columns: Sequence[Sequence[str]], widths: Sequence[int], kinds: Sequence[Column]) -> Iterator[str]:
    for number, row in enumerate(zip(*columns, strict=True)):
        folded = [_folded(cell, wide) for cell, wide in zip(row, widths, strict=True)]
        height = max(map(len, folded))
        # Headings end just above the rule, cells begin just below it.
        filled = [
            cell + [""] * (height - len(cell)) if number else [""] * (height - len(cell)) + cell for cell in folded
        ]
        yield from (_line(line, widths, kinds) for line in zip(*filled, strict=True))
        if number == 0:
            yield ("─" if can_show("─") else "-") * _total(widths)


def _line(cells: Sequence[str], widths: Sequence[int], kinds: Sequence[Column]) -> str:
    padded = []
    for cell, wide, kind in zip(cells, widths, kinds, strict=True):
        blanks = " " * (wide - cell_len(cell))
        padded.append(blanks + cell if kind.is_number else cell + blanks)
    return (" " * _GAP).join(padded).rstrip()


def _words(text: str) -> list[str]:
    return [word.rstrip() for word in _WORD.findall(text)]


def _folded(text: str, width: int) -> list[str]:
    """Return text in lines of at most `width`, broken between words, and within a word that is longer than a line."""
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for word in _WORD.findall(text):
        if lines[-1] and cell_len(lines[-1] + word.rstrip()) > width:
            lines.append("")
        *whole, last = chop_cells(lines[-1] + word.rstrip(), width) or [""]
        lines[-1:] = [*whole, last + word[len(word.rstrip()) :]]
    return [line.rstrip() for line in lines]


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
