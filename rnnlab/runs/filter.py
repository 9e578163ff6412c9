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
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isfinite
from operator import ge, gt, le, lt
from typing import NoReturn, final

from rnnlab.core.errors import UsageError

Value = str | int | float | bool | list["Value"] | dict[str, "Value"] | None

_ORDER: dict[str, Callable[[float | str, float | str], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


@final
@dataclass(frozen=True, slots=True)
class Filter:
    """A condition, or several joined by `and` and `or`.

    Attributes:
        names: The names that occur, each once.
        test: A function of get and not_finite, as those of `matches`.
    """

    names: tuple[str, ...]
    test: Callable[[Callable[[str], Value], bool], bool]

    def matches(self, get: Callable[[str], Value], *, not_finite: bool = False) -> bool:
        """Return whether what has the values `get(name)` fulfils the filter.

        Args:
            get: Name -> value; None where there is none, which fulfils `!=` and `= null` only.
            not_finite: Whether a number that is not finite fulfils every condition; else it fulfils `!=` only.

        Raises:
            UsageError: A number is to be compared with what is no number.
        """
        return self.test(get, not_finite)


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
        (('cell.units', 'task', 'solved'), True)
    """
    return _Parser(text, option).parse()


def every(filters: list[Filter]) -> Filter:
    """Return the filter that is fulfilled where all of them are."""
    return _joined(filters, all)


def _joined(parts: list[Filter], together: Callable[[Iterable[bool]], bool]) -> Filter:
    if len(parts) == 1:
        return parts[0]
    names = dict.fromkeys(name for part in parts for name in part.names)
    return Filter(tuple(names), lambda get, not_finite: together(part.test(get, not_finite) for part in parts))


@final
@dataclass(frozen=True, slots=True)
class _Condition:
    """A name, an operator and a value."""

    name: str
    operator: str
    text: str
    wanted: Value  # the text as JSON, where it is JSON
    place: str

    def __call__(self, get: Callable[[str], Value], not_finite: bool) -> bool:
        value = get(self.name)
        if isinstance(value, float) and not isfinite(value):
            return not_finite or self.operator == "!="
        if self.operator in {"=", "!="}:
            return self._equals(value) == (self.operator == "=")
        if isinstance(value, int | float):
            if not isinstance(self.wanted, int | float):
                hint = f"for example {self.name}{self.operator}0.1"
                raise UsageError(f"{self.name} is a number, got '{self.text}'", where=self.place, hint=hint)
            return _ORDER[self.operator](value, self.wanted)
        return isinstance(value, str) and _ORDER[self.operator](value, self.text)

    def _equals(self, value: Value) -> bool:
        if isinstance(value, str):
            return value == self.text or ("*" in self.text and fnmatchcase(value, self.text.replace("[", "[[]")))
        # [50, 50] steps are 50 steps; 1 is accepted for true, but not true for 1.
        either = [value, value[0]] if isinstance(value, list) and len(set(map(str, value))) == 1 else [value]
        return any(
            self.wanted == one and (isinstance(one, bool) or not isinstance(self.wanted, bool)) for one in either
        )


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
        return _joined(parts, any)

    def _all(self) -> Filter:
        parts = [self._unit()]
        while self._take(r"and\b"):
            parts.append(self._unit())
        return _joined(parts, all)

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
        name = re.sub(r"\s", "", name)
        return Filter((name,), _Condition(name, operator.replace("==", "="), text, wanted, place))

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
