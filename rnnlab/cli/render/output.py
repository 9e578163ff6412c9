"""Where a command's output goes: tables and text through Rich, results as JSON, and a reader that left early."""

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.text import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

_NARROWEST = 40
_BLANKS = re.compile(r"[ \t]+$", re.MULTILINE)


def console(*, stderr: bool = False) -> "Console":
    """Return a console as wide as the terminal is now; 80 columns, no colour and no control codes to a file.

    Nothing is read as markup or as an emoji code: text from users and files is shown as it is.
    """
    from rich.console import Console

    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    made.width = max(made.width, _NARROWEST)
    return made


def show(*parts: "RenderableType") -> None:
    """Print to stdout; if the reader has gone (`| head`), stop quietly."""
    show_text(as_text(*parts))


def as_text(*parts: "RenderableType") -> str:
    """Return what `show` would print."""
    out = console()
    with out.capture() as captured:
        for part in parts:
            # A file keeps a line of text whole; a terminal gets it folded between words.
            out.print(part, soft_wrap=isinstance(part, str) and not out.is_terminal)
    text = captured.get()
    # Rich fills the cells of a table up with blanks, which a file need not keep.
    return text if out.is_terminal else _BLANKS.sub("", text)


def show_text(text: str) -> None:
    """Print text to stdout exactly as it is, no wrapping; if the reader has gone (`| head`), stop quietly.

    Raises:
        EnvironmentFault: stdout cannot be written, e.g. because the disk is full.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        forget_stdout()
        if not isinstance(error, BrokenPipeError):
            raise EnvironmentFault(f"cannot be written: {error.strerror}", where="stdout") from error


def show_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Print one JSON object to stdout, in ASCII: the same bytes whatever the locale."""
    show_text(json.dumps(value, indent=2, allow_nan=False) + "\n")


def plain_table(*headers: str, title: str = "", numbers: tuple[str, ...] = ()) -> "Table":
    """Return an empty table without a frame; columns named in `numbers` are set flush right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False, show_edge=False)
    for header in headers:
        table.add_column(header, justify="right" if header in numbers else "left", overflow="fold")
    return table


def printable(text: str) -> str:
    """Return text that is safe to show and that stdout can encode."""
    text = visible(text)
    if can_show(text):
        return text
    encoding = sys.stdout.encoding or "ascii"
    return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)


_PLAIN = str.maketrans({"—": "-", "–": "-", "…": "...", "×": "x"})


def can_show(text: str) -> bool:
    """Return whether stdout can encode a text."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def forget_stdout() -> None:
    """Send what is still held for stdout nowhere: Python would complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
