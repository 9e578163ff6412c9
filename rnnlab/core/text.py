"""What leaves the program: text that cannot control a terminal or reorder a line, and values of JSON."""

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import PurePath
from textwrap import dedent
from typing import Any, TypeAlias

# The values that `json.dumps` writes as they are.
Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

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


def duration(seconds: float) -> str:
    """Return a time in its two largest units.

    Example:
        >>> duration(9.6), duration(61), duration(7261)
        ('10 s', '1 min 01 s', '2 h 01 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60:,} h {minutes % 60:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def listed(names: Sequence[str], most: int) -> str:
    """Return the first names, and how many more there are.

    Example:
        >>> listed(["a", "b"], 2), listed(["a", "b", "c"], 1)
        ('a, b', 'a and 2 more')
    """
    return ", ".join(names[:most]) + f" and {len(names) - most} more" * (len(names) > most)


def own_paragraphs(kind: type) -> tuple[str, str]:
    """Return the first two paragraphs of a class's own docstring as lines; the first without the dot, or its name."""
    first, second, *_ = [*inspect.cleandoc(vars(kind).get("__doc__") or kind.__name__).split("\n\n"), ""]
    return " ".join(first.split()).removesuffix("."), " ".join(second.split())


def docstring_equations(kind: type) -> str:
    """Return the first indented lines of a class's own docstring, before its sections; empty if there are none."""
    text = re.split(r"^[A-Z]\w+:", inspect.cleandoc(vars(kind).get("__doc__") or ""), maxsplit=1, flags=re.MULTILINE)[0]
    match = re.search(r"\n\n((?: {4}.*(?:\n|\Z))+)", text)
    return dedent(match[1]).rstrip() if match else ""


def docstring_section(kind: type, title: str) -> str:
    """Return the text of one section of a class's docstring as one line; empty if there is no such section."""
    match = re.search(rf"^{title}: (.+?)(?=\n\n|\n\S|\Z)", inspect.getdoc(kind) or "", re.MULTILINE | re.DOTALL)
    return " ".join(match[1].split()) if match else ""


def docstring_attributes(kind: type) -> dict[str, str]:
    """Return what the section `Attributes` of a class's docstring, and of its bases', has about each, as one line."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        section = re.search(r"^Attributes:\n((?: .*\n?|\n)+)", inspect.cleandoc(one.__doc__ or ""), re.MULTILINE)
        for names, text in re.findall(
            r"^ {4}(\w[\w, ]*): (.+(?:\n {8}.*)*)", section[1] if section else "", re.MULTILINE
        ):
            found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return found


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    return _NAMED.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def jsonable(value: object) -> Json:
    """Return `value` made of dictionaries, lists, text, finite numbers, booleans and None.

    Dataclasses and pydantic models become dictionaries of their public fields; tuples, sets and NumPy arrays lists;
    NumPy scalars numbers; complex numbers pairs of real and imaginary part; paths, enumerations and dates text. A
    number that is not finite becomes None: JSON has none.

    Raises:
        TypeError: The value, or one inside it, is none of these.

    Example:
        >>> jsonable({"loss": float("nan"), "shape": (2, 3), "path": PurePath("runs/a")})
        {'loss': None, 'shape': [2, 3], 'path': 'runs/a'}
    """
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | str | int | float):
        return _scalar(value)
    if isinstance(value, Mapping):
        return {str(key): jsonable(inner) for key, inner in value.items()}
    if isinstance(value, Sequence | Set) and not isinstance(value, bytes):
        return [jsonable(inner) for inner in value]
    return _converted(value)


def _scalar(value: str | float | None) -> Json:
    """Return a value of a subclass, such as `numpy.float64`, as the plain type."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool):
        return value
    return str(value) if isinstance(value, str) else int(value)


def _converted(value: object) -> Json:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, complex):
        return [jsonable(value.real), jsonable(value.imag)]
    if is_dataclass(value) and not isinstance(value, type):
        public = [field.name for field in fields(value) if field.name[0] != "_"]
        return {name: jsonable(getattr(value, name)) for name in public}
    for method in ("tolist", "model_dump"):  # of NumPy and of pydantic, which are not imported for this
        convert: Callable[[], Any] | None = getattr(value, method, None)
        if convert is not None:
            return jsonable(convert())
    raise TypeError(f"{type(value).__name__} has no form in JSON")
