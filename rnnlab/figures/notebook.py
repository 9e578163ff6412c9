"""What a notebook shows of a run, a comparison or a sweep: tables, the curves as a picture, sentences."""

from base64 import b64encode
from html import escape

from rnnlab.comparison import Comparison, compare
from rnnlab.comparison.tables import notes
from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.figure import Figure
from rnnlab.core.table import Table, table
from rnnlab.core.text import visible
from rnnlab.figures.curves import curves
from rnnlab.figures.picture import picture
from rnnlab.runs.run import Run

_FACTS = ("task", "cell", "steps", "loss", "baseline", "solved", "seconds")
_MOST_ROWS = 60
_WIDTH = 560  # pixels of a picture


def run_html(run: Run) -> str:
    """Return the facts and the curve of a run as HTML; text from its files is text and no markup."""
    facts = {name: getattr(run.summary, name) for name in _FACTS}
    rows = [("state", run.state), *((name, value) for name, value in facts.items() if value is not None)]
    return as_html(table(["run", run.name], rows), curves(compare([run.folder])))


def comparison_html(comparison: Comparison) -> str:
    """Return the tables, curves, warnings and the conclusion of a comparison as HTML."""
    texts = (*notes(comparison), *comparison.warnings, comparison.conclusion)
    return as_html(*comparison.tables(_MOST_ROWS), curves(comparison), *texts)


def as_html(*parts: Table | Figure | str | None) -> str:
    """Return tables, pictures and paragraphs as HTML; without matplotlib there are no pictures.

    Example:
        >>> as_html(table(["", "loss"], [["<a>", 0.5]]), "One & two.")
        '<table><tr><th></th><th>loss</th></tr><tr><td>&lt;a&gt;</td><td>0.5</td></tr></table><p>One &amp; two.</p>'
    """
    return "".join(_html(part) for part in parts if part is not None)


def _html(part: Table | Figure | str) -> str:
    if isinstance(part, str):
        return f"<p>{_text(part)}</p>"
    if isinstance(part, Table):
        title = f"<p><b>{_text(part.title)}</b></p>" * bool(part.title)
        return title + f"<table>{_row(part.head, 'th')}{''.join(_row(texts, 'td') for texts in part.texts)}</table>"
    try:
        data = b64encode(picture(part, "png")).decode()
    except EnvironmentFault:  # no matplotlib
        return ""
    return f'<p><img width="{_WIDTH}" alt="{_text(part.title)}" src="data:image/png;base64,{data}"></p>'


def _row(texts: list[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{_text(text)}</{tag}>' for text in texts)}</tr>"


def _text(text: str) -> str:
    return escape(visible(text))
