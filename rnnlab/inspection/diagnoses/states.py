"""Where states go: their principal components, and how much of the past can be read from them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.unrolled import Layer, Unrolled, unroll
from rnnlab.inspection.diagnoses.findings import Capacity, Components

Array = NDArray[Any]

_COMPONENTS = 3
_TRAJECTORIES = 64
_WASHOUT = 100
_FITTED, _TESTED = 12, 6  # sequences
_STEPS = 300  # of each, after the washout
_RIDGE = 1e-9


def axes(states: Array) -> tuple[Array, Array, Array]:
    """Return mean (H,), principal axes (C, H) and each one's share of the variance (C,), from states (N, H).

    Example:
        Points on a line through (1, 1) along (3, 4):

        >>> mean, directions, share = axes(np.array([[1.0, 1.0]]) + np.arange(-2, 3)[:, None] * np.array([[3.0, 4.0]]))
        >>> mean.tolist(), np.abs(directions[0]).round(3).tolist(), share.round(3).tolist()
        ([1.0, 1.0], [0.6, 0.8], [1.0, 0.0])
    """
    mean = states.mean(axis=0)
    _, lengths, directions = np.linalg.svd(states - mean, full_matrices=False)
    variance = lengths**2
    share = variance / variance.sum() if variance.sum() else variance
    return mean, directions[:_COMPONENTS], share[:_COMPONENTS]


def components(unrolled: Unrolled, layer: int, name: str) -> tuple[Components, Array, Array]:
    """Return the principal components of a state, and the mean (H,) and axes (C, H) that they are in."""
    states, visited = unrolled.states(layer, name), unrolled.visited()
    mean, directions, share = axes(states[visited])
    paths = (states[:_TRAJECTORIES] - mean) @ directions.T
    paths[~visited[:_TRAJECTORIES]] = np.nan
    return Components(paths, share), mean, directions


def capacity(layers: tuple[Layer, ...], input_features: int, rng: np.random.Generator) -> Capacity:
    """Return how well a linear readout of the top layer's state recovers an input of k steps ago.

    The first input feature is uniform in [-1, 1], the others are 0. The readout is fitted by ridge regression to some
    sequences and scored on others, for delays up to twice the units.

    Source: Jaeger 2001, "Short term memory in echo state networks", GMD report 152.
    """
    delays = np.arange(1, min(2 * layers[-1].network.cell.options.units, _WASHOUT) + 1)
    inputs = np.zeros((_FITTED + _TESTED, _WASHOUT + _STEPS, input_features))
    inputs[:, :, 0] = rng.uniform(-1, 1, inputs.shape[:2])
    way = unroll(layers, inputs, np.full(len(inputs), inputs.shape[1]))
    states = np.concatenate([way.states(len(layers) - 1, name) for name in layers[-1].network.cell.states], axis=2)
    read = states[:, _WASHOUT:]
    wanted = np.stack([inputs[:, _WASHOUT - k : inputs.shape[1] - k, 0] for k in delays], axis=2)
    fitted = _fit(_flat(read[:_FITTED]), _flat(wanted[:_FITTED]))
    answers, truth = _with_one(_flat(read[_FITTED:])) @ fitted, _flat(wanted[_FITTED:])
    score = np.array([_squared_correlation(answers[:, k], truth[:, k]) for k in range(len(delays))])
    return Capacity(delays, score, float(score.sum()))


def _flat(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])


def _with_one(states: Array) -> Array:
    return np.hstack([states, np.ones((len(states), 1))])


def _fit(states: Array, wanted: Array) -> Array:
    design = _with_one(states)
    return np.asarray(np.linalg.solve(design.T @ design + _RIDGE * np.eye(design.shape[1]), design.T @ wanted))


def _squared_correlation(a: Array, b: Array) -> float:
    if a.std() < 1e-12 or b.std() < 1e-12:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1] ** 2)
