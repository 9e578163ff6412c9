"""Where a value of a config stands: file, line and column, and the dotted key that leads to it."""

import re
from dataclasses import dataclass
from typing import final

from rnnlab.config.quoting import quoted

KeyPath = tuple[str | int, ...]


@final
@dataclass(frozen=True)
class Mark:
    """A place in a config file, or the command-line option that gave the value.

    Args:
        source: The path as the user wrote it, or the option, e.g. `--set training.steps=5`. Safe to print.
        line: 1 for the first line; 0 when the value does not come from a file.
        column: 1 for the first character of the line; 0 when the value does not come from a file.

    Example:
        >>> str(Mark("configs/x.yaml", 12, 5))
        'configs/x.yaml:12:5'
        >>> str(Mark("--set training.steps=5", 0, 0))
        '--set training.steps=5'
    """

    source: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


def dotted(path: KeyPath) -> str:
    """Return the key as a user writes it.

    Example:
        >>> dotted(("training", "milestones", 2)), dotted(("task", "two words"))
        ('training.milestones[2]', "task.'two words'")
    """
    parts = (f"[{part}]" if isinstance(part, int) else "." + _name(part) for part in path)
    return "".join(parts).removeprefix(".")


def place(mark: Mark, path: KeyPath) -> str:
    """Return the `where` of a fault: the mark, then the key unless the mark has just said it.

    Example:
        >>> place(Mark("x.yaml", 7, 3), ("training", "steps"))
        'x.yaml:7:3 training.steps'
        >>> place(Mark("--set training.steps=x", 0, 0), ("training", "steps"))
        '--set training.steps=x'
    """
    key = dotted(path)
    said = not mark.line and mark.source.startswith(f"--set {key}=")
    return str(mark) if said or not key else f"{mark} {key}"


def _name(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_@-]{1,60}", key) else quoted(key)
