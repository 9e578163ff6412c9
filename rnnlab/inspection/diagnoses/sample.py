"""One fresh sequence, its target, and the output of the network."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.figure import Axis, Heat, Line, Panel, stairs
from rnnlab.core.losses import sigmoid, softmax
from rnnlab.core.streams import stream
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Inspected, Numbers

_FEW = 4  # features that are drawn as lines; more are a map
_MOST_TICKS = 12


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
    """

    inputs: NDArray[Any]
    targets: Numbers
    outputs: NDArray[Any]
    scored: NDArray[np.int64]
    task: str
    are_classes: bool


@final
class OneSample(AbstractDiagnosis[Sample]):
    """A sequence of the longest trained length, computed by the backend that trained the network."""

    position = 90
    is_default = False
    title = "One sequence"
    caption = "The inputs of one sequence above; the target and the output of the network below."

    def compute(self, inspected: Inspected) -> Sample:
        experiment, task = inspected.experiment, inspected.task
        backend, longest = experiment.build_backend(), experiment.timesteps[1]
        batch = task.part("validation").sample(
            stream(experiment.seed, "sample"), batch_size=1, timesteps=(longest, longest)
        )
        with backend.running():
            model = backend.build(inspected.network, parameters=dict(inspected.arrays))
            outputs = np.asarray(model.predict(batch.inputs, batch.lengths).outputs)
        scored = np.flatnonzero(batch.mask[0])
        targets, raw = batch.targets, outputs
        if task.return_sequences:
            targets, raw = batch.targets[0][scored], outputs[0][scored]
        are_classes = task.loss == "cross_entropy"
        if are_classes:
            targets, raw = np.eye(task.output_features)[targets], softmax(raw)
        elif task.loss == "binary_cross_entropy":
            raw = sigmoid(raw)
        return Sample(batch.inputs[0], targets, raw, scored, task.name, are_classes)

    def sentences(self, found: Sample) -> list[str]:
        if found.are_classes:
            right = int((found.outputs.argmax(axis=1) == found.targets.argmax(axis=1)).sum())
            return [f"One sequence of {found.task}: {right} of {len(found.scored)} classes are right."]
        error = float(np.abs(found.outputs - found.targets).mean())
        return [f"One sequence of {found.task}: the mean absolute error of the outputs is {error:.3g}."]

    def panels(self, found: Mapping[str, Sample]) -> list[Panel]:
        heading, one = next(iter(found.items()))
        edges = np.arange(len(one.inputs) + 1) + 0.5
        if one.inputs.shape[1] <= _FEW:
            lines = [Line(f"input {n}", *stairs(edges, values), n, n) for n, values in enumerate(one.inputs.T)]
            inputs = Panel(Axis("step"), Axis("input"), lines)
        else:
            heat = Heat(np.arange(len(one.inputs)) + 1, np.arange(one.inputs.shape[1]), one.inputs.T, "value")
            inputs = Panel(Axis("step"), Axis("input feature"), heat=heat)
        return [replace(inputs, title=f"{heading}: {one.task}"), _outputs(one)]


def _outputs(one: Sample) -> Panel:
    """Return the outputs of a single step over its features, those of many steps as a map or as lines over time."""
    feature, value = ("class", "probability") if one.are_classes else ("output feature", "output")
    features, steps = np.arange(one.targets.shape[1]), one.scored + 1
    if len(steps) == 1:
        lines = [
            Line("target", features, one.targets[0], 0, dash=None, marker=1),
            Line("network", features, one.outputs[0], 1, dash=None, marker=0),
        ]
        x = Axis(feature, ticks=features if len(features) <= _MOST_TICKS else ())
        return Panel(x, Axis(value), lines, title=f"at the last step, {steps[0]}")
    if one.are_classes or len(features) > _FEW:
        every = np.arange(steps[0], steps[-1] + 1)
        values = np.full((len(features), len(every)), np.nan)
        values[:, steps - steps[0]] = one.outputs.T
        right = [Line("target", steps, one.targets.argmax(axis=1), dash=None, marker=0)] if one.are_classes else []
        return Panel(Axis("step"), Axis(feature), right, heat=Heat(every, features, values, value, (0, None)))
    lines = []
    for n, (targets, outputs) in enumerate(zip(one.targets.T, one.outputs.T, strict=True)):
        suffix, colour = (f" {n}", n) if len(features) > 1 else ("", 1)
        lines.append(Line(f"target{suffix}", steps, targets, n, dash=None, marker=n))
        lines.append(Line(f"network{suffix}", steps, outputs, colour))
    return Panel(Axis("step"), Axis(value), lines)


DIAGNOSIS = OneSample()
