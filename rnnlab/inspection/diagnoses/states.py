"""Where states go: their trajectories in their principal components."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from rnnlab.backends.numpy.unrolled import Unrolled
from rnnlab.core.figure import Axis, Line, Panel, Scale
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Array, Inspected, Numbers, shortened
from rnnlab.inspection.diagnoses.fixed_points import FixedPoints, search
from rnnlab.training.gradient_by_lag import last_scored

_COMPONENTS = 3
_TRAJECTORIES = 64
_DRAWN, _DRAWN_LONG = 24, 6  # of these, and where every step is scored, so that states never rest
_MOST_KINDS = 8  # of targets that have colours of their own
_KIND_COLOURS: tuple[int | str, ...] = (0, 1, 2, 3, 4, 5, 6, "#8c6d31")
_SEARCH = 1 << 32  # work for the fixed points of a picture, less than for those of a diagnosis
_KINDS_OF_POINTS = {0: ("stable point", 2), 1: ("saddle, 1 unstable direction", 3), 2: ("saddle, 2 or more", 4)}


@final
@dataclass(frozen=True, slots=True)
class Components:
    """The principal components of one state's trajectories.

    Attributes:
        trajectories: (N, T, C): the first C components of N sequences; NaN after a sequence's end.
        explained: (C,) the share of the variance in each.
        targets: (N,) the target of each at its last scored step, in words; of a real number the number.
        is_scored_throughout: Whether every step has a target.
        points: (P, C) fixed points, where they were searched for.
        unstable: (P,) how many unstable directions each has.
    """

    trajectories: Numbers
    explained: Numbers
    targets: tuple[str, ...] | Numbers = ()
    is_scored_throughout: bool = False
    points: Numbers | None = None
    unstable: Array | None = None


@final
class States(AbstractDiagnosis[Mapping[str, Components]]):
    """The principal components of every state."""

    position = 50
    title = "Trajectories of the states"
    caption = (
        "Each line is the way of the state through one sequence, in the plane in which states vary most. Its colour is "
        "the target of the last scored step. An open square is the first step, a dot the last. "
        "The black marks are states that stay as they are without input."
    )

    def compute(self, inspected: Inspected) -> dict[str, Components]:
        way, targets = inspected.unrolled, _targets(inspected)
        return {
            f"{layer.name}.{name}": replace(
                components(way, layer.number, name)[0],
                targets=targets,
                is_scored_throughout=inspected.task.return_sequences,
            )
            for layer in way.layers
            for name in layer.network.cell.states
        }

    def sentences(self, found: Mapping[str, Components]) -> list[str]:
        return [
            f"{name}: share of the variance in the first principal components: "
            f"{', '.join(f'{share:.0%}' for share in one.explained)}."
            for name, one in shortened(found).items()
        ]

    def for_figure(self, found: Mapping[str, Components], inspected: Inspected) -> Mapping[str, Components]:
        """Return the result with the fixed points, whose search takes longer than all else."""
        searched, way, joined = search(inspected, _SEARCH), inspected.unrolled, dict(found)
        for layer in way.layers:
            for name in layer.network.cell.states if layer.name in searched else ():
                points: FixedPoints = searched[layer.name]
                _, mean, axes = components(way, layer.number, name)
                full = f"{layer.name}.{name}"
                placed = (points.states[name] - mean) @ axes.T
                joined[full] = replace(found[full], points=placed, unstable=points.unstable)
        return joined

    def panels(self, found: Mapping[str, Mapping[str, Components]]) -> list[Panel]:
        return [
            _panel(f"{heading}: {name}".removeprefix(": "), name, one)
            for heading, states in found.items()
            for name, one in shortened(states).items()
        ]


def _targets(inspected: Inspected) -> tuple[str, ...] | Numbers:
    """Return what each sequence's answer is at its last scored step."""
    batch, task = inspected.batch, inspected.task
    values = batch.targets
    if task.return_sequences:
        values = values[np.arange(batch.size), last_scored(batch.mask)]
    values, names = values[:_TRAJECTORIES], task.output_names
    if values.ndim == 1:
        return tuple(names[one] if one < len(names) else f"class {one}" for one in values.tolist())
    if values.shape[1] == 1 and len(np.unique(values)) > _MOST_KINDS:
        return np.asarray(values[:, 0], np.float64)
    return tuple(" ".join(f"{one:+.3g}" for one in row) for row in values.tolist())


def _panel(title: str, name: str, one: Components) -> Panel:
    colours, legend, scale = _colours(one.targets, len(one.trajectories))
    share = [*one.explained, 0.0]
    plane = one.trajectories[: _DRAWN_LONG if one.is_scored_throughout else _DRAWN]
    plane = plane[:, :, :2] if plane.shape[2] > 1 else np.concatenate([plane, 0 * plane], axis=2)
    lines = []
    for path, colour in zip(plane, colours, strict=False):
        lines.append(Line("", path[:, 0], path[:, 1], colour))
        known = path[~np.isnan(path[:, 0])]
        for at, marker in ((known[:1], 1), (known[-1:], 0)):
            lines.append(Line("", at[:, 0], at[:, 1], colour, dash=None, marker=marker))
    lines += [Line(label, [], [], colour) for label, colour in legend.items()]
    if one.points is not None and one.unstable is not None and len(one.points):
        points = one.points if one.points.shape[1] > 1 else np.concatenate([one.points, 0 * one.points], axis=1)
        kinds = np.minimum(one.unstable, 2)
        for kind, (label, marker) in _KINDS_OF_POINTS.items():
            x, y = points[kinds == kind][:, :2].T
            if len(x):
                lines.append(Line(f"{len(x)} × {label}", x, y, colour="#000000", dash=None, marker=marker))
    x_axis, y_axis = (Axis(f"component {n + 1} of {name} ({share[n]:.0%} of the variance)") for n in (0, 1))
    return Panel(x_axis, y_axis, lines, scale=scale, title=title)


def _colours(
    targets: tuple[str, ...] | Numbers, count: int
) -> tuple[list[int | str], dict[str, int | str], Scale | None]:
    """Return the colour of each trajectory, what each colour means, and the scale where targets are numbers."""
    if isinstance(targets, np.ndarray):
        scale = Scale("target", float(targets.min()), float(targets.max()))
        return [scale.colour(value) for value in targets.tolist()], {}, scale
    kinds: list[Any] = sorted(set(targets))
    if not kinds or len(kinds) > _MOST_KINDS:
        return [0] * count, {}, None
    legend = {f"target {kind}": _KIND_COLOURS[place] for place, kind in enumerate(kinds)}
    return [legend[f"target {target}"] for target in targets], legend, None


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
