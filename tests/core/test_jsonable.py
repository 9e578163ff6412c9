"""One conversion to JSON for everything that the program prints or stores."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from rnnlab.core.text import jsonable


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


@pytest.mark.parametrize("value", [object(), b"bytes", Path, [object()]], ids=str)
def test_what_json_cannot_hold(value: object) -> None:
    with pytest.raises(TypeError):
        jsonable(value)
