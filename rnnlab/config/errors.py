"""Errors of a config: the file, line, column and dotted key of each, and all of them raised at once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

from rnnlab.core.errors import ConfigError, UsageError

KeyPath = tuple[str | int, ...]

LONGEST_SHOWN = 60
MOST_SHOWN = 20
_KINDS = {bool: "true or false", int: "an integer", float: "a number", str: "text", list: "a list", dict: "a mapping"}


@final
@dataclass(frozen=True)
class Position:
    """A place in a config file, or the command-line option that gave the value.

    Args:
        source: The path as the user wrote it, or the option, e.g. `--set training.steps=5`.
        line: 1 for the first line; 0 when the value does not come from a file.
        column: 1 for the first character of the line; 0 when the value does not come from a file.

    Example:
        >>> str(Position("configs/x.yaml", 12, 5))
        'configs/x.yaml:12:5'
        >>> str(Position("--set training.steps=5"))
        '--set training.steps=5'
    """

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source

    def moved(self, lines: int, column: int) -> "Position":
        """Return the position `lines` below, at the column counted from 0; options have only one position."""
        return Position(self.source, self.line + lines, column + 1) if self.line else self

    def after(self, text: str) -> "Position":
        r"""Return the position of the character that follows `text`, which begins here.

        Example:
            >>> str(Position("x.yaml", 1, 1).after("a: 1\r\nb: "))
            'x.yaml:2:4'
        """
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return self.moved(len(lines) - 1, len(lines[-1]))


def dotted(path: KeyPath) -> str:
    """Return the key as a user writes it.

    Example:
        >>> dotted(("training", "milestones", 2)), dotted(("task", "two words"))
        ('training.milestones[2]', "task.'two words'")
    """
    parts = (f"[{part}]" if isinstance(part, int) else "." + _key(part) for part in path)
    return "".join(parts).removeprefix(".")


def location(position: Position, path: KeyPath) -> str:
    """Return the `where` of an error: the position, then the key unless the position already contains it.

    Example:
        >>> location(Position("x.yaml", 7, 3), ("training", "steps"))
        'x.yaml:7:3 training.steps'
        >>> location(Position("--set training.steps=x"), ("training", "steps"))
        '--set training.steps=x'
    """
    key = dotted(path)
    is_repeated = not position.line and position.source.startswith(f"--set {key}=")
    return str(position) if is_repeated or not key else f"{position} {key}"


@final
class LocatedError(UsageError):
    """An error in one value or key; the rest of the config can be checked nevertheless."""

    position: Position
    path: KeyPath

    @classmethod
    def at(cls, position: Position, path: KeyPath, problem: str, *, hint: str) -> Self:
        """Return the error in the value at `path`."""
        error = cls(problem, where=location(position, path), hint=hint)
        error.position, error.path = position, path
        return error


def raise_all(errors: Sequence[UsageError]) -> None:
    """Raise all `errors` as one; return if there are none.

    Raises:
        ConfigError: There is an error. Beyond `MOST_SHOWN`, the rest is counted and not shown.

    Example:
        >>> raise_all([UsageError("wrong", where="x.yaml:1:1"), UsageError("worse", where="x.yaml:2:1")])
        Traceback (most recent call last):
            ...
        rnnlab.core.errors.ConfigError: x.yaml:1:1: wrong
        x.yaml:2:1: worse
    """
    if (rest := len(errors) - MOST_SHOWN) > 0:
        more = UsageError(f"{rest} more error{'s' * (rest > 1)}", hint="correct these first")
        raise ConfigError([*errors[:MOST_SHOWN], more])
    if errors:
        raise ConfigError(list(errors))


def kind(value: object) -> str:
    """Return what a value from YAML is, in a user's words.

    Example:
        >>> [kind(value) for value in (None, True, 3, 0.5, "a", [], {})]
        ['null', 'true or false', 'an integer', 'a number', 'text', 'a list', 'a mapping']
    """
    return _KINDS.get(type(value), "null")


def shown(value: object) -> str:
    """Return a value from YAML as a message shows it: one short line.

    Example:
        >>> shown("a"), shown(True), shown([100, 50]), shown({"a": 1})
        ("'a'", 'true', '[100, 50]', 'a mapping')
        >>> len(shown("x" * 1000))
        62
    """
    if isinstance(value, str):
        text = repr(value[: LONGEST_SHOWN + 1])
        return text if len(text) <= LONGEST_SHOWN + 2 else f"{text[:LONGEST_SHOWN]}…{text[0]}"
    if isinstance(value, list) and all(type(item) in {int, float} for item in value):
        return shortened(str(value))
    if isinstance(value, dict | list) or value is None:
        return kind(value)
    return shortened(str(value).lower() if isinstance(value, bool) else str(value))


def shortened(text: str) -> str:
    """Return `text`, cut to `LONGEST_SHOWN` characters."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_@-]{1,60}", key) else shown(key)
