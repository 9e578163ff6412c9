"""Groups of runs as a person reads them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rnnlab.cli.render.output import plain_table
from rnnlab.comparison import Comparison
from rnnlab.comparison.question import question_of
from rnnlab.comparison.tables import MOST_ROWS, notes_of, tables_of, task_note

if TYPE_CHECKING:
    from rich.console import RenderableType


def rendered(comparison: Comparison, fit: Callable[[str], str]) -> "list[RenderableType]":
    """Return the tables and notes for a terminal; `fit` makes text safe to show there."""
    from rich.text import Text

    parts: list[RenderableType] = []
    for title, head, rows in tables_of(comparison):
        table = plain_table(*map(fit, head), numbers=() if len(head) == 2 else tuple(map(fit, head[1:])))
        for row in rows[:MOST_ROWS]:
            table.add_row(*(Text(fit(cell)) for cell in row))
        parts += [Text(title), table]
        if len(rows) > MOST_ROWS:
            parts.append(Text(fit(f"… and {len(rows) - MOST_ROWS:,} more (--format csv has all)")))
        parts.append(Text(""))
    notes = [*task_note(question_of(comparison.results)), *notes_of(comparison)]
    return [*parts, *(Text(fit(note)) for note in notes), Text("")]
