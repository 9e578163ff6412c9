"""One step's Jacobian at the states that sequences visit: whether a small change of the state grows or shrinks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from rnnlab.backends.numpy.unrolled import Layer, Unrolled
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Array, Inspected, Numbers

_VISITED = 64  # states
_ROWS = 256  # in one call of a cell


@final
@dataclass(frozen=True, slots=True)
class Jacobian:
    """How one step stretches a small change of one layer's whole state, at the states that sequences visit.

    Attributes:
        singular_values: (N, S), each row descending: N visited states, S numbers of state in the layer.
    """

    singular_values: Numbers


@final
class VisitedJacobians(AbstractDiagnosis[Mapping[str, Jacobian]]):
    """Singular values of the Jacobians, by layer (`layers.0`)."""

    position = 20

    def compute(self, inspected: Inspected) -> dict[str, Jacobian] | None:
        way, at = inspected.unrolled, inspected.visited(_VISITED, before_end=2)
        return {layer.name: visited_jacobians(way, layer.number, at=at) for layer in way.layers} if len(at) else None

    def sentences(self, found: Mapping[str, Jacobian]) -> list[str]:
        return [f"{name}: {_stretch(one)}" for name, one in found.items()]


def _stretch(one: Jacobian) -> str:
    largest = float(np.median(one.singular_values[:, 0]))
    mean = float(np.exp(np.log(np.maximum(one.singular_values, 1e-300)).mean()))
    effect = "stretches some change of the state" if largest > 1 else "shrinks every change of the state"
    return f"one step {effect}: largest singular value of its Jacobian {largest:.3g}, geometric mean {mean:.3g}."


def jacobians(layer: Layer, inputs: Array, states: Mapping[str, Array]) -> Array:
    """Return d state after / d state before of one step, (N, S, S), rows the state after.

    Args:
        layer: The layer.
        inputs: (N, I) of the layer.
        states: The states before the step, each (N, H).
    """
    stacked = layer.stacked(states)
    count, size = stacked.shape
    rows = np.empty((count, size, size))
    together = max(1, _ROWS // max(1, count))  # rows of each Jacobian at once: few calls where there are few states
    for first in range(0, size, together):
        units = np.eye(size)[first : first + together]
        repeated = layer.split(np.repeat(stacked, len(units), axis=0))
        step = layer.network.cell.step(np, layer.parameters, np.repeat(inputs, len(units), axis=0), repeated)
        pulled = layer.pulled_back(step, layer.split(np.tile(units, (count, 1)))).state
        rows[:, first : first + len(units)] = layer.stacked(pulled).reshape(count, len(units), size)
    return rows


def visited_jacobians(unrolled: Unrolled, number: int, *, at: Array) -> Jacobian:
    """Return the singular values of a layer's Jacobian at states that sequences visit.

    Args:
        unrolled: The steps of the network on a batch.
        number: Which layer.
        at: (N, 2): sequence and step, of the state before; the next step must be within the sequence.
    """
    layer, steps = unrolled.layers[number], unrolled.steps[number]
    inputs = np.stack([steps[step + 1].saved["x"][row] for row, step in at])
    states = {name: np.stack([steps[step].state[name][row] for row, step in at]) for name in layer.network.cell.states}
    return Jacobian(np.linalg.svd(jacobians(layer, inputs, states), compute_uv=False))


DIAGNOSIS = VisitedJacobians()
