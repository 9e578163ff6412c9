"""Filtering and ordering rows by a column or a config key."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest
from rnnlab.runs.filter import Filter, every
from rnnlab.runs.rows import COLUMNS, Row, look_up


def choose(rows: Sequence[Row], filters: Sequence[Filter]) -> list[Row]:
    """Return the rows that fulfil all filters, in their order.

    Raises:
        UsageError: No run has such a key; the hint names the nearest.
    """
    for key in every(list(filters)).names:
        _check_key(rows, key, where="--filter")
    # Columns first: they are at hand, where each config is a file to read.
    for one in sorted(filters, key=lambda one: not all(map(_is_column, one.names))):
        rows = [row for row in rows if one.matches(partial(value_of, row))]
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
    raise UsageError(f"no run has a '{key}'", where=where, hint=hint)


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
