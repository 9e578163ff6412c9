"""Choosing and ordering rows by what a user writes: `state=completed`, `cell.units>=32`, `-loss`."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import ge, gt, le, lt
from typing import Any, final

from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest
from rnnlab.core.text import visible
from rnnlab.runs.rows import COLUMNS, Row, look_up

_CONDITION = re.compile(r"(?P<key>[^=!<>]+)(?P<operator>==|!=|<=|>=|=|<|>)(?P<value>.*)", re.DOTALL)
_ORDER: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """A key, one of = != < <= > >=, and a value.

    The key is a column, `metrics.error_rate`, or a dotted key of the config; the value is read as JSON where it is
    JSON, else as text. In a text `*` stands for any letters. What is not known fulfils `!=` only.

    Example:
        >>> condition = Condition.read("cell.units>=32")
        >>> condition.holds(64), condition.holds(16), condition.holds(None)
        (True, False, False)
        >>> Condition.read("task=adding*").holds("adding@urnn"), Condition.read("solved=true").holds(True)
        (True, True)
    """

    key: str
    operator: str
    text: str

    @classmethod
    def read(cls, text: str) -> "Condition":
        """Return the condition that `text` states; raise `UsageError` where it states none."""
        match = _CONDITION.fullmatch(text)
        if match is None:
            hint = "write KEY=VALUE, for example state=completed, 'cell.units>=32' or 'task!=parity'"
            raise UsageError(f"got '{visible(text)}', expected a condition", where="--filter", hint=hint)
        return cls(match["key"].strip(), match["operator"].replace("==", "="), match["value"].strip())

    def holds(self, value: Any) -> bool:
        """Return whether a run that has `value` at the key fulfils the condition.

        Raises:
            UsageError: A number is to be compared with what is no number.
        """
        if self.operator in {"=", "!="}:
            return self._equals(value) == (self.operator == "=")
        wanted = _as_json(self.text)
        if _is_number(value):
            if not _is_number(wanted):
                problem = f"{visible(self.key)} is a number, got '{visible(self.text)}'"
                raise UsageError(problem, where="--filter", hint=f"for example '{visible(self.key)}{self.operator}0.1'")
            return _ORDER[self.operator](value, wanted)
        return isinstance(value, str) and _ORDER[self.operator](value, self.text)

    def _equals(self, value: Any) -> bool:
        if isinstance(value, str):
            return value == self.text or ("*" in self.text and fnmatchcase(value, self.text.replace("[", "[[]")))
        wanted = _as_json(self.text)
        # [50, 50] steps are 50 steps; and to Python true is 1, to nobody else.
        either = [value, value[0]] if isinstance(value, list) and len(set(map(str, value))) == 1 else [value]
        return any(wanted == one and isinstance(wanted, bool) == isinstance(one, bool) for one in either)


def choose(rows: Sequence[Row], conditions: Sequence[Condition]) -> list[Row]:
    """Return the rows that fulfil all conditions, in their order.

    Raises:
        UsageError: No run has such a key; the hint names the nearest.
    """
    for condition in conditions:
        _check_key(rows, condition.key, where="--filter")
    # Columns first: they are at hand, where each config is a file to read.
    for condition in sorted(conditions, key=lambda condition: not _is_column(condition.key)):
        rows = [row for row in rows if condition.holds(value_of(row, condition.key))]
    return list(rows)


def order(rows: Sequence[Row], key: str) -> list[Row]:
    """Return the rows by the value at `key`, least first, or greatest first where it starts with `-`; unknown last.

    Raises:
        UsageError: No run has such a key; the hint names the nearest.
    """
    name = key.removeprefix("-")
    _check_key(rows, name, where="--sort")
    known = [row for row in rows if value_of(row, name) is not None]
    unknown = [row for row in rows if value_of(row, name) is None]
    return sorted(known, key=lambda row: _rank(value_of(row, name)), reverse=key.startswith("-")) + unknown


def value_of(row: Row, key: str) -> Any:
    """Return what a run has at a column or a dotted key, None where it has nothing."""
    return look_up(row.values, key) if _is_column(key) else look_up(row.config, key)


def _is_column(key: str) -> bool:
    return key in COLUMNS or key.startswith("metrics.")


def _check_key(rows: Sequence[Row], key: str, *, where: str) -> None:
    if not rows or key in COLUMNS or any(_has(row, key) for row in rows):
        return
    known = {*COLUMNS, *(name for row in rows[-100:] for name in _names(row))}
    close = nearest(key, known)
    hint = close if close.startswith("did") else f"columns: {', '.join(COLUMNS)}; or a config key such as cell.units"
    raise UsageError(f"no run has a '{visible(key)}'", where=where, hint=hint)


def _has(row: Row, key: str) -> bool:
    holder, _, name = key.rpartition(".")
    source = row.values if _is_column(key) else row.config
    inner = look_up(source, holder) if holder else source
    return isinstance(inner, dict) and name in inner


def _names(row: Row) -> Iterable[str]:
    yield from (f"metrics.{name}" for name in row.values["metrics"] or ())
    yield from _dotted(row.config)


def _dotted(data: dict[Any, Any], depth: int = 5) -> Iterable[str]:
    for key, value in data.items():
        yield str(key)
        if isinstance(value, dict) and depth:
            yield from (f"{key}.{name}" for name in _dotted(value, depth - 1))


def _rank(value: Any) -> tuple[bool, Any]:
    """Numbers come before texts, which cannot be compared with them."""
    return (False, value) if _is_number(value) or isinstance(value, bool) else (True, str(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
