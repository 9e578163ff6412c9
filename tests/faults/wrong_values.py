"""Values that a field of a stored document must not have, and each document with one of them at each place in turn.

The documents are sealed again with a valid checksum, so that what is tested is the schema alone.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

ESCAPES = "\x1b[31m\x1b]0;title\x07\u202e\u2028"
WRONG: dict[str, Any] = {
    "null": None,
    "true": True,
    "minus one": -1,
    "zero": 0,
    "18 digits": 10**18,
    "a fraction": 1.5,
    "64 bits": 2**64,
    "400 digits": 10**400,
    "the largest float": 1.7976931348623157e308,
    "no text": "",
    "a word": "a",
    "escapes": ESCAPES,
    "markup": "[/b]</td><script>alert(1)</script>{{7*7}}%s",
    "lines": "one\r\nrnnlab: error: two",
    "half a character": "\ud800",
    "a path up": "../../../x",
    "a megabyte": "x" * 1_000_000,
    "year 1": "0001-01-01T00:00:00+23:59",
    "year 9999": "9999-12-31T23:59:59-23:59",
    "before 1970": "1969-12-31T23:59:59Z",
    "no time zone": "2026-01-01T00:00:00",
    "an empty list": [],
    "a list": [ESCAPES, -1, None],
    "an empty object": {},
    "an object": {ESCAPES: ESCAPES},
    "nested deep": [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]],
}


def edited(document: Mapping[str, Any], values: Mapping[str, Any] = WRONG) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a document with one edit at a time: each field, inner ones too, to each value, left out, and one added.

    Of a list only the first item is edited. The name of an edit is the field and the value, `cell.units=null`.
    """
    for place in _places(document):
        field = ".".join(map(str, place))
        for name, value in values.items():
            yield f"{field}={name}", _with(document, place, value)
        yield f"{field} left out", _with(document, place)
    for place in ((), *_places(document)):
        value = _at(document, place)
        if isinstance(value, dict):
            yield ".".join([*map(str, place), "more added"]), _with(document, (*place, f"more{ESCAPES}"), 1)


def _places(value: Any, outer: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = list(value) if isinstance(value, Mapping) else range(min(1, len(value))) if isinstance(value, list) else ()
    for key in keys:
        yield (*outer, key)
        yield from _places(value[key], (*outer, key))


def _at(document: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        document = document[key]
    return document


def _with(document: Mapping[str, Any], place: tuple[Any, ...], *value: Any) -> dict[str, Any]:
    """Return the document with another value at a place; without that place if no value is given."""
    changed = copy.deepcopy(dict(document))
    inner = _at(changed, place[:-1])
    if value:
        inner[place[-1]] = value[0]
    else:
        del inner[place[-1]]
    return changed
