"""Where states go: their trajectories in their principal components."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from rnnlab.backends.numpy.unrolled import Unrolled
from rnnlab.core.figure import Axis, Line, Panel
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Array, Inspected, Numbers, shortened

_COMPONENTS = 3
_TRAJECTORIES = 64
_DRAWN = 24  # of these


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
class States(AbstractDiagnosis[Mapping[str, Components]]):
    """The principal components of every state."""

    position = 50
    title = "Trajectories of the states"
    caption = (
        "Each line is the way of the state through one sequence, in the plane in which states vary most; the dots "
        "are the last steps."
    )

    def compute(self, inspected: Inspected) -> dict[str, Components]:
        way = inspected.unrolled
        return {
            f"{layer.name}.{name}": components(way, layer.number, name)[0]
            for layer in way.layers
            for name in layer.network.cell.states
        }

    def sentences(self, found: Mapping[str, Components]) -> list[str]:
        return [
            f"{name}: share of the variance in the first principal components: "
            f"{', '.join(f'{share:.0%}' for share in one.explained)}."
            for name, one in shortened(found).items()
        ]

    def panels(self, found: Mapping[str, Mapping[str, Components]]) -> list[Panel]:
        return [
            _panel(f"{heading}: {name}", one)
            for heading, states in found.items()
            for name, one in shortened(states).items()
        ]


def _panel(title: str, one: Components) -> Panel:
    lines, ends = [], []
    for path in one.trajectories[:_DRAWN]:
        y = path[:, 1] if path.shape[1] > 1 else 0 * path[:, 0]
        lines.append(Line("", path[:, 0], y))
        known = np.flatnonzero(~np.isnan(path[:, 0]))
        ends += [(path[known[-1], 0], y[known[-1]])] if len(known) else []
    last = np.array(ends).reshape(-1, 2)
    lines.append(Line("", last[:, 0], last[:, 1], colour=1, dash=None, marker=0))
    share = [*one.explained, 0.0]
    x, y = (Axis(f"component {number + 1} ({share[number]:.0%})") for number in (0, 1))
    return Panel(x, y, lines, title=title)


def components(unrolled: Unrolled, layer: int, name: str) -> tuple[Components, Array, Array]:
    """Return the principal components of a state, and the mean (H,) and axes (C, H) that they are in."""
    states, visited = unrolled.states(layer, name), unrolled.visited()
    mean, directions, share = principal_axes(states[visited])
    paths = (states[:_TRAJECTORIES] - mean) @ directions.T
    paths[~visited[:_TRAJECTORIES]] = np.nan
    return Components(paths, share), mean, directions


def principal_axes(states: Array) -> tuple[Array, Array, Array]:
    """Return mean (H,), principal axes (C, H) and each one's share of the variance (C,), from states (N, H).

    Example:
        Points on a line through (1, 1) along (3, 4):

        >>> states = np.array([[1.0, 1.0]]) + np.arange(-2, 3)[:, None] * np.array([[3.0, 4.0]])
        >>> mean, directions, share = principal_axes(states)
        >>> mean.tolist(), np.abs(directions[0]).round(3).tolist(), share.round(3).tolist()
        ([1.0, 1.0], [0.6, 0.8], [1.0, 0.0])
    """
    mean = states.mean(axis=0)
    _, lengths, directions = np.linalg.svd(states - mean, full_matrices=False)
    variance = lengths**2
    share = variance / variance.sum() if variance.sum() else variance
    return mean, directions[:_COMPONENTS], share[:_COMPONENTS]


DIAGNOSIS = States()
