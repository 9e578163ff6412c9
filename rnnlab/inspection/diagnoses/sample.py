"""One fresh sequence, its target, and the output of the network."""

from collections.abc import Mapping
from dataclasses import dataclass
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
        is_map = len(one.scored) > 1 and (one.are_classes or one.targets.shape[1] > _FEW)
        below = _points(one) if len(one.scored) == 1 else _map(one) if is_map else _lines(one)
        return [_inputs(f"{heading}: {one.task}", one.inputs), below]


def _inputs(title: str, inputs: NDArray[Any]) -> Panel:
    edges = np.arange(len(inputs) + 1) + 0.5
    if inputs.shape[1] <= _FEW:
        lines = [
            Line(f"input {number}", *stairs(edges, values), number, number) for number, values in enumerate(inputs.T)
        ]
        return Panel(Axis("step"), Axis("input"), lines, title=title)
    heat = Heat(np.arange(len(inputs)) + 1, np.arange(inputs.shape[1]), inputs.T, "value")
    return Panel(Axis("step"), Axis("input feature"), heat=heat, title=title)


def _points(one: Sample) -> Panel:
    outputs = np.arange(one.targets.shape[1])
    lines = [
        Line("target", outputs, one.targets[0], 0, dash=None, marker=1),
        Line("network", outputs, one.outputs[0], 1, dash=None, marker=0),
    ]
    x = Axis("class" if one.are_classes else "output feature", ticks=outputs if len(outputs) <= _MOST_TICKS else ())
    y = Axis("probability" if one.are_classes else "output")
    return Panel(x, y, lines, title=f"at the last step, {int(one.scored[0]) + 1}")


def _lines(one: Sample) -> Panel:
    lines, is_single = [], one.targets.shape[1] == 1
    for number, (targets, outputs) in enumerate(zip(one.targets.T, one.outputs.T, strict=True)):
        suffix, colour = ("", 1) if is_single else (f" {number}", number)
        lines.append(Line(f"target{suffix}", one.scored + 1, targets, number, dash=None, marker=number))
        lines.append(Line(f"network{suffix}", one.scored + 1, outputs, colour))
    return Panel(Axis("step"), Axis("output"), lines)


def _map(one: Sample) -> Panel:
    label = "probability" if one.are_classes else "output"
    x, y = np.arange(one.scored[0], one.scored[-1] + 1) + 1, np.arange(one.outputs.shape[1])
    values = np.full((len(y), len(x)), np.nan)
    values[:, one.scored - one.scored[0]] = one.outputs.T
    targets = Line("target", one.scored + 1, one.targets.argmax(axis=1), dash=None, marker=0)
    return Panel(
        Axis("step"),
        Axis("class" if one.are_classes else "output feature"),
        [targets] if one.are_classes else [],
        heat=Heat(x, y, values, label, (0, None)),
    )


DIAGNOSIS = OneSample()
