"""Text to show: from users and files, so that it cannot control a terminal or reorder a line, and from docstrings."""

import inspect
import re
from collections.abc import Sequence

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ud800-\udfff\ufeff]")
_UNSAFE_IN_LINES = re.compile(rf"(?!\n){_UNSAFE.pattern}")
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def visible(text: str) -> str:
    r"""Return `text` with every character that acts instead of showing written as its escape.

    Escaped are the control characters C0, DEL and C1, the bidirectional controls, the Unicode line separators, spaces
    without width, and lone surrogates (bytes of a file name that are not UTF-8), which no stream could encode. A
    backslash stays as it is: the result is for eyes, not for reading back.

    Source: Boucher, Anderson 2021, "Trojan Source" (the bidirectional controls); CWE-150 (terminal escapes).

    Example:
        >>> print(visible("red \x1b[31m, two\nlines, \u202eabc"))
        red \x1b[31m, two\nlines, \u202eabc
    """
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)  # the test alone is several times as fast


def visible_lines(text: str) -> str:
    r"""Return `text` escaped like `visible`, but with its line ends kept: for text of several lines.

    Example:
        >>> print(visible_lines("one\ntwo\x07"))
        one
        two\x07
    """
    return _UNSAFE_IN_LINES.sub(_escape, text)


def counted(count: int, noun: str) -> str:
    """Return a number of things.

    Example:
        >>> counted(1, "run"), counted(2000, "run")
        ('1 run', '2,000 runs')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def listed(names: Sequence[str], most: int) -> str:
    """Return the first names, and how many more there are.

    Example:
        >>> listed(["a", "b"], 2), listed(["a", "b", "c"], 1)
        ('a, b', 'a and 2 more')
    """
    return ", ".join(names[:most]) + f" and {len(names) - most} more" * (len(names) > most)


def docstring_section(kind: type, title: str) -> str:
    """Return the text of one section of a class's docstring as one line; empty if there is no such section."""
    match = re.search(rf"^{title}: (.+?)(?=\n\n|\n\S|\Z)", inspect.getdoc(kind) or "", re.MULTILINE | re.DOTALL)
    return " ".join(match[1].split()) if match else ""


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    return _NAMED.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
