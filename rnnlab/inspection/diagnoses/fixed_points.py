"""States that a constant input leaves unchanged: where a network can store what it remembers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.numpy.unrolled import Layer
from rnnlab.core.namespace import NUMPY
from rnnlab.core.table import Cell, Table, table
from rnnlab.core.text import counted
from rnnlab.inspection.diagnoses._speed import least_speed, movement
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Array, Inspected, Numbers
from rnnlab.inspection.diagnoses.jacobian import jacobians

_STARTS, _FEWEST_STARTS = 256, 16  # of a round of the search, fewer where the state is large
_WORK = 1 << 34  # at most, in the unit of S³, about the work for one Jacobian; some seconds
_ROUNDS = 5  # at most
_USUAL = 32  # Jacobians per start, in all rounds
_NOISE = 0.02  # of the spread of visited states, by which starts are moved
_SAME, _LEAST_SAME = 1e-4, 1e-7  # of that spread, and at least: nearer points are one
_SLOW = 0.01  # of that spread per step: where the search ends and the state moves less, a point is slow
_STILL = 1e-10  # length of a step, relative to states above 1, below which a point is fixed
_ISOLATED = 1e-6  # distance of every eigenvalue from 1; nearer, there is a line of fixed points
_BOUNDED = {"sigmoid", "tanh", "softsign"}  # activations with which a carry stays bounded too


@final
@dataclass(frozen=True, slots=True)
class FixedPoints:
    """States of one layer that a constant input leaves as they are, or nearly so.

    Source: Sussillo & Barak 2013, "Opening the black box", Neural Computation 25.

    Attributes:
        inputs: (I,) the constant input.
        states: State of the cell -> (P, H): the distinct fixed points, those with the fewest unstable directions first.
        steps: (P,) the length of a step from there, over all states.
        eigenvalues: (P, S) of the Jacobian of the whole state, complex, the largest modulus first.
        unstable: (P,) how many eigenvalues are larger than 1: 0 where the point is stable, else it is a saddle.
        index_sum: The sum of sign det(1 - Jacobian). It is 1 where all points are found and states stay bounded.
        is_bounded: Whether the cell's activations keep its states bounded; None where that is not known.
        slow: State of the cell -> (Q, H): points where the search ended, a step is short, and which are not fixed.
        slow_steps: (Q,) the length of a step from these.
        is_cut_short: Whether the search ended before its time, because the state is large.
        spread: The root mean square distance of visited states from their mean, to which a step is compared.
    """

    inputs: Numbers
    states: Mapping[str, Numbers]
    steps: Numbers
    eigenvalues: NDArray[np.complex128]
    unstable: NDArray[np.int64]
    index_sum: int
    is_bounded: bool | None
    slow: Mapping[str, Numbers]
    slow_steps: Numbers
    is_cut_short: bool
    spread: float

    @property
    def is_isolated(self) -> Array:
        """(P,) whether no other fixed points are arbitrarily near."""
        return np.asarray(np.abs(self.eigenvalues - 1).min(axis=1, initial=np.inf) > _ISOLATED)


@final
class SearchedPoints(AbstractDiagnosis[Mapping[str, FixedPoints]]):
    """The fixed points of each layer without input: those that are stable, and the saddles between them."""

    position = 80
    is_default = False
    measures = ("stable_fixed_points", "saddles")

    def compute(self, inspected: Inspected) -> dict[str, FixedPoints]:
        return search(inspected)

    def sentences(self, found: Mapping[str, FixedPoints]) -> list[str]:
        return [f"{name}: {sentence}" for name, one in found.items() for sentence in _sentences(one)]

    def figures(self, found: Mapping[str, FixedPoints]) -> dict[str, float]:
        """Return the number of each kind, of all layers together."""
        unstable = np.concatenate([one.unstable for one in found.values()])
        return dict(zip(self.measures, (int((unstable == 0).sum()), int((unstable > 0).sum())), strict=True))

    def table(self, found: Mapping[str, FixedPoints]) -> Table:
        rows: list[list[Cell]] = []
        for name, one in found.items():
            largest = np.abs(one.eigenvalues).max(axis=1, initial=0.0)
            for count in np.unique(one.unstable).tolist():
                own = largest[one.unstable == count]
                kind = "saddle" if count else "stable"
                rows.append([name, kind, len(own), count, f"{own.min():.3f} to {own.max():.3f}"])
            if len(one.slow_steps):
                rows.append([name, "slow, not fixed", len(one.slow_steps), None, None])
        return table(["layer", "kind", "points", "unstable directions", "largest eigenvalue"], rows, text=["kind"])


def search(inspected: Inspected, work: int = _WORK) -> dict[str, FixedPoints]:
    """Return the fixed points of each layer; the input is 0 at the first, above it the output at the first point below.

    At most `work` is done for a layer, in the unit of S³.
    """
    found: dict[str, FixedPoints] = {}
    way, at = inspected.unrolled, inspected.visited(_STARTS, before_end=1)
    inputs = np.zeros(inspected.batch.inputs.shape[2])
    for layer in way.layers:
        steps = way.steps[layer.number]
        states = [layer.stacked({name: a[row] for name, a in steps[step].state.items()}) for row, step in at]
        one = found[layer.name] = fixed_points(layer, np.stack(states), inputs, inspected.stream(3), work)
        if not len(one.steps):
            break
        first = {name: values[:1] for name, values in one.states.items()}
        inputs = layer.network.cell.step(NUMPY, layer.parameters, inputs[None], first).output[0]
    return found


def _sentences(one: FixedPoints) -> list[str]:
    if not len(one.steps):
        sentences = ["no fixed points without input were found."]
    else:
        stable = int((one.unstable == 0).sum())
        saddles = f"{stable} stable and {counted(len(one.steps) - stable, 'saddle')}"
        sentences = [f"{counted(len(one.steps), 'fixed point')} without input: {saddles}; {_completeness(one)}"]
    if count := len(one.slow_steps):
        points = f"{counted(count, 'slow point')} that {'is' if count == 1 else 'are'} not fixed"
        sentences.append(f"{points}: a step moves the state there by {one.slow_steps.min():.2g} or more.")
    if one.is_cut_short:
        sentences.append("the search was cut short, because the state is large: there may be more points.")
    return sentences


def _completeness(one: FixedPoints) -> str:
    if not one.is_isolated.all():
        return "some have an eigenvalue of 1: there are lines of fixed points, of which these are examples."
    if one.is_bounded is None:
        return (
            f"the index sum is {one.index_sum} (it need not be 1: whether this cell's states are bounded is not known)."
        )
    if not one.is_bounded:
        return f"the index sum is {one.index_sum} (states can grow without bound, so that it need not be 1)."
    if one.index_sum == 1:
        return "the index sum is 1, as it must be when none is missing (a pair of opposite signs still can be)."
    return f"the index sum is {one.index_sum} and must be 1 (Poincaré-Hopf): points are missing."


def fixed_points(
    layer: Layer, visited: Array, inputs: Array, rng: np.random.Generator, work: int = _WORK
) -> FixedPoints:
    """Return the distinct fixed points that are found from states that sequences visit and from states between them.

    From each start s, q(s) = ½·|F(s) - s|² is minimised, with F one step of the whole state under the constant input.
    The first starts are visited states (N, S) and means of two or three of them; those of the next rounds are means of
    two or three of the points found, until a round finds none that is new and the index sum is what it must be.

    Source: Sussillo & Barak 2013, Neural Computation 25:626, section 2. The index: the degree of 1 - F is the sum of
        sign det(1 - F') over its zeros, and is 1 where F maps a ball into itself (Brouwer; Poincaré-Hopf).
    Differs: Steps of Levenberg and Marquardt instead of gradient descent; starts between the points that were found.
    """
    left = max(1, work // visited.shape[1] ** 3)  # Jacobians
    count = int(np.clip(left // _USUAL, _FEWEST_STARTS, _STARTS))
    spread = float(np.sqrt(np.square(visited - visited.mean(axis=0)).sum(axis=1).mean()))
    noise = _NOISE * spread / np.sqrt(visited.shape[1])
    points, slow = visited[:0], visited[:0]
    pool, is_bounded = visited, _is_bounded(layer)
    for _ in range(_ROUNDS):
        pairs, triples = (_means(pool, count * 3 // 8, of, rng) for of in (2, 3))
        starts = np.concatenate([pool[: count // 4], pairs, triples])
        result = least_speed(layer, starts + noise * rng.standard_normal(starts.shape), inputs, left)
        ends, lengths, left = result.states, result.lengths, left - result.jacobians
        is_fixed = lengths < _STILL * np.maximum(1.0, np.linalg.norm(ends, axis=1))
        is_slow = ~is_fixed & result.has_ended & (lengths < _SLOW * spread)
        before = len(points)
        points = _distinct(np.concatenate([points, ends[is_fixed]]), max(_SAME * spread, _LEAST_SAME))
        slow = np.concatenate([slow, ends[is_slow]])
        found = _described(layer, points, slow, inputs, spread=spread, is_bounded=is_bounded, is_cut_short=left <= 0)
        is_done = not (is_bounded and found.is_isolated.all()) or found.index_sum == 1
        if (is_done and len(points) == before) or not found.is_isolated.all() or found.is_cut_short:
            break
        pool = points if len(points) > 2 else np.concatenate([points, visited])
    return found


def _described(
    layer: Layer,
    points: Array,
    slow: Array,
    inputs: Array,
    *,
    spread: float,
    is_bounded: bool | None,
    is_cut_short: bool,
) -> FixedPoints:
    slow = _distinct(slow, _SLOW * spread)
    slow = slow[[bool((np.linalg.norm(points - one, axis=1) > _SLOW * spread).all()) for one in slow]]
    matrices = jacobians(layer, np.broadcast_to(inputs, (len(points), len(inputs))), layer.split(points))
    values = np.linalg.eigvals(matrices).astype(np.complex128)
    values = np.take_along_axis(values, np.argsort(-np.abs(values), axis=1, kind="stable"), axis=1)
    unstable = (np.abs(values) > 1).sum(axis=1)
    order = np.lexsort((*points.T.round(6)[::-1], unstable)) if len(points) else np.zeros(0, int)
    index = int(np.sign(np.linalg.det(np.eye(points.shape[1]) - matrices)).sum())
    return FixedPoints(
        np.asarray(inputs, np.float64),
        layer.split(points[order]),
        np.linalg.norm(movement(layer, points[order], inputs), axis=1),
        values[order],
        unstable[order],
        index,
        is_bounded,
        layer.split(slow),
        np.linalg.norm(movement(layer, slow, inputs), axis=1),
        is_cut_short,
        spread,
    )


def _is_bounded(layer: Layer) -> bool | None:
    """Return whether every activation has a range that it never reaches the ends of, so that a memory fades.

    Of a cell that does not declare where it has activations this is not known.
    """
    cell = layer.network.cell
    fades = bool(cell.forget) or len(cell.states) == 1
    known = fades and all(one in _BOUNDED for one in cell.gate_activations().values())
    return known if cell.gates else None


def _means(points: Array, count: int, of: int, rng: np.random.Generator) -> Array:
    """Return weighted means of `of` points each, (count, S)."""
    chosen = points[np.argsort(rng.random((count, len(points))), axis=1)[:, :of]]  # (count, of, S)
    weights = rng.dirichlet(np.ones(chosen.shape[1]), count)
    return np.asarray((weights[:, :, None] * chosen).sum(axis=1))


def _distinct(points: Array, least: float) -> Array:
    """Return the points without those nearer than `least` to an earlier one."""
    kept: list[Array] = []
    for point in points:
        if not kept or np.linalg.norm(np.array(kept) - point, axis=1).min() > least:
            kept.append(point)
    return np.array(kept).reshape(-1, points.shape[1])


DIAGNOSIS = SearchedPoints()
