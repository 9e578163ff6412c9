"""The one exit of text to stdout: every line, table and JSON document passes through here and is escaped here.

Text from users and files can hold control characters that steer a terminal. Plain strings are escaped before they are
laid out, a string being one line; what Rich lays out is escaped piece by piece, apart from the codes for colours that
Rich itself adds. So nothing else in the program needs to escape what it shows.
"""

import json
import re
import sys
from collections.abc import Iterable
from typing import TypeVar, final

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from rnnlab.cli.streams import forget_stdout
from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.jsonable import jsonable
from rnnlab.core.text import visible, visible_lines

_NARROWEST = 40
_Part = TypeVar("_Part", bound=RenderableType | None)
_BLANKS = re.compile(r"[ \t]+$", re.MULTILINE)


@final
class _EscapingConsole(Console):
    """A console that shows control characters in text as their escapes; styles are kept apart from text by Rich."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible_lines(segment.text), segment.style)


@final
class _PlainTable(Table):
    """A table whose cells are one line each: a line end in a cell is escaped as well."""

    def add_row(self, *cells: RenderableType | None, end_section: bool = False, **_: object) -> None:
        super().add_row(*map(_one_line, cells), end_section=end_section)


def console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal is now; 80 columns, no colour and no control codes to a file.

    Nothing is read as markup or as an emoji code: text from users and files is shown as it is.
    """
    made = _EscapingConsole(stderr=stderr, markup=False, emoji=False, highlight=False)
    made.width = max(made.width, _NARROWEST)
    return made


def show(*parts: RenderableType) -> None:
    """Print to stdout, a string as one line; if the reader has gone (`| head`), stop quietly."""
    _write(_laid_out(console(), parts))


def as_text(*parts: RenderableType) -> str:
    """Return what `show` prints to a file."""
    out = console()
    return _laid_out(_EscapingConsole(force_terminal=False, width=out.width, markup=False, emoji=False), parts)


def show_text(text: str) -> None:
    """Print lines to stdout as they are, no wrapping; if the reader has gone (`| head`), stop quietly."""
    _write(visible_lines(text))


def as_json(format: str | None, value: object) -> str:
    """Return a JSON document in ASCII: the same bytes whatever the locale.

    Args:
        format: The name in its first key, `"format": "rnnlab-NAME/1"`; None for a document with a mark of its own.
        value: What `jsonable` converts; an object where it gets the mark.

    Raises:
        ValueError: The value has a `format` already, or is no object to put one into.
    """
    document = jsonable(value)
    if format is not None:
        if not isinstance(document, dict) or "format" in document:
            raise ValueError("a JSON document is an object without a `format` of its own")
        document = {"format": f"rnnlab-{format}/1", **document}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def show_json(format: str | None, value: object) -> None:
    """Print one JSON document to stdout; see `as_json`."""
    _write(as_json(format, value))


def plain_table(*headers: str, title: str = "", numbers: tuple[str, ...] = ()) -> Table:
    """Return an empty table without a frame; columns named in `numbers` are set flush right."""
    title_line = visible(title) or None
    table = _PlainTable(box=box.SIMPLE_HEAD, title=title_line, title_justify="left", pad_edge=False, show_edge=False)
    for header in headers:
        # The line ends in a header are ours: they fold a long one.
        table.add_column(visible_lines(header), justify="right" if header in numbers else "left", overflow="fold")
    return table


def _laid_out(out: Console, parts: Iterable[RenderableType]) -> str:
    with out.capture() as captured:
        for part in parts:
            # A file keeps a line of text whole; a terminal gets it folded between words.
            out.print(_one_line(part), soft_wrap=isinstance(part, str) and not out.is_terminal)
    text = captured.get()
    # Rich fills the cells of a table up with blanks, which a file need not keep.
    return text if out.is_terminal else _BLANKS.sub("", text)


def _one_line(part: _Part) -> _Part | str:
    return printable(part) if isinstance(part, str) else part


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        forget_stdout()
        if not isinstance(error, BrokenPipeError):
            raise EnvironmentFault(f"cannot be written: {error.strerror}", where="stdout") from error


def printable(text: str) -> str:
    """Return text that is safe to show and that stdout can encode."""
    text = visible(text)
    if can_show(text):
        return text
    encoding = sys.stdout.encoding or "utf-8"
    return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)


_PLAIN = str.maketrans({"—": "-", "–": "-", "…": "...", "×": "x"})


def can_show(text: str) -> bool:
    """Return whether stdout can encode a text."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
