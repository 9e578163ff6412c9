"""Tables on their way out: to the terminal, as Markdown, as LaTeX and as CSV. Each renderer escapes what it writes.

Source: OWASP, "CSV injection", for what a spreadsheet takes for a formula.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from math import isfinite

from rnnlab.cli.render.output import can_show, console, printable, show_text
from rnnlab.core.table import Cell, Table
from rnnlab.core.table_lines import GAP
from rnnlab.core.table_lines import table_lines as lines_of
from rnnlab.core.text import visible


def show_table(*tables: Table) -> None:
    """Print tables on stdout, one below the other, as wide as the terminal is."""
    show_text("\n".join("".join(f"{line}\n" for line in table_lines(one)) for one in tables))


def table_lines(table: Table, width: int | None = None, *, rule: str = "─", gap: int = GAP) -> list[str]:
    """Return the lines of a table on a terminal, as wide as stdout when no width is given; see `core.table_lines`."""
    return lines_of(table, width or console().width, shown=printable, rule=rule if can_show(rule) else "-", gap=gap)


def fitting(
    columns: Mapping[str, Sequence[str]], width: int, *, cut: Mapping[str, int], drop: Sequence[str], gap: int = GAP
) -> dict[str, list[str]]:
    """Return the columns of text that there is room for, by heading.

    Those in `cut` are shortened to so many letters, the last of them first, then those in `drop` are left out in turn.
    """
    widest = {name: max(map(len, [name, *cells])) for name, cells in columns.items()}
    widths = {name: min(wide, cut.get(name, wide)) for name, wide in widest.items()}

    def room() -> int:
        return width - sum(widths.values()) - gap * (len(widths) - 1)

    for name in drop:
        if room() < 0:
            del widths[name]
    for name in (name for name in cut if name in widths):
        widths[name] = min(widest[name], widths[name] + max(0, room()))
    return {name: [shortened(cell, wide) for cell in columns[name]] for name, wide in widths.items()}


def shortened(text: str, width: int) -> str:
    """Return a text of at most so many letters."""
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


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
