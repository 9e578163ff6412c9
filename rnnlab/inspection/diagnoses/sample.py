"""One fresh sequence, its target, and the output of the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.figure import GREY, Axis, Heat, Line, Panel, stairs
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.core.text import counted
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Inspected, Numbers

_FEW = 4  # features that are drawn as lines; more are a map
_MOST_TICKS = 12
_MOST_NAMES = 16


@final
@dataclass(frozen=True, slots=True)
class Sample:
    """A sequence of T steps.

    Attributes:
        inputs: (T, I).
        targets: (K, O): the target at each scored step; a class is 1 in its column.
        outputs: (K, O): the output of the network there, probabilities for classes and bits.
        scored: (K,) the scored steps.
        task: The task's name.
        are_classes: Whether the O outputs are classes of which one is right.
        input_names, output_names: What each input and output is; empty where it has a number alone.
        forecasts: Where the targets are a later value of an input: which input, and how many steps later.
        in_units: Whether all values are in the units of a file.
    """

    inputs: NDArray[Any]
    targets: Numbers
    outputs: NDArray[Any]
    scored: NDArray[np.int64]
    task: str
    are_classes: bool
    input_names: Sequence[str] = ()
    output_names: Sequence[str] = ()
    forecasts: tuple[int, int] | None = None
    in_units: bool = False


@final
class OneSample(AbstractDiagnosis[Sample]):
    """A sequence of the longest trained length, computed by the backend that trained the network."""

    position = 90
    is_default = False
    title = "One sequence"
    caption = (
        "The inputs of one sequence above; the target and the output of the network below. A forecast is shown with "
        "the series before it."
    )

    def compute(self, inspected: Inspected) -> Sample:
        experiment, task = inspected.experiment, inspected.task
        backend, longest = experiment.build_backend(), experiment.timesteps[1]
        batch = task.part("validation").sample(
            stream(experiment.seed, "sample"), batch_size=1, timesteps=(longest, longest)
        )
        with backend.running():
            model = backend.build(inspected.network, parameters=dict(inspected.arrays))
            outputs = model.outputs(batch)
        scored = np.flatnonzero(batch.mask[0])
        targets, raw = batch.targets, outputs
        if task.return_sequences:
            targets, raw = batch.targets[0][scored], outputs[0][scored]
        loss = LOSSES[task.loss]
        are_classes, raw = loss.integer_targets, loss.chances(loss.answers(raw))
        targets = np.eye(task.output_features)[targets] if are_classes else targets
        names, inputs, scaling = (tuple(task.input_names), tuple(task.output_names)), batch.inputs[0], task.scaling
        if in_units := scaling is not None and len(scaling.series) == 1:
            inputs, targets, raw = scaling.inputs.in_units(inputs), *map(scaling.outputs.in_units, (targets, raw))
        return Sample(inputs, targets, raw, scored, task.name, are_classes, *names, task.forecasts, in_units)

    def sentences(self, found: Sample) -> list[str]:
        if found.are_classes:
            right = int((found.outputs.argmax(axis=1) == found.targets.argmax(axis=1)).sum())
            return [f"One sequence of {found.task}: {right} of {len(found.scored)} classes are right."]
        error = float(np.abs(found.outputs - found.targets).mean())
        return [f"One sequence of {found.task}: the mean absolute error of the outputs is {error:.3g}."]

    def panels(self, found: Mapping[str, Sample]) -> list[Panel]:
        panels = []
        for heading, one in found.items():
            title = f"{heading}: {one.task}".removeprefix(": ")
            if one.forecasts:
                panels += [_forecast(one, title)]
                if one.inputs.shape[1] == 1:  # the series itself
                    continue
            panels += [replace(_inputs(one), title=f"{title}, inputs")]
            panels += (
                [] if one.forecasts else [replace(_outputs(one), title=_outputs(one).title or f"{title}, outputs")]
            )
        return panels


_STEP = Axis("step")


def _unit(one: Sample) -> str:
    return ", in units of the file" if one.in_units else ", standard deviations from the mean"


def _inputs(one: Sample) -> Panel:
    edges, features = np.arange(len(one.inputs) + 1) + 0.5, one.inputs.shape[1]
    is_one_hot = features > 1 and np.isin(one.inputs, (0, 1)).all() and (one.inputs.sum(axis=1) == 1).all()
    if features <= _FEW and not is_one_hot:
        names = one.input_names or [f"input {n}" for n in range(features)]
        lines = [
            Line(name, *stairs(edges, values), n, n)
            for n, (name, values) in enumerate(zip(names, one.inputs.T, strict=True))
        ]
        return Panel(_STEP, Axis(f"input{_unit(one)}" if one.forecasts else "input"), lines)
    if is_one_hot:  # symbols, one at each step
        steps = np.arange(len(one.inputs)) + 1
        shown = Line("", steps, one.inputs.argmax(axis=1), dash=None, marker=0)
        return Panel(_STEP, _named("input symbol", one.input_names, features), [shown])
    heat = Heat(
        np.arange(len(one.inputs)) + 1,
        np.arange(features),
        one.inputs.T,
        f"input{_unit(one)}" if one.forecasts else "value of the input",
    )
    return Panel(_STEP, _named("input", one.input_names, features), heat=heat)


def _forecast(one: Sample, title: str) -> Panel:
    """Return the series up to the last input, then what comes and what the network expects."""
    column, ahead = one.forecasts or (0, 0)
    name = one.output_names[0] if one.output_names else "series"
    steps = np.arange(len(one.inputs)) + 1
    when, is_one = one.scored + 1 + ahead, len(one.scored) == 1
    look: Any = {"dash": None, "marker": 1} if is_one else {}
    lines = [
        Line(f"{name}, input", steps, one.inputs[:, column], GREY),
        Line(f"target, {counted(ahead, 'step')} ahead", when, one.targets[:, 0], 0, **look),
        Line("network", when, one.outputs[:, 0], 1, **(look | {"marker": 0} if is_one else {"dash": 1})),
    ]
    return Panel(_STEP, Axis(f"{name}{_unit(one)}"), lines, title=title)


def _named(label: str, names: Sequence[str], count: int) -> Axis:
    places = np.arange(count)
    if names and count <= _MOST_NAMES:
        return Axis(label, ticks=places, tick_labels=tuple(names))
    return Axis(label, ticks=places if count <= _MOST_TICKS else ())


def _outputs(one: Sample) -> Panel:
    """Return the outputs of a single step over its features, those of many steps as a map or as lines over time."""
    feature, value = ("class", "probability") if one.are_classes else ("output", "value of the output")
    features, steps = np.arange(one.targets.shape[1]), one.scored + 1
    axis = _named(feature, one.output_names, len(features))
    if len(steps) == 1:
        lines = [
            Line("target", features, one.targets[0], 0, dash=None, marker=1),
            Line("network", features, one.outputs[0], 1, dash=None, marker=0),
        ]
        return Panel(axis, Axis(value), lines, title=f"output at the last step, {steps[0]}")
    if one.are_classes or len(features) > _FEW:
        every = np.arange(steps[0], steps[-1] + 1)
        values = np.full((len(features), len(every)), np.nan)
        values[:, steps - steps[0]] = one.outputs.T
        right = [Line("target", steps, one.targets.argmax(axis=1), dash=None, marker=0)] if one.are_classes else []
        return Panel(_STEP, axis, right, heat=Heat(every, features, values, value, (0, None)))
    lines = []
    names = (
        one.output_names if len(one.output_names) == len(features) else [f"output {n}" for n in range(len(features))]
    )
    for n, (targets, outputs) in enumerate(zip(one.targets.T, one.outputs.T, strict=True)):
        suffix, colour = (f", {names[n]}", n) if len(features) > 1 else ("", 1)
        lines.append(Line(f"target{suffix}", steps, targets, n, dash=None, marker=n))
        lines.append(Line(f"network{suffix}", steps, outputs, colour))
    return Panel(_STEP, Axis(value), lines)


DIAGNOSIS = OneSample()
