"""The values of one axis: all of them for a grid, or one drawn at random. Integers stay integers."""

import math
from typing import Any

import numpy as np

from rnnlab.config.sweep import MOST_TRIALS, Range
from rnnlab.core.errors import UsageError

Axis = Range | list[Any]


def values_of(axis: Axis) -> list[Any]:
    """Return all values of an axis, in order.

    Raises:
        UsageError: It has endlessly many, or more than a sweep has trials.

    Example:
        >>> values_of(Range.model_validate({"from": 10, "to": 100, "count": 4}))
        [10, 40, 70, 100]
        >>> values_of(Range.model_validate({"from": 1e-4, "to": 1e-2, "count": 3, "scale": "log"}))
        [0.0001, 0.001, 0.01]
        >>> values_of(Range.model_validate({"from": 8, "to": 100, "step": 2, "scale": "log"}))
        [8, 16, 32, 64]
    """
    if isinstance(axis, list):
        return axis
    if axis.count is None and axis.step is None:
        raise UsageError("a grid needs to know which numbers", hint="add `count:` or `step:`, or use method: random")
    return list(dict.fromkeys(exact(axis, number) for number in _numbers(axis)))


def draw(axis: Axis, rng: np.random.Generator) -> Any:
    """Return one value: one of those there are, or, of a range without count and step, any number in it."""
    if isinstance(axis, list) or axis.count is not None or axis.step is not None:
        values = values_of(axis)
        return values[int(rng.integers(len(values)))]
    low, high, share = axis.from_, axis.to, float(rng.random())
    if axis.scale == "log":
        return exact(axis, low * (high / low) ** share, digits=6)
    if is_whole(axis):
        return int(rng.integers(int(low), int(high) + 1))
    return exact(axis, low + (high - low) * share, digits=6)


def _numbers(axis: Range) -> list[float]:
    low, high, is_log = axis.from_, axis.to, axis.scale == "log"
    if axis.count is not None:
        shares = [place / (axis.count - 1) for place in range(axis.count)]
        return [low * (high / low) ** share if is_log else low + (high - low) * share for share in shares]
    assert axis.step is not None
    steps = math.log(high / low) / math.log(axis.step) if is_log else (high - low) / axis.step
    if steps >= MOST_TRIALS:
        raise UsageError(f"more than {MOST_TRIALS:,} numbers", hint="take a larger `step`, or `count:`")
    places = range(math.floor(steps + 1e-9) + 1)  # the last is meant, however 0.1 + 0.2 comes out
    return [low * axis.step**place if is_log else low + axis.step * place for place in places]


def exact(axis: Range, number: float, *, digits: int = 12) -> int | float:
    """Return a number as people write it: whole between whole ones, else without the dust of binary fractions."""
    return round(number) if is_whole(axis) else float(f"{number:.{digits}g}")


def is_whole(axis: Range) -> bool:
    """Say whether an axis has whole numbers only."""
    step = axis.step if axis.scale == "linear" else None
    return all(isinstance(number, int) for number in (axis.from_, axis.to, step) if number is not None)
