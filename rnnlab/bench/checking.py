"""Is it the same function? A contender's loss and gradients against the readable layer's in float64."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.model import NumpyBackend
from rnnlab.bench.work import Work

Array = NDArray[Any]
TOLERANCE = 1e-4  # relative; float32 over a hundred steps comes to 1e-5 or less


@dataclass(frozen=True, slots=True)
class Figures:
    """What a contender computes from the work's parameters and batch.

    Attributes:
        loss: Mean squared error.
        gradients: Of every parameter by its full name, unclipped.
    """

    loss: float
    gradients: Mapping[str, Array]

    @property
    def norm(self) -> float:
        """The global norm of the gradients."""
        return float(np.sqrt(sum(np.square(array, dtype=np.float64).sum() for array in self.gradients.values())))


def reference(work: Work) -> Figures:
    """Return what the cell's own equations give, in float64."""
    network = work.network("float64")
    model = NumpyBackend(reference=True).build(network, parameters=work.parameters())
    return Figures(*model.loss_and_gradients(work.batch()))


def largest_difference(got: Figures, expected: Figures) -> tuple[float, str]:
    """Return the largest relative difference, and of what: the loss, the norm, or a gradient by name.

    A gradient's difference is taken relative to the largest of its array; a nan is infinitely far.

    Example:
        >>> right = Figures(2.0, {"U": np.array([1.0, -4.0])})
        >>> largest_difference(Figures(2.0, {"U": np.array([1.0, -3.0])}), right)
        (0.25, 'gradient of U')
    """
    pairs = {
        "loss": (np.array(got.loss), np.array(expected.loss)),
        "norm": (np.array(got.norm), np.array(expected.norm)),
    }
    for name, array in expected.gradients.items():
        pairs[f"gradient of {name}"] = (got.gradients.get(name, np.full(array.shape, np.nan)), array)
    return max((_relative(*pair), what) for what, pair in pairs.items())


def _relative(got: Array, expected: Array) -> float:
    if got.shape != expected.shape:
        return float("inf")
    difference, scale = float(np.abs(got - expected).max()), float(np.abs(expected).max())
    relative = difference / scale if scale else difference
    return relative if np.isfinite(relative) else float("inf")
