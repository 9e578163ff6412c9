"""The states near a start that a step moves least, by the method of Levenberg and Marquardt for many starts at once."""

from dataclasses import dataclass
from typing import final

import numpy as np

from rnnlab.backends.numpy.unrolled import Layer
from rnnlab.core.namespace import NUMPY
from rnnlab.inspection.diagnoses.base import Array, Numbers
from rnnlab.inspection.diagnoses.jacobian import jacobians

_ITERATIONS = 80
_TOGETHER = 1 << 21  # numbers in the Jacobians that are computed at once
_EXACT = 1e-13  # length of a step below which rounding decides
_DAMPING = 1e-2  # at the start, relative to the mean square of a column of the Jacobian
_LEAST_DAMPING, _MOST_DAMPING = 1e-12, 1e6
_PROGRESS = 1e-3  # of q in one step; with less the search has ended at a minimum that is not 0


@final
@dataclass(frozen=True, slots=True)
class Searched:
    """Where searches ended: states (N, S), lengths (N,) of a step there, whether by itself (N,), how many Jacobians."""

    states: Array
    lengths: Numbers
    has_ended: Array
    jacobians: int


def least_speed(layer: Layer, starts: Array, inputs: Array, most: int) -> Searched:
    """Return for each start, whole states (N, S), where its search ends, with about `most` Jacobians at the most.

    With r(s) = F(s) - s, F one step under the constant input (I,), and J its derivative, each iteration solves
    (JᵀJ + λ·1)·d = -Jᵀr and takes s + d if that makes |r| smaller; λ then falls, else it grows.
    """
    states, identity = starts.copy(), np.eye(starts.shape[1])
    moved = movement(layer, states, inputs)
    lengths = np.linalg.norm(moved, axis=1)
    damping, used = np.full(len(starts), _DAMPING), 0
    has_ended = ~np.isfinite(lengths)
    together = max(1, _TOGETHER // starts.shape[1] ** 2)
    for _ in range(_ITERATIONS):
        if has_ended.all() or used >= most:
            break
        every = np.flatnonzero(~has_ended)
        for active in np.split(every, range(together, len(every), together)):
            used += len(active)
            given = np.broadcast_to(inputs, (len(active), len(inputs)))
            slopes = jacobians(layer, given, layer.split(states[active])) - identity
            turned = slopes.swapaxes(1, 2)
            normal = turned @ slopes
            scale = np.maximum(np.trace(normal, axis1=1, axis2=2) / len(identity), np.finfo(float).tiny)
            normal += (damping[active] * scale)[:, None, None] * identity
            trial = states[active] - np.linalg.solve(normal, turned @ moved[active][:, :, None])[:, :, 0]
            with np.errstate(over="ignore", invalid="ignore"):  # of an activation without bounds
                then = movement(layer, trial, inputs)
                length = np.linalg.norm(then, axis=1)
            is_better = length < lengths[active]
            has_stalled = is_better & (length > (1 - _PROGRESS) * lengths[active])
            better = active[is_better]
            states[better], moved[better], lengths[better] = trial[is_better], then[is_better], length[is_better]
            damping[active] = np.maximum(damping[active] * np.where(is_better, 0.1, 10.0), _LEAST_DAMPING)
            has_ended[active] = has_stalled | (lengths[active] < _EXACT) | (damping[active] > _MOST_DAMPING)
    return Searched(states, lengths, has_ended, used)


def movement(layer: Layer, states: Array, inputs: Array) -> Array:
    """Return F(s) - s of whole states (N, S), F one step under the constant input."""
    given = np.broadcast_to(inputs, (len(states), len(inputs)))
    step = layer.network.cell.step(NUMPY, layer.parameters, given, layer.split(states))
    return np.asarray(layer.stacked(step.state) - states)
