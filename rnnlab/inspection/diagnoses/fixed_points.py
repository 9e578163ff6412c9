"""States that a constant input leaves unchanged: where a network can store what it remembers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from rnnlab.backends.numpy.unrolled import Layer
from rnnlab.cells.base import Step
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Array, Inspected, Numbers
from rnnlab.inspection.diagnoses.jacobian import jacobians
from rnnlab.inspection.diagnoses.states import components

_STARTS = 256  # of the search
_NOISE = 0.05  # of the spread of visited states, by which half of the starts are moved
_STILL = 1e-12  # of q = half the squared length of a step, below which a point counts as fixed
_SAME = 0.05  # of the spread of all points: nearer ones are one
_POLISHING = 30  # Newton steps
_ITERATIONS = 3000
_LISTED = 12  # eigenvalues in a sentence


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
        components: (P, C) the points in the principal components of the layer's first state.
    """

    inputs: Numbers
    states: Numbers
    speeds: Numbers
    radius: Numbers
    components: Numbers


@final
class SearchedPoints(AbstractDiagnosis[Mapping[str, FixedPoints]]):
    """The fixed points of each layer without input, found from visited states."""

    position = 80
    is_default = False

    def compute(self, inspected: Inspected) -> dict[str, FixedPoints]:
        """Search layer by layer: the input is zero at the first, and above it the output at the slowest point below."""
        found: dict[str, FixedPoints] = {}
        way, at = inspected.unrolled, inspected.visited(_STARTS, before_end=1)
        inputs = np.zeros(inspected.batch.inputs.shape[2])
        for layer in way.layers:
            steps = way.steps[layer.number]
            states = [layer.stacked({name: a[row] for name, a in steps[step].state.items()}) for row, step in at]
            starts = _moved(np.stack(states), inspected.stream(3))
            projection = components(way, layer.number, layer.network.cell.states[0])[1:]
            found[layer.name] = fixed_points(layer, starts, inputs, projection)
            if not len(found[layer.name].states):
                break
            state = layer.split(found[layer.name].states[:1])
            inputs = layer.network.cell.step(np, layer.parameters, inputs[None], state).output[0]
        return found

    def sentences(self, found: Mapping[str, FixedPoints]) -> list[str]:
        return [f"{name}: {_count(one)}" for name, one in found.items()]


def _count(one: FixedPoints) -> str:
    if not len(one.radius):
        return "no fixed points without input were found."
    largest = ", ".join(f"{value:.2f}" for value in np.sort(one.radius)[:_LISTED])
    more = " …" if len(one.radius) > _LISTED else ""
    points = "1 fixed point" if len(one.radius) == 1 else f"{len(one.radius)} fixed points"
    return f"{points} without input, {int((one.radius < 1).sum())} stable (largest eigenvalues {largest}{more})."


def _moved(states: Array, rng: np.random.Generator) -> Array:
    """Return starts of the search, (N, S): visited states, every second one moved at random."""
    noise = rng.standard_normal(states.shape)
    noise[::2] = 0.0
    return np.asarray(states + _NOISE * states.std(axis=0) * noise)


def fixed_points(layer: Layer, starts: Array, inputs: Array, projection: tuple[Array, Array]) -> FixedPoints:
    """Return the distinct fixed points that are found from some states, the slowest first.

    From every start q(s) = ½·|F(s) - s|² is minimised by L-BFGS, with F one step under the constant input, and what is
    nearly still is polished by Newton's method.

    Args:
        layer: The layer.
        starts: (N, S): states to begin from, such as those that sequences visit.
        inputs: (I,) the constant input of the layer.
        projection: Mean and principal axes of the layer's first state, for the components of the points.

    Source: Sussillo & Barak 2013, Neural Computation 25:626, section 2.
    Differs: Points with q above 1e-12 after polishing, the slow points of the paper, are left out.
    """
    found, speeds = _polished(layer, _minimised(layer, starts, inputs), inputs)
    found, speeds = found[speeds < _STILL], speeds[speeds < _STILL]
    kept = _distinct(found, speeds)
    points = found[kept]
    matrices = jacobians(layer, _repeated(inputs, len(points)), layer.split(points))
    radius = np.abs(np.linalg.eigvals(matrices)).max(axis=1)
    mean, directions = projection
    outputs = layer.split(points)[layer.network.cell.states[0]]
    return FixedPoints(inputs, points, speeds[kept], radius, (outputs - mean) @ directions.T)


def _minimised(layer: Layer, starts: Array, inputs: Array) -> Array:
    from scipy.optimize import minimize

    def objective(flat: Array) -> tuple[float, Array]:
        step, moved = _step(layer, flat.reshape(starts.shape), inputs)
        slope = layer.stacked(layer.pulled_back(step, layer.split(moved)).state) - moved
        return float(_speeds(moved).sum()), slope.ravel()

    options = {"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS, "ftol": 0.0, "gtol": 1e-7}
    found = minimize(objective, starts.ravel(), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x).reshape(starts.shape)


def _polished(layer: Layer, points: Array, inputs: Array) -> tuple[Array, Array]:
    """Return points and speeds after Newton steps for F(s) - s = 0; one that makes a point faster is not taken."""
    identity, moved = np.eye(points.shape[1]), _step(layer, points, inputs)[1]
    for _ in range(_POLISHING):
        matrices = jacobians(layer, _repeated(inputs, len(points)), layer.split(points)) - identity
        try:
            trial = points - np.linalg.solve(matrices, moved[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:  # a whole line of fixed points
            break
        then = _step(layer, trial, inputs)[1]
        better = (_speeds(then) < _speeds(moved))[:, None]
        points, moved = np.where(better, trial, points), np.where(better, then, moved)
        if not better.any():
            break
    return points, _speeds(moved)


def _step(layer: Layer, states: Array, inputs: Array) -> tuple[Step, Array]:
    """Return a step from states under the constant input, and how far each moves, F(s) - s, (N, S)."""
    given = _repeated(inputs, len(states))
    step = layer.network.cell.step(np, layer.parameters, given, layer.split(states))
    return step, layer.stacked(step.state) - states


def _speeds(moved: Array) -> Array:
    return np.asarray(np.square(moved).sum(axis=1) / 2)


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


DIAGNOSIS = SearchedPoints()
