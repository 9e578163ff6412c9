"""States that a constant input leaves as they are: what a network remembers, it keeps there."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.unrolled import Layer
from rnnlab.inspection.diagnoses.findings import FixedPoints
from rnnlab.inspection.diagnoses.recurrence import jacobians

Array = NDArray[Any]

_STILL = 1e-12  # of q = half the squared length of a step, below which a point counts as fixed
_SAME = 0.05  # of the spread of all points: nearer ones are one
_POLISHING = 30  # Newton steps
_ITERATIONS = 3000


def fixed_points(layer: Layer, starts: Array, inputs: Array, projection: tuple[Array, Array]) -> FixedPoints:
    """Return the distinct fixed points that are found from some states, the slowest first.

    From every start q(s) = ½·|F(s) - s|² is minimised by L-BFGS, with F one step under the constant input, and what is
    nearly still is polished by Newton's method.

    Args:
        layer: The layer.
        starts: (N, S): states to begin from, such as those that sequences visit.
        inputs: (I,) the constant input of the layer.
        projection: Mean and axes of the layer's output state, to place the points among its components.

    Source: Sussillo & Barak 2013, Neural Computation 25:626, section 2.
    Differs: Points with q above 1e-12 after polishing, the slow points of the paper, are left out.
    """
    found = _polished(layer, _minimised(layer, starts, inputs), inputs)
    speeds = _speeds(layer, found, inputs)
    found, speeds = found[speeds < _STILL], speeds[speeds < _STILL]
    kept = _distinct(found, speeds)
    points = found[kept]
    radius = np.empty(0)
    if len(points):
        matrices = jacobians(layer, _repeated(inputs, len(points)), layer.split(points))
        radius = np.abs(np.linalg.eigvals(matrices)).max(axis=1)
    mean, directions = projection
    outputs = layer.split(points)[layer.network.cell.states[0]]
    return FixedPoints(inputs, points, speeds[kept], radius, (outputs - mean) @ directions.T)


def _minimised(layer: Layer, starts: Array, inputs: Array) -> Array:
    from scipy.optimize import minimize

    given = _repeated(inputs, len(starts))

    def objective(flat: Array) -> tuple[float, Array]:
        states = flat.reshape(starts.shape)
        step = layer.network.cell.step(np, layer.parameters, given, layer.split(states))
        moved = layer.stacked(step.state) - states
        slope = layer.stacked(layer.pulled_back(step, layer.split(moved)).state) - moved
        return 0.5 * float(np.square(moved).sum()), slope.ravel()

    options = {"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS, "ftol": 0.0, "gtol": 1e-7}
    return np.asarray(minimize(objective, starts.ravel(), jac=True, method="L-BFGS-B", options=options).x).reshape(
        starts.shape
    )


def _polished(layer: Layer, points: Array, inputs: Array) -> Array:
    """Return the points after Newton steps for F(s) - s = 0; a step that does not make a point slower is not taken."""
    given, identity = _repeated(inputs, len(points)), np.eye(points.shape[1])
    for _ in range(_POLISHING):
        moved = _next(layer, points, inputs) - points
        matrices = jacobians(layer, given, layer.split(points)) - identity
        try:
            trial = points - np.linalg.solve(matrices, moved[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:  # a whole line of fixed points
            break
        better = _speeds(layer, trial, inputs) < np.square(moved).sum(axis=1) / 2
        points = np.where(better[:, None], trial, points)
        if not better.any():
            break
    return points


def _speeds(layer: Layer, points: Array, inputs: Array) -> Array:
    return np.asarray(np.square(_next(layer, points, inputs) - points).sum(axis=1) / 2)


def _next(layer: Layer, states: Array, inputs: Array) -> Array:
    given = _repeated(inputs, len(states))
    return layer.stacked(layer.network.cell.step(np, layer.parameters, given, layer.split(states)).state)


def _distinct(points: Array, speeds: Array) -> list[int]:
    """Return the places of points that are no neighbours, the slowest of each neighbourhood."""
    spread = np.linalg.norm(points - points.mean(axis=0), axis=1).max() if len(points) else 0.0
    kept: list[int] = []
    for place in np.argsort(speeds, kind="stable"):
        if all(np.linalg.norm(points[place] - points[other]) > max(_SAME * spread, 1e-6) for other in kept):
            kept.append(int(place))
    return kept


def _repeated(inputs: Array, count: int) -> Array:
    return np.broadcast_to(np.asarray(inputs, np.float64), (count, len(inputs)))
