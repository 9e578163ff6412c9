"""One step's Jacobian at the states that sequences visit: whether a small change of the state grows or shrinks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.unrolled import Layer, Unrolled
from rnnlab.core.figure import GREY, Axis, Line, Panel
from rnnlab.core.table import Cell, Column, Table, table
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Array, Inspected, Numbers
from rnnlab.inspection.diagnoses.spectrum import as_matrix

_VISITED = 64  # states
_TYPICAL = 8  # of these, of which there are the eigenvalues
_ROWS = 256  # in one call of a cell


@final
@dataclass(frozen=True, slots=True)
class Jacobian:
    """What one step does to a small change of one layer's whole state, at the states that sequences visit.

    Attributes:
        singular_values: (N, S), each row descending: N visited states, S numbers of state in the layer.
        eigenvalues: (M, S) complex, at M of these states.
        recurrent: (H,) the eigenvalues of the recurrent matrix, complex, of a cell that has a single one; None of
            others, of which no matrix alone is what a step does to the state.
    """

    singular_values: Numbers
    eigenvalues: NDArray[np.complex128]
    recurrent: NDArray[np.complex128] | None = None


@final
class VisitedJacobians(AbstractDiagnosis[Mapping[str, Jacobian]]):
    """Singular values and eigenvalues of the Jacobians, by layer (`layers.0`)."""

    position = 20
    is_in_report = True
    title = "Eigenvalues of one step"
    caption = (
        "Of a cell with gates each point is an eigenvalue of one step's Jacobian, with all of its state (h and c side "
        "by side), at states that sequences visit: by that factor the step multiplies a small change of the state in "
        "some direction. Inside the circle the change shrinks, on the circle it stays, outside it grows. Of a simple "
        "cell the points are the eigenvalues of U, which are these factors where the activation has the slope 1, "
        "as tanh has near 0."
    )

    def compute(self, inspected: Inspected) -> dict[str, Jacobian] | None:
        way, at = inspected.unrolled, inspected.visited(_VISITED, before_end=2)
        return {layer.name: visited_jacobians(way, layer.number, at=at) for layer in way.layers} if len(at) else None

    def sentences(self, found: Mapping[str, Jacobian]) -> list[str]:
        return [f"{name}: {_stretch(one)}" for name, one in found.items()]

    def table(self, found: Mapping[str, Jacobian]) -> Table:
        heads = ["largest eigenvalue", "largest singular value", "geometric mean of all"]
        rows: list[list[Cell]] = [
            [name, float(np.median(np.abs(one.eigenvalues).max(axis=1))), *_sizes(one.singular_values)]
            for name, one in found.items()
        ]
        return table(["median at visited states", *(Column(head, True, ".3g") for head in heads)], rows)

    def panels(self, found: Mapping[str, Mapping[str, Jacobian]]) -> list[Panel]:
        turn = np.linspace(0, 2 * np.pi, 121)
        lines = [Line("unit circle", np.cos(turn), np.sin(turn), GREY, 2)]
        for place, (heading, layers) in enumerate(found.items()):
            for number, (name, one) in enumerate(layers.items()):
                values = one.eigenvalues.ravel() if one.recurrent is None else one.recurrent
                matrix = "Jacobian" if one.recurrent is None else "U"
                which = f"{name}, {matrix}" if len(layers) > 1 else matrix
                label = f"{heading}: {which}".removeprefix(": ")
                lines.append(Line(label, values.real, values.imag, place, dash=None, marker=number))
        return [Panel(Axis("real part"), Axis("imaginary part"), lines, is_square=True)]


def _stretch(one: Jacobian) -> str:
    largest, mean = _sizes(one.singular_values)
    effect = "stretches some change of the state" if largest > 1 else "shrinks every change of the state"
    return f"one step {effect}: largest singular value of its Jacobian {largest:.3g}, geometric mean {mean:.3g}."


def _sizes(singular_values: Numbers) -> tuple[float, float]:
    with np.errstate(divide="ignore"):  # log 0 = -∞, exp -∞ = 0: a unit of relu that is off passes nothing on
        mean = np.exp(np.log(singular_values).mean())
    return float(np.median(singular_values[:, 0])), float(mean)


def jacobians(layer: Layer, inputs: Array, states: Mapping[str, Array]) -> Array:
    """Return d state after / d state before of one step, (N, S, S), from inputs (N, I) and states (N, H) each."""
    stacked = layer.stacked(states)
    count, size = stacked.shape
    rows = np.empty((count, size, size))
    together = max(1, _ROWS // max(1, count))  # rows of each Jacobian at once: few calls where there are few states
    for first in range(0, size, together):
        units = np.eye(size)[first : first + together]
        repeated = layer.split(np.repeat(stacked, len(units), axis=0))
        given = np.repeat(inputs, len(units), axis=0)
        flowing = layer.split(np.tile(units, (count, 1)))
        pulled = layer.pulled_back(given, repeated, layer.step(given, repeated), state_gradient=flowing).state
        rows[:, first : first + len(units)] = layer.stacked(pulled).reshape(count, len(units), size)
    return rows


def visited_jacobians(unrolled: Unrolled, number: int, *, at: Array) -> Jacobian:
    """Return singular values and eigenvalues of a layer's Jacobian at states that sequences visit.

    `at` (N, 2) has sequence and step of the state before; the next step must be within the sequence.
    """
    layer, steps = unrolled.layers[number], unrolled.steps[number]
    inputs = np.stack([unrolled.inputs[number][step + 1, row] for row, step in at])
    states = {name: np.stack([steps[step].state[name][row] for row, step in at]) for name in layer.network.cell.states}
    found = jacobians(layer, inputs, states)
    values = np.linalg.eigvals(found[:: max(1, len(found) // _TYPICAL)][:_TYPICAL]).astype(np.complex128)
    described = layer.network.layer_parameters(number)
    matrices = [as_matrix(layer.parameters[name]) for name, one in described.items() if one.role == "recurrent_kernel"]
    is_single = len(matrices) == 1 and matrices[0].shape[0] == found.shape[1]
    recurrent = np.linalg.eigvals(matrices[0]).astype(np.complex128) if is_single else None
    return Jacobian(np.linalg.svd(found, compute_uv=False), values, recurrent)


DIAGNOSIS = VisitedJacobians()
