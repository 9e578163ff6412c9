"""The cost of a sweep before it runs: steps and sequences exactly, seconds from a few measured training steps."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from rnnlab.config.experiment import Experiment
from rnnlab.training.blocks import Pace
from rnnlab.training.source import Source

_SECONDS = 5.0  # for all measurements together
_BLOCKS = 3  # measured, after one to warm up
_FORWARD = 1 / 3  # the time of a prediction relative to a training step

Shape = tuple[str, int, int, int, int, int]  # task, timesteps, batch size, units, layers, weights per layer


@final
@dataclass(frozen=True)
class Estimate:
    """The cost of a sweep.

    Attributes:
        steps: Training steps of all trials, at most: a trial that is solved may stop earlier.
        sequences: Training sequences of all trials, at most.
        seconds: Processor time of the steps and evaluations; None on Keras, where starting the engine dominates.
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
    if any(one.backend != "numpy" for one in everything):
        return Estimate(steps, sequences, None, (0, 0))
    shapes = [_shape(one) for one in everything]
    examples = dict(zip(reversed(shapes), reversed(everything), strict=True))
    seconds: dict[Shape, float] = {}
    start = time.perf_counter()
    for shape in sorted(examples, key=_operations, reverse=True):  # the largest take most of the time
        seconds[shape] = _step_seconds(examples[shape])
        if time.perf_counter() - start > _SECONDS:
            break
    rate = sum(seconds.values()) / sum(map(_operations, seconds))
    each = (seconds.get(shape, rate * _operations(shape)) for shape in shapes)
    total = sum(one * _steps(experiment) for one, experiment in zip(each, everything, strict=True))
    return Estimate(steps, sequences, total, (len(seconds), len(examples)))


def _step_seconds(experiment: Experiment) -> float:
    task = experiment.build_task()
    network, backend = experiment.network(), experiment.build_backend()
    model = backend.build(network, parameters=network.draw(experiment.seed), training=experiment.recipe())
    size, done, pace = experiment.training.batch_size, 0, Pace()
    source = Source(task, batch_size=size, timesteps=experiment.timesteps, seed=experiment.seed)
    times = []
    with backend.running():
        for _ in range(1 + _BLOCKS):
            start, updates = time.perf_counter(), pace.updates(most=source.unit)
            model.train_block(source.batches(done, updates), updates=updates)
            times.append((time.perf_counter() - start) / updates)
            pace.took(times[-1] * updates, updates)
            done += updates
    return min(times[1:])


def _shape(experiment: Experiment) -> Shape:
    cell, training = experiment.cell, experiment.training
    inputs = (experiment.task.type, sum(experiment.timesteps) // 2, training.batch_size)
    weights = sum(one.size for one in experiment.network().layer_parameters(1).values())
    return (*inputs, cell.units, cell.layers, weights)


def _operations(shape: Shape) -> float:
    _, timesteps, batch, _, layers, weights = shape
    return timesteps * (1 + batch * layers * weights)


def _steps(experiment: Experiment) -> float:
    """Return the steps of an experiment, including its evaluations."""
    training = experiment.training
    evaluations = 1 + math.ceil(training.steps / training.evaluate_every)
    return training.steps + _FORWARD * evaluations * experiment.evaluation.sequences / training.batch_size
