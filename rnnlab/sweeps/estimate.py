"""The cost of a sweep before it runs: steps and sequences exactly, seconds from a few measured training steps."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from rnnlab.config.experiment import Experiment
from rnnlab.training.blocks import Pace
from rnnlab.training.source import Source

_SECONDS = 5.0  # for all measurements together
_BLOCKS = 3  # measured, after one to warm up
_FORWARD = 1 / 3  # the time of a prediction relative to a training step

# Kind, task, timesteps, batch size, units, layers, weights per layer.
Shape = tuple[str, str, int, int, int, int, int]


@final
@dataclass(frozen=True)
class Estimate:
    """The cost of a sweep.

    Attributes:
        steps: Training steps of all trials, at most: a trial that is solved may stop earlier.
        sequences: Training sequences of all trials, at most.
        seconds: Processor time of the steps and evaluations; None on Keras, where starting the engine dominates, and
            with a limit in streams, whose lengths are not known.
        measured: How many network shapes were measured, and how many there are; the time of the others follows from
            their number of operations.
    """

    steps: int
    sequences: int
    seconds: float | None
    measured: tuple[int, int]


def estimate(experiments: Mapping[str, Experiment]) -> Estimate:
    """Return the cost of all experiments, which takes a few seconds at most."""
    everything = list(experiments.values())
    steps = sum(one.training.steps for one in everything)
    sequences = sum(one.training.steps * one.training.batch_size for one in everything)
    if any(one.backend != "numpy" or one.training.streams is not None for one in everything):
        return Estimate(steps, sequences, None, (0, 0))
    each, measured = _step_seconds(everything)
    total = sum(one * _with_evaluations(experiment) for one, experiment in zip(each, everything, strict=True))
    return Estimate(steps, sequences, total, measured)


def _step_seconds(experiments: Sequence[Experiment]) -> tuple[list[float], tuple[int, int]]:
    """Return the seconds of a step of each experiment, how many network shapes were measured, and of how many."""
    shapes = [_shape(one) for one in experiments]
    examples = dict(zip(reversed(shapes), reversed(experiments), strict=True))
    seconds: dict[Shape, float] = {}
    start = time.perf_counter()
    largest = sorted(examples, key=_operations, reverse=True)  # they take most of the time
    first = {shape[0]: shape for shape in reversed(largest)}.values()  # one of each kind
    for shape in dict.fromkeys([*sorted(first, key=_operations, reverse=True), *largest]):
        seconds[shape] = _measured(examples[shape])
        if time.perf_counter() - start > _SECONDS:
            break
    found = [seconds[one] if one in seconds else _rate(one[0], seconds) * _operations(one) for one in shapes]
    return found, (len(seconds), len(examples))


def _rate(kind: str, seconds: Mapping[Shape, float]) -> float:
    """Return the seconds per operation of the shapes of a kind that were measured; of all, if none was."""
    measured = [shape for shape in seconds if shape[0] == kind] or [*seconds]
    return sum(seconds[shape] for shape in measured) / sum(map(_operations, measured))


def _measured(experiment: Experiment) -> float:
    task = experiment.build_task()
    network, backend = experiment.network(), experiment.build_backend()
    model = backend.build(network, parameters=network.draw(experiment.seed), training=experiment.recipe())
    done, pace = 0, Pace()
    source = Source.of(experiment, task)
    times = []
    with backend.running():
        for _ in range(1 + _BLOCKS):
            start, updates = time.perf_counter(), pace.updates(most=source.unit)
            backend.train_blocks([model], [source.batches(done, updates)], updates=updates)
            elapsed = time.perf_counter() - start
            times.append(elapsed / updates)
            pace.took(elapsed, updates)
            done += updates
    return min(times[1:])


def _shape(experiment: Experiment) -> Shape:
    cell, training = experiment.cell, experiment.training
    # Those of a kind are computed in the same way, so that an operation takes about as long.
    kind = f"{cell.type} {training.update} {training.batch_size == 1} {experiment.numpy}"
    inputs = (kind, experiment.task.type, sum(experiment.timesteps) // 2, training.batch_size)
    weights = sum(one.size for one in experiment.network().layer_parameters(1).values())
    return (*inputs, cell.units, cell.layers, weights)


def _operations(shape: Shape) -> float:
    _, _, timesteps, batch, _, layers, weights = shape
    return timesteps * (1 + batch * layers * weights)


def _with_evaluations(experiment: Experiment) -> float:
    """Return the steps of an experiment, including its evaluations: the steps that would take as long."""
    training = experiment.training
    evaluations = 1 + math.ceil(training.steps / training.evaluate_every)
    return training.steps + _FORWARD * evaluations * experiment.evaluation.sequences / training.batch_size
