"""The one exit of text to stdout: every line, table and JSON document is escaped and written here.

Text from users and files can contain control characters, which could clear a terminal or forge a line. A plain string
is one line and is escaped as a whole. Of what Rich lays out, each piece of text is escaped; the codes for colours are
added by Rich afterwards. So nothing else in the program escapes what it shows.
"""

import json
import re
import sys
from collections.abc import Iterable
from typing import final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from rnnlab.cli.ascii import ASCII
from rnnlab.cli.errors import forget_stdout
from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.text import jsonable, visible, visible_lines

_NARROWEST = 40
_BLANKS = re.compile(r"[ \t]+$", re.MULTILINE)


@final
class _EscapingConsole(Console):
    """A console that escapes control characters in text; Rich keeps styles apart from text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        cut = str.maketrans({} if can_show("…") else {"…": "~"})  # as wide: Rich cuts what is too long for a column
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible_lines(segment.text).translate(cut), segment.style)


def console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal is now; 80 columns, no colour and no control codes to a file.

    Nothing is read as markup or as an emoji code: text from users and files is shown as it is.
    """
    made = _EscapingConsole(stderr=stderr, markup=False, emoji=False, highlight=False)
    made.width = max(made.width, _NARROWEST)
    return made


def show(*parts: RenderableType) -> None:
    """Print to stdout, a string as one line; if the reader has gone (`| head`), stop quietly."""
    out = console()
    with out.capture() as captured:
        for part in parts:
            one = printable(part) if isinstance(part, str) else part
            # A file keeps a line of text whole; a terminal gets it folded between words.
            out.print(one, soft_wrap=isinstance(part, str) and not out.is_terminal)
    text = captured.get()
    # Rich pads the cells of a grid with blanks, which a file need not keep.
    _write(text if out.is_terminal else _BLANKS.sub("", text))


def show_text(text: str) -> None:
    """Print lines to stdout as they are, no wrapping; if the reader has gone (`| head`), stop quietly."""
    _write(visible_lines(text))


def as_json(format: str | None, value: object) -> str:
    """Return a JSON document in ASCII, the same bytes whatever the locale: what `jsonable` makes of a value.

    Its first key is `"format": "rnnlab-NAME/1"`; a `format` of None is for a document with a mark of its own.

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


def printable(text: str) -> str:
    """Return text that is safe to show and that stdout can encode."""
    text = visible(text)
    if can_show(text):
        return text
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, ASCII).decode(encoding)


def can_show(text: str) -> bool:
    """Return whether stdout can encode a text."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        forget_stdout()
        if not isinstance(error, BrokenPipeError):
            raise EnvironmentFault(f"cannot be written: {error.strerror}", where="stdout") from error
