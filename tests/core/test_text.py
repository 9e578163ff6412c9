"""Text and values that leave the program: escaped, or converted to JSON."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from rnnlab.core.text import docstring_section, jsonable, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 👍 [red]\\x", "plain é 漢 👍 [red]\\x"),
        ("\x1b]0;x\x07", r"\x1b]0;x\x07"),
        ("\x00\x7f\x80\x9b\x9f", r"\x00\x7f\x80\x9b\x9f"),
        ("a\n\r\tb", r"a\n\r\tb"),
        ("\u202e\u2066\u2069\u200e\u200f\u061c", r"\u202e\u2066\u2069\u200e\u200f\u061c"),
        ("a\u200bb\u2060c\ufeff", r"a\u200bb\u2060c\ufeff"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\udcff\ud800", r"\udcff\ud800"),
    ],
)
def test_what_acts_is_escaped_and_what_shows_is_kept(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_nothing_of_the_first_256_acts() -> None:
    result = visible("".join(map(chr, range(256))))
    assert {c for c in result if not c.isprintable()} == {"\xa0", "\xad"}  # two harmless ones: space, soft hyphen


def test_a_section_of_a_docstring() -> None:
    class Documented:
        """Title.

        Source: A book,
            second edition.
        Differs: In two
            lines.

        Example:
            None.
        """

    assert docstring_section(Documented, "Source") == "A book, second edition."
    assert docstring_section(Documented, "Differs") == "In two lines."
    assert docstring_section(Documented, "Raises") == ""


class Colour(StrEnum):
    RED = "red"


class Model(BaseModel):
    """A model of pydantic with a value that JSON does not know."""

    size: tuple[int, int] = (1, 2)
    loss: float = float("inf")


@dataclass(frozen=True)
class Inner:
    values: np.ndarray
    _cache: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Outer:
    inner: Inner
    path: Path


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (np.bool_(True), True),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), None),
        (float("-inf"), None),
        (Colour.RED, "red"),
        (Path("a/b"), "a/b"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        ((1, (2, 3)), [1, [2, 3]]),
        (frozenset({4}), [4]),
        ({1: np.arange(2)}, {"1": [0, 1]}),
        (np.array([[1.0, np.nan]]), [[1.0, None]]),
        (np.array([1 - 2j]), [[1.0, -2.0]]),
        (Model(), {"size": [1, 2], "loss": None}),
        (Outer(Inner(np.zeros(1)), Path("x")), {"inner": {"values": [0.0]}, "path": "x"}),
    ],
    ids=str,
)
def test_a_value_as_json(value: object, expected: object) -> None:
    converted = jsonable(value)
    assert converted == expected
    assert type(converted) is type(expected)
    assert json.loads(json.dumps(converted, allow_nan=False)) == expected


@pytest.mark.parametrize("value", [object(), b"bytes", Path, [object()]])
def test_what_json_cannot_hold(value: object) -> None:
    with pytest.raises(TypeError):
        jsonable(value)
