"""Values of gates and activations: how far open, how often saturated, and for how long a memory keeps a value."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.unrolled import Unrolled
from rnnlab.core.figure import Axis, Line, Panel, stairs
from rnnlab.core.table import Cell, Column, Table, table
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Array, Inspected, Numbers, shortened

_BINS = 40  # of an activation without a range
_WIDTH = 0.05  # of a bin, so that gates of all ranges can be compared
_SATURATED = 0.05  # of the range
_RANGES = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0)}
_SMALLEST = 1e-12


@final
@dataclass(frozen=True, slots=True)
class Gate:
    """The values that a gate, or another activation, takes.

    Attributes:
        edges: (K + 1,) bounds of the bins.
        counts: (K,) how many values fell into each.
        mean: Their mean.
        low, high: The share of values within a twentieth of the activation's range of its lower or its upper end:
            saturated.
        kept: (H,) of the cell's forget gate f, for how many steps each unit keeps its memory, ascending: the steps
            after which 1/e is left, -1 / mean ln f; infinite where f is 1. None for other gates.
    """

    edges: Numbers
    counts: NDArray[np.int64]
    mean: float
    low: float
    high: float
    kept: Numbers | None = None


@final
class Gates(AbstractDiagnosis[Mapping[str, Gate]]):
    """The values of every gate and activation (`layers.0.f`) over all steps of all sequences."""

    position = 40
    is_in_report = True
    title = "Values of the gates"
    caption = (
        "How often a gate or activation takes each value. A forget gate near 1 keeps the memory, near 0 it drops "
        "it; a gate whose values pile up at an end of its range is saturated, and hardly learns any more."
    )

    lacks = "the cell declares no gates: `gates` of a class names them"

    def compute(self, inspected: Inspected) -> dict[str, Gate] | None:
        return gates(inspected.unrolled) if inspected.network.cell.gates else None

    def sentences(self, found: Mapping[str, Gate]) -> list[str]:
        return [
            f"{name}: half of the units keep 1/e of their memory for {_steps(np.median(one.kept))} or more, the "
            f"longest {_steps(one.kept[-1])}."
            for name, one in shortened(found).items()
            if one.kept is not None
        ]

    def table(self, found: Mapping[str, Gate]) -> Table:
        numbers = Column("mean", True, ".3f"), Column("at low end", True, ".0%"), Column("at high end", True, ".0%")
        rows: list[list[Cell]] = [
            [name, one.mean, one.low, one.high, None if one.kept is None else _steps(np.median(one.kept))]
            for name, one in shortened(found).items()
        ]
        return table(["gate", *numbers, "median kept for"], rows)

    def panels(self, found: Mapping[str, Mapping[str, Gate]]) -> list[Panel]:
        """Return a panel for each gate and range, with all networks in it that have these."""
        kinds = dict.fromkeys(_kind(*pair) for values in found.values() for pair in shortened(values).items())
        panels = []
        for name, *ends in kinds:
            lines, means = [], list[str]()
            for place, (heading, values) in enumerate(found.items()):
                one = shortened(values).get(name)
                if one is not None and _kind(name, one) == (name, *ends):
                    x, y = stairs(one.edges, one.counts / max(1, int(one.counts.sum())))
                    lines.append(Line(heading or name, x, y, place, place // 7, fill=0.0))
                    saturated = f", {one.low + one.high:.0%} saturated" if one.low + one.high else ""
                    means.append(f"mean {one.mean:.2f}{saturated}")
            x_axis, y_axis = Axis(f"value of {name} at a step"), Axis("share of values", percent=True)
            panels.append(Panel(x_axis, y_axis, lines, title=f"{name}: {means[0]}" if len(means) == 1 else name))
        return panels


def _kind(name: str, one: Gate) -> tuple[str, float, float]:
    """Return the name and the range: relu has no bounds, and tanh would be a line beside it."""
    return name, float(one.edges[0]), float(one.edges[-1])


def _steps(value: float | np.floating[Any]) -> str:
    return "ever" if value == inf else f"{value:.3g} steps"


def gates(unrolled: Unrolled) -> dict[str, Gate]:
    """Return the values of every gate within the sequences, by layer and name."""
    found: dict[str, Gate] = {}
    for layer in unrolled.layers:
        cell = layer.network.cell
        for name, activation in cell.gate_activations().items():
            steps = np.stack([step.saved[name] for step in unrolled.steps[layer.number]], axis=1)
            values = steps[unrolled.visited()]  # (N, H)
            one = gate(values, _RANGES.get(activation))
            found[f"{layer.name}.{name}"] = replace(one, kept=kept_for(values)) if name == cell.forget else one
    return found


def gate(values: Array, bounds: tuple[float, float] | None) -> Gate:
    """Return how the values of an activation are spread.

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
    near = _SATURATED * (high - low) if bounds else -1.0
    at_low, at_high = float((values < low + near).mean()), float((values > high - near).mean())
    return Gate(edges, counts, float(values.mean()), at_low, at_high)


def kept_for(factors: Array) -> Numbers:
    """Return the steps after which 1/e is left of values that are multiplied by these factors, (H,), ascending.

    Args:
        factors: (N, H), a factor per step and unit.

    Example:
        Halved at each step, 1/e is left after 1 / ln 2 steps:

        >>> kept_for(np.array([[0.5, 1.0], [0.5, 1.0]])).round(4).tolist()
        [1.4427, inf]
    """
    rate = -np.log(np.maximum(np.abs(factors), _SMALLEST)).mean(axis=0)
    with np.errstate(divide="ignore"):
        return np.sort(np.where(rate > 0, 1 / rate, np.inf))


DIAGNOSIS = Gates()
