"""Plain data to YAML text that reads back as the very same data."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rnnlab.config.marks import Mark
from rnnlab.config.yaml_reader import read_yaml


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Return `data` as YAML in block style, keys in the order given, no aliases.

    `read_yaml` reads the same data back, and so do readers of YAML 1.1: text that either would take for something else
    (`695e0514`, `on`, `2024-01-01`) is quoted, and floats carry both a dot and a signed exponent.

    Raises:
        TypeError: A value is not a mapping, list, text, int, float, bool or None.
        ValueError: `read_yaml` would refuse the text: a number that is not finite, a hidden character, too many levels.

    Example:
        >>> print(dump_yaml({"name": "1e5", "lr": 1e-05, "lengths": [50, 100], "cell": {"units": 8}}), end="")
        name: '1e5'
        lr: 1.0e-05
        lengths:
          - 50
          - 100
        cell:
          units: 8
    """
    text = "".join(f"{line}\n" for line in (_lines(data) if data else ["{}"]))
    if not _is_plain(text) and (faults := read_yaml(text, Mark("text written", 1, 1)).faults):
        raise ValueError(f"not a config: {faults[0]}")
    return text


def _is_plain(text: str) -> bool:
    """Say whether `read_yaml` takes a text for sure; to read it takes ten times as long as to write it."""
    return _SHORT_AND_PLAIN.fullmatch(text) is not None and _LONG_NUMBER.search(text) is None


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _entry(f"{_text(key)}:", item, joined=False)
    else:
        for item in value:
            yield from _entry("-", item, joined=True)


def _entry(head: str, item: Any, *, joined: bool) -> Iterator[str]:
    if not (item and isinstance(item, Mapping | list | tuple)):
        yield f"{head} {_leaf(item)}"
        return
    first, *rest = _lines(item)
    yield from [f"{head} {first}"] if joined else [head, f"  {first}"]
    yield from (f"  {line}" for line in rest)


def _leaf(value: Any) -> str:
    match value:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case int():
            return int.__repr__(value)
        case float():
            return _float(value)
        case str():
            return _text(value)
        case Mapping() | list() | tuple():
            return "{}" if isinstance(value, Mapping) else "[]"
    raise TypeError(f"{type(value).__name__} cannot be written as YAML")


def _float(value: float) -> str:
    # A subclass (NumPy's) has a repr of its own.
    mantissa, e, exponent = float.__repr__(value).partition("e")
    if not math.isfinite(value):
        raise ValueError(f"finite number wanted, got {mantissa}")
    return mantissa + (".0" if e and "." not in mantissa else "") + e + exponent


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} cannot be a key")
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return '"' + "".join(_ESCAPED.get(char) or _escape(char) for char in value) + '"'


# Words that YAML 1.1 or 1.2 takes for null or a boolean.
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_PLAIN = re.compile(r"[A-Za-z_]([A-Za-z0-9_./@+-]| (?=[A-Za-z0-9_]))*")
# Visible characters, no escape; a level takes two characters of a line, a value at least two of the text.
_SHORT_AND_PLAIN = re.compile(r"(?:[ !#-~]{0,120}\n){0,150}")
_LONG_NUMBER = re.compile(r"\d{18}")
_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


def _escape(char: str) -> str:
    return char if char.isprintable() else f"\\U{ord(char):08x}"
