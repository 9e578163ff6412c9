"""What a diagnosis finds: plain numbers and arrays, ready to be drawn, told or stored.

A state is called by its layer and its name in the cell's equation, `layers.0.h`; a gate likewise, `layers.0.f`; a
matrix by its parameter, `layers.0.U`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rnnlab.training.gradient_flow import GradientFlow

Numbers = NDArray[np.float64]


def called(names: Iterable[str]) -> dict[str, str]:
    """Return full name -> what a picture calls it: without the layer, where there is but one.

    Example:
        >>> called(["layers.0.h", "layers.0.c"]), called(["layers.0.h", "layers.1.h"])
        ({'layers.0.h': 'h', 'layers.0.c': 'c'}, {'layers.0.h': 'layers.0.h', 'layers.1.h': 'layers.1.h'})
    """
    known = list(names)
    is_alone = all(name.startswith("layers.0.") for name in known)
    return {name: name.removeprefix("layers.0.") if is_alone else name for name in known}


@final
@dataclass(frozen=True, slots=True)
class Jacobian:
    """How one step stretches a small change of one layer's whole state, at the states that sequences visit.

    Attributes:
        singular_values: (N, S), each row descending: N visited states, S numbers of state in the layer.
    """

    singular_values: Numbers


@final
@dataclass(frozen=True, slots=True)
class Spectrum:
    """One recurrent matrix.

    Attributes:
        eigenvalues: (H,) complex, the largest modulus first.
        singular_values: (H,), descending.
        radius: The largest modulus of an eigenvalue.
    """

    eigenvalues: NDArray[np.complex128]
    singular_values: Numbers
    radius: float


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
    """

    edges: Numbers
    counts: NDArray[np.int64]
    mean: float
    low: float
    high: float


@final
@dataclass(frozen=True, slots=True)
class Retention:
    """How long a carry keeps what it holds.

    Attributes:
        steps: (H,) per unit, ascending: the steps after which 1/e is left, -1 / mean ln f; infinite where f is 1.
        median: Of these.
    """

    steps: Numbers
    median: float


@final
@dataclass(frozen=True, slots=True)
class Components:
    """The principal components of one state's trajectories.

    Attributes:
        trajectories: (N, T, C): the first C components of N sequences; NaN after a sequence's end.
        explained: (C,) the share of the variance in each.
    """

    trajectories: Numbers
    explained: Numbers


@final
@dataclass(frozen=True, slots=True)
class Lengths:
    """How the score holds at other lengths than trained.

    Attributes:
        timesteps: (L,) ascending.
        loss, baseline: (L,) each.
        metrics: Metric -> (L,).
        solved: Per length, whether the task's success rule is met.
        trained: Shortest and longest length trained on.
    """

    timesteps: NDArray[np.int64]
    loss: Numbers
    baseline: Numbers
    metrics: Mapping[str, Numbers]
    solved: tuple[bool, ...]
    trained: tuple[int, int]


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
@dataclass(frozen=True, slots=True)
class FixedPoints:
    """States of one layer that a constant input leaves as they are, or nearly so.

    Source: Sussillo & Barak 2013, "Opening the black box", Neural Computation 25.

    Attributes:
        inputs: (I,) the constant input.
        states: (P, S) the distinct points.
        speeds: (P,) q = half the squared length of a step from there.
        radius: (P,) the largest modulus of an eigenvalue of the Jacobian; below 1 the point is stable.
        components: (P, C) the points in the axes of `Components` of that layer's state.
    """

    inputs: Numbers
    states: Numbers
    speeds: Numbers
    radius: Numbers
    components: Numbers


@final
@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found; what was not asked for is None or empty.

    Attributes:
        name: The run's folder name.
        label: The name the user gave.
        step: The training step of the weights.
        weights: `best` or `last`.
        timesteps: The length of the sequences that were looked at.
        sequences: How many.
        flow: The gradient by lag.
        jacobians: Layer (`layers.0`) -> Jacobian.
        spectra: Recurrent matrix (`layers.0.U`) -> Spectrum.
        gates: Gate or activation (`layers.0.f`) -> Gate.
        retention: Carry state (`layers.0.c`) -> Retention; empty for cells without a forget gate.
        components: State -> Components.
        lengths: The score against the length.
        capacity: The memory capacity.
        fixed_points: Layer -> FixedPoints.
    """

    name: str
    label: str
    step: int
    weights: str
    timesteps: int
    sequences: int
    flow: GradientFlow | None
    jacobians: Mapping[str, Jacobian]
    spectra: Mapping[str, Spectrum]
    gates: Mapping[str, Gate]
    retention: Mapping[str, Retention]
    components: Mapping[str, Components]
    lengths: Lengths | None
    capacity: Capacity | None
    fixed_points: Mapping[str, FixedPoints]
