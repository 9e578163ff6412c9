"""The filter language of `list --filter` and `compare --fail-if`: `task=adding* and (loss<0.1 or solved=true)`.

    filter    := and-part { or and-part }
    and-part  := unit { and unit }
    unit      := ( filter ) | NAME OPERATOR VALUE
    OPERATOR  := = | == | != | < | <= | > | >=
    VALUE     := 'text' | "text" | JSON or a text without blanks and parentheses

What a name means is up to the command: a column, a dotted config key, a metric, or a function of one such as
`median(loss)`. In a text `*` matches any characters.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isfinite
from operator import ge, gt, le, lt
from typing import NoReturn, Protocol, final

from rnnlab.core.errors import UsageError

Value = str | int | float | bool | list["Value"] | dict[str, "Value"] | None

_ORDER: dict[str, Callable[[float | str, float | str], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


class Filter(Protocol):
    """A condition, or several joined by `and` and `or`; abstract."""

    @property
    def names(self) -> list[str]:
        """The names that occur, each once."""

    def matches(self, get: Callable[[str], Value], *, not_finite: bool = False) -> bool:
        """Return whether what has the values `get(name)` fulfils the filter.

        Args:
            get: Name -> value; None where there is none, which fulfils `!=` and `= null` only.
            not_finite: Whether a number that is not finite fulfils every condition; else it fulfils `!=` only.

        Raises:
            UsageError: A number is to be compared with what is no number.
        """


def parse(text: str, *, option: str = "--filter") -> Filter:
    """Return the filter that `text` states.

    Args:
        text: As the user gave it.
        option: Where, for messages.

    Raises:
        UsageError: It states none; the message has the place.

    Example:
        >>> found = parse("cell.units>=32 and (task=adding* or solved=true)")
        >>> found.names, found.matches({"cell.units": 64, "task": "adding@urnn", "solved": None}.get)
        (['cell.units', 'task', 'solved'], True)
    """
    return _Parser(text, option).parse()


def every(filters: list[Filter]) -> Filter:
    """Return the filter that is fulfilled where all of them are."""
    return _Joined(tuple(filters), needs_all=True)


@final
@dataclass(frozen=True, slots=True)
class _Joined:
    """Several filters: all must be fulfilled, or one."""

    parts: tuple[Filter, ...]
    needs_all: bool

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(name for part in self.parts for name in part.names))

    def matches(self, get: Callable[[str], Value], *, not_finite: bool = False) -> bool:
        found = (part.matches(get, not_finite=not_finite) for part in self.parts)
        return all(found) if self.needs_all else any(found)


@final
@dataclass(frozen=True, slots=True)
class _Condition:
    """A name, an operator and a value."""

    name: str
    operator: str
    text: str
    wanted: Value  # the text as JSON, where it is JSON
    place: str

    @property
    def names(self) -> list[str]:
        return [self.name]

    def matches(self, get: Callable[[str], Value], *, not_finite: bool = False) -> bool:
        value = get(self.name)
        if isinstance(value, float) and not isfinite(value):
            return not_finite or self.operator == "!="
        if self.operator in {"=", "!="}:
            return self._equals(value) == (self.operator == "=")
        if isinstance(value, int | float):
            return _ORDER[self.operator](value, self._number())
        return isinstance(value, str) and _ORDER[self.operator](value, self.text)

    def _equals(self, value: Value) -> bool:
        if isinstance(value, str):
            return value == self.text or ("*" in self.text and fnmatchcase(value, self.text.replace("[", "[[]")))
        # [50, 50] steps are 50 steps; 1 is accepted for true, but not true for 1.
        either = [value, value[0]] if isinstance(value, list) and len(set(map(str, value))) == 1 else [value]
        return any(
            self.wanted == one and (isinstance(one, bool) or not isinstance(self.wanted, bool)) for one in either
        )

    def _number(self) -> float:
        if isinstance(self.wanted, int | float):
            return self.wanted
        hint = f"for example {self.name}{self.operator}0.1"
        raise UsageError(f"{self.name} is a number, got '{self.text}'", where=self.place, hint=hint)


@final
class _Parser:
    """Reads a filter from left to right."""

    def __init__(self, text: str, option: str) -> None:
        self._text, self._option, self._at = text, option, 0

    def parse(self) -> Filter:
        try:
            found = self._any()
        except RecursionError:
            raise UsageError("has too many parentheses", where=self._option) from None
        if self._text[self._at :].strip():
            self._fail("'and', 'or' or the end", "a value with blanks or parentheses needs quotes: name='a b'")
        return found

    def _any(self) -> Filter:
        parts = [self._all()]
        while self._take(r"or\b"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else _Joined(tuple(parts), needs_all=False)

    def _all(self) -> Filter:
        parts = [self._unit()]
        while self._take(r"and\b"):
            parts.append(self._unit())
        return parts[0] if len(parts) == 1 else _Joined(tuple(parts), needs_all=True)

    def _unit(self) -> Filter:
        if not self._take(r"\("):
            return self._condition()
        found = self._any()
        if not self._take(r"\)"):
            self._fail("a closing parenthesis", "join conditions by 'and' or 'or'")
        return found

    def _condition(self) -> Filter:
        name = self._take(r"(?!(?:and|or)\b)[\w./-]+(?:\(\s*[\w./-]+\s*\))?")
        if not name:
            self._fail("a name", "for example state=completed, 'cell.units>=32' or 'task!=parity and loss<0.1'")
        operator = self._take(r"==|!=|<=|>=|=|<|>")
        if not operator:
            self._fail("one of = != < <= > >=", f"for example {name}=0.1")
        self._take("")
        place = self._place()
        quoted = self._take(r"'[^']*'|\"[^\"]*\"")
        text = quoted[1:-1] if quoted else self._take(r"\[[^\]]*\]|[^\s()'\"]+")
        if not (text or quoted):
            self._fail("a value", "an empty text is ''")
        wanted = text if quoted else _as_json(text)
        return _Condition(re.sub(r"\s", "", name), operator.replace("==", "="), text, wanted, place)

    def _take(self, pattern: str) -> str:
        """Return what comes next, blanks left out, if it has that form; else nothing."""
        match = re.compile(rf"\s*({pattern})").match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[1]

    def _place(self) -> str:
        return f"{self._option}, character {self._at + 1}"

    def _fail(self, expected: str, hint: str) -> NoReturn:
        self._take("")
        rest = self._text[self._at :].strip()
        got = f"'{rest[:40]}'" if rest else "nothing"
        raise UsageError(f"got {got}, expected {expected}", where=self._place(), hint=hint)


def _as_json(text: str) -> Value:
    with suppress(ValueError, RecursionError):
        if _NUMBER.fullmatch(text):
            return int(text) if text.lstrip("+-").isdigit() else float(text)
        if text[:1] in "[{" or text in {"true", "false", "null"}:
            value: Value = json.loads(text)
            return value
    return text


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
