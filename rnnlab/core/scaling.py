"""How the columns of a file become the inputs of a network and its outputs values of the file: part of the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np

from rnnlab.core.batch import Array
from rnnlab.core.table import Cell, Column, Table, table

FORMULA = "scaled = (value - mean) / deviation; a deviation of 0: value - mean"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Mean and standard deviation of columns, those of the training part; of a column that never changes there 0.

    Example:
        >>> one = Scale(("load", "setpoint"), np.array([[10.0, 7.0]]), np.array([[2.0, 0.0]]))
        >>> one.scaled(np.array([[14.0, 8.0]])).tolist(), one.in_units(np.array([[2.0, 1.0]])).tolist()
        ([[2.0, 1.0]], [[14.0, 8.0]])
    """

    names: tuple[str, ...]  # (I,) of the columns
    # mean, deviation: (G, I), float64: a row per series of the file
    mean: Array
    deviation: Array

    @property
    def divisor(self) -> Array:
        """What is divided by, (G, I): the deviation, or 1."""
        return np.where(self.deviation > 0, self.deviation, 1.0)

    def scaled(self, values: Array, series: int = 0) -> Array:
        """Return values of the file, (…, I), as a network reads them."""
        return np.asarray((values - self.mean[series]) / self.divisor[series])

    def in_units(self, values: Array, series: int = 0) -> Array:
        """Return what a network reads or returns, (…, I), in the units of the file."""
        return np.asarray(values * self.divisor[series] + self.mean[series])

    def describe(self) -> dict[str, Any]:
        """Return plain data; `of` reads it."""
        return {"names": list(self.names), "mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Self:
        """Return what `describe` described."""
        mean, deviation = (np.array(described[key], np.float64) for key in ("mean", "deviation"))
        return cls(tuple(described["names"]), mean, deviation)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """The scale of a network's inputs and outputs, for each of the G series that it was trained on."""

    series: tuple[str, ...]  # (G,) names of the series; `""` where a file has only one
    inputs: Scale
    outputs: Scale

    def describe(self) -> dict[str, Any]:
        """Return plain data, stored with the weights; `of` reads it."""
        return {"series": list(self.series), "inputs": self.inputs.describe(), "outputs": self.outputs.describe()}

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Self:
        """Return what `describe` described."""
        return cls(tuple(described["series"]), Scale.of(described["inputs"]), Scale.of(described["outputs"]))

    def only(self, series: int) -> "Scaling":
        """Return the scaling of one series alone."""
        inputs, outputs = (
            Scale(one.names, one.mean[[series]], one.deviation[[series]]) for one in (self.inputs, self.outputs)
        )
        return Scaling((self.series[series],), inputs, outputs)

    def arrays(self) -> dict[str, Array]:
        """Return the numbers as arrays by name; of a single series without the axis G."""
        numbers = {
            f"{end}.{name}": getattr(scale, name)
            for end, scale in (("inputs", self.inputs), ("outputs", self.outputs))
            for name in ("mean", "deviation")
        }
        return {name: array[0] if len(self.series) == 1 else array for name, array in numbers.items()}


def scale_table(scaling: Scaling) -> Table:
    """Return mean and deviation of every column in full, a row each; inputs in their order, then outputs."""
    exact = [Column(name, is_number=True, form=".17g") for name in ("mean", "deviation")]
    several = len(scaling.series) > 1
    rows: list[tuple[Cell, ...]] = [
        (end, *([series] if several else []), name, float(scale.mean[g, k]), float(scale.deviation[g, k]))
        for end, scale in (("input", scaling.inputs), ("output", scaling.outputs))
        for g, series in enumerate(scaling.series)
        for k, name in enumerate(scale.names)
    ]
    return table(["", *(["series"] if several else []), "column", *exact], rows, text=["series", "column"])


def scaling_fault(stored: Scaling, names: Sequence[str], target: str) -> str | None:
    """Return why columns of a file are not those that a network was trained on, or None when they are.

    Example:
        >>> scale = Scale(("x", "y"), np.zeros((1, 2)), np.ones((1, 2)))
        >>> one = Scaling(("",), scale, Scale(("y",), np.zeros((1, 1)), np.ones((1, 1))))
        >>> scaling_fault(one, ["x", "y"], "y"), scaling_fault(one, ["x", "z"], "z")
        (None, 'the network reads x, y and predicts y; the file gives x, z and z')
    """
    if tuple(names) == stored.inputs.names and (target,) == stored.outputs.names:
        return None
    asked = f"the network reads {', '.join(stored.inputs.names)} and predicts {', '.join(stored.outputs.names)}"
    return f"{asked}; the file gives {', '.join(names)} and {target}"
