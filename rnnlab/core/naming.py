"""What a run may be called: a name that is plain in every shell, file system and report."""

import re

from rnnlab.core.errors import UsageError
from rnnlab.core.text import visible

_LETTER = re.compile(r"[A-Za-z0-9._-]")
# Windows opens a device under these names, with any ending, in any folder.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def check_name(name: str) -> None:
    """Pass if a run may be called `name`: 1 to 60 of the characters A-Z a-z 0-9 . _ - and no special meaning anywhere.

    Raises:
        UsageError: It may not; the message says why.

    Example:
        >>> check_name("carry-T100")
        >>> check_name("../x")
        Traceback (most recent call last):
        rnnlab.core.errors.UsageError: bad run name '../x': it starts with '.' — use 1 to 60 of A-Z a-z 0-9 . _ -
    """
    reason = _objection(name)
    if reason:
        raise UsageError(f"bad run name '{visible(name[:80])}': {reason}", hint="use 1 to 60 of A-Z a-z 0-9 . _ -")


def _objection(name: str) -> str:
    strange = next((c for c in name if not _LETTER.fullmatch(c)), "")
    objections = {
        "it is empty": not name,
        f"it starts with '{name[:1]}'": name[:1] in {".", "-"},
        f"it holds '{visible(strange)}'{_code(strange)}": bool(strange),
        f"it has {len(name)} characters": len(name) > 60,
        "it ends in '.'": name.endswith("."),
        "Windows keeps this name for a device": bool(_DEVICES.fullmatch(name)),
        "`latest` already means the latest run": name == "latest",
    }
    return next((objection for objection, holds in objections.items() if holds), "")


def _code(letter: str) -> str:
    """Return the code of a letter that may look like another."""
    return "" if letter.isascii() or visible(letter) != letter else f" (U+{ord(letter):04X})"
