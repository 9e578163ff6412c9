"""What gates do: how far open they are, how often they are stuck, how long a carry keeps what it holds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.unrolled import Unrolled
from rnnlab.inspection.diagnoses.findings import Gate, Retention

Array = NDArray[Any]

_BINS = 40  # of an activation without a range
_WIDTH = 0.05  # of a bin, so that gates of all ranges can be held against each other
_STUCK = 0.05  # of the range
_RANGES = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0)}
_SMALLEST = 1e-12


def gates(unrolled: Unrolled) -> dict[str, Gate]:
    """Return the values of every gate and activation over all steps of all sequences, by layer and name."""
    found: dict[str, Gate] = {}
    for layer in unrolled.layers:
        cell = layer.network.cell
        for name, option in cell.gates.items():
            values = _values(unrolled, layer.number, name)
            found[f"{layer.name}.{name}"] = gate(values, _RANGES.get(getattr(cell.options, option)))
    return found


def gate(values: Array, bounds: tuple[float, float] | None) -> Gate:
    """Return how some values of an activation are spread.

    Args:
        values: Any shape.
        bounds: The activation's range; that of the values where it has none, and then none of them is saturated.

    Example:
        >>> found = gate(np.array([0.01, 0.5, 0.97, 0.99]), (0.0, 1.0))
        >>> found.low, found.high, int(found.counts.sum())
        (0.25, 0.5, 4)
    """
    low, high = bounds or (float(values.min()), float(values.max()))
    bins = round((high - low) / _WIDTH) if bounds else _BINS
    counts, edges = np.histogram(values, bins=bins, range=(low, high) if high > low else (low - 0.5, high + 0.5))
    near = _STUCK * (high - low) if bounds else -1.0
    return Gate(edges, counts, float(values.mean()), _share(values < low + near), _share(values > high - near))


def retention(unrolled: Unrolled) -> dict[str, Retention]:
    """Return how long each carry keeps what it holds, from the values of its forget gate."""
    found: dict[str, Retention] = {}
    for layer in unrolled.layers:
        if forget := layer.network.cell.forget:
            kept = _values(unrolled, layer.number, forget)  # (N, H)
            found[f"{layer.name}.c"] = retained(kept)
    return found


def retained(kept: Array) -> Retention:
    """Return the steps after which 1/e is left of a value that is multiplied by these factors.

    Args:
        kept: (N, H), a factor a step and unit.

    Example:
        Halved at each step, 1/e is left after 1 / ln 2 steps:

        >>> retained(np.array([[0.5, 1.0], [0.5, 1.0]])).steps.round(4).tolist()
        [1.4427, inf]
    """
    rate = -np.log(np.maximum(np.abs(kept), _SMALLEST)).mean(axis=0)
    with np.errstate(divide="ignore"):
        steps = np.sort(np.where(rate > 0, 1 / rate, np.inf))
    return Retention(steps, float(np.median(steps)))


def _values(unrolled: Unrolled, layer: int, name: str) -> Array:
    """Return a gate's values within the sequences, (N, H)."""
    values = np.stack([step.saved[name] for step in unrolled.steps[layer]], axis=1)
    return np.asarray(values[unrolled.visited()])


def _share(where: Array) -> float:
    return float(where.mean())
