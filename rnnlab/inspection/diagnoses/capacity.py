"""The memory capacity: how much of a random input of the past can be read linearly from the state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.unrolled import Layer, unroll
from rnnlab.core.figure import Axis, Line, Panel
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Array, Inspected, Numbers

_WASHOUT = 100
_FITTED, _TESTED = 12, 6  # sequences
_STEPS = 300  # of each, after the washout
_RIDGE = 1e-9


@final
@dataclass(frozen=True, slots=True)
class Capacity:
    """How well a linear readout of the state recovers inputs of the past.

    Source: Jaeger 2001, "Short term memory in echo state networks", GMD report 152.

    Attributes:
        delays: (K,) from 1.
        score: (K,) squared correlation on sequences that the readout was not fitted to, 0 to 1.
        total: Their sum, the memory capacity in steps.
    """

    delays: NDArray[np.int64]
    score: Numbers
    total: float


@final
class MemoryCapacity(AbstractDiagnosis[Capacity]):
    """The memory capacity of the top layer's state."""

    position = 60
    needs_sequences = False
    title = "Memory of a random input"
    caption = (
        "How well random numbers at the first input, some steps ago, can be read linearly from the state: 1 is "
        "perfect, 0 not at all. A network that has learned to hold symbols need not hold numbers."
    )

    def compute(self, inspected: Inspected) -> Capacity:
        return capacity(inspected.layers, inspected.network.input_features, inspected.stream(1))

    def sentences(self, found: Capacity) -> list[str]:
        return [
            f"Memory capacity: {found.total:.1f} steps of random numbers at the first input can be read from the state."
        ]

    def panels(self, found: Mapping[str, Capacity]) -> list[Panel]:
        lines = [
            Line(f"{heading}, {one.total:.1f} steps", one.delays, one.score, place)
            for place, (heading, one) in enumerate(found.items())
        ]
        score = Axis("squared correlation", limits=(-0.03, 1.05))  # a line at 0 is seen
        return [Panel(Axis("delay, steps"), score, lines)]


def capacity(layers: tuple[Layer, ...], input_features: int, rng: np.random.Generator) -> Capacity:
    """Return how well a linear readout of the top layer's state recovers an input of k steps ago.

    The first input feature is uniform in [-1, 1], the others are 0. The readout is fitted by ridge regression to some
    sequences and scored on others, for delays up to twice the units.
    """
    delays = np.arange(1, min(2 * layers[-1].network.cell.options.units, _WASHOUT) + 1)
    inputs = np.zeros((_FITTED + _TESTED, _WASHOUT + _STEPS, input_features))
    inputs[:, :, 0] = rng.uniform(-1, 1, inputs.shape[:2])
    way = unroll(layers, inputs, np.full(len(inputs), inputs.shape[1]))
    states = np.concatenate([way.states(len(layers) - 1, name) for name in layers[-1].network.cell.states], axis=2)
    read = np.concatenate([states, np.ones((*states.shape[:2], 1))], axis=2)[:, _WASHOUT:]
    wanted = np.stack([inputs[:, _WASHOUT - k : inputs.shape[1] - k, 0] for k in delays], axis=2)
    design, truth = (array[:_FITTED].reshape(-1, array.shape[2]) for array in (read, wanted))
    fitted = np.linalg.solve(design.T @ design + _RIDGE * np.eye(design.shape[1]), design.T @ truth)
    design, truth = (array[_FITTED:].reshape(-1, array.shape[2]) for array in (read, wanted))
    score = np.array([_squared_correlation(*pair) for pair in zip((design @ fitted).T, truth.T, strict=True)])
    return Capacity(delays, score, float(score.sum()))


def _squared_correlation(a: Array, b: Array) -> float:
    return 0.0 if min(a.std(), b.std()) < 1e-12 else float(np.corrcoef(a, b)[0, 1] ** 2)


DIAGNOSIS = MemoryCapacity()
