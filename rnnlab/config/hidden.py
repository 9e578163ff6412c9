"""Hidden characters: those that steer a terminal, turn a line around, or stand where nothing is seen."""

import re
import unicodedata
from itertools import islice

from rnnlab.config.marks import Mark
from rnnlab.core.errors import UsageError

MOST_REPORTED = 20

# What `rnnlab.core.text.visible` escapes, but for spaces without width, and all that PyYAML does not take; tab and line
# feed are text.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def hidden_faults(text: str, start: Mark) -> list[UsageError]:
    r"""Return a fault for each hidden character in `text`, the first `MOST_REPORTED` of them.

    A carriage return is refused in a value, but as the end of a line it is let pass.

    Args:
        text: The text of a file, or of an option.
        start: The mark of the first character; if its line is 0, every fault gets this very mark.

    Example:
        >>> [str(fault) for fault in hidden_faults("name: a\x1b[31m", Mark("x.yaml", 1, 1))]
        ['x.yaml:1:8: U+001B (control character) cannot stand in a config — delete it']
    """
    found = islice(HIDDEN.finditer(text.replace("\r", "\n")), MOST_REPORTED)
    return [
        UsageError(
            f"{character(match.group())} cannot stand in a config",
            where=str(mark_after(text[: match.start()], start)),
            hint="delete it",
        )
        for match in found
    ]


def character(char: str) -> str:
    r"""Return the code and the name of a character that cannot be shown.

    Example:
        >>> character("\u202e"), character("\x1b")
        ('U+202E (right-to-left override)', 'U+001B (control character)')
    """
    unnamed = "control character" if unicodedata.category(char) == "Cc" else "not a character"
    return f"U+{ord(char):04X} ({unicodedata.name(char, unnamed).lower()})"


def mark_after(before: str, start: Mark) -> Mark:
    r"""Return the mark of the character that follows the text `before`.

    Example:
        >>> str(mark_after("a: 1\r\nb: ", Mark("x.yaml", 1, 1)))
        'x.yaml:2:4'
    """
    if not start.line:
        return start
    lines = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return Mark(start.source, len(lines), len(lines[-1]) + 1)
