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

# Kind, task, timesteps, batch size, units, layers, weights per layer, side by side.
Shape = tuple[str, str, int, int, int, int, int, int]


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
    each, measured = step_seconds(everything)
    total = sum(one * with_evaluations(experiment) for one, experiment in zip(each, everything, strict=True))
    return Estimate(steps, sequences, total, measured)


def step_seconds(
    experiments: Sequence[Experiment], *, together: Sequence[int] = (), within: float = _SECONDS
) -> tuple[list[float], tuple[int, int]]:
    """Return the seconds of a step of each experiment, how many network shapes were measured, and how many there are.

    Args:
        experiments: On NumPy.
        together: How many networks like each are trained side by side; left out, one.
        within: Seconds after which no further shape is measured.
    """
    together = together or [1] * len(experiments)
    shapes = [_shape(one, count) for one, count in zip(experiments, together, strict=True)]
    examples = dict(zip(reversed(shapes), reversed(experiments), strict=True))
    seconds: dict[Shape, float] = {}
    start = time.perf_counter()
    largest = sorted(examples, key=_operations, reverse=True)  # they take most of the time
    first = {shape[0]: shape for shape in reversed(largest)}.values()  # one of each kind
    for shape in dict.fromkeys([*sorted(first, key=_operations, reverse=True), *largest]):
        seconds[shape] = _measured(examples[shape], shape[-1])
        if time.perf_counter() - start > within:
            break
    found = [seconds[one] if one in seconds else _rate(one[0], seconds) * _operations(one) for one in shapes]
    return found, (len(seconds), len(examples))


def _rate(kind: str, seconds: Mapping[Shape, float]) -> float:
    """Return the seconds per operation of the shapes of a kind that were measured; of all, if none was."""
    measured = [shape for shape in seconds if shape[0] == kind] or [*seconds]
    return sum(seconds[shape] for shape in measured) / sum(map(_operations, measured))


def _measured(experiment: Experiment, together: int) -> float:
    task = experiment.build_task()
    network, backend = experiment.network(), experiment.build_backend()
    seeds = range(experiment.seed, experiment.seed + together)
    models = [backend.build(network, parameters=network.draw(seed), training=experiment.recipe()) for seed in seeds]
    done, pace = 0, Pace()
    source = Source.of(experiment, task)
    times = []
    with backend.running():
        for _ in range(1 + _BLOCKS):
            start, updates = time.perf_counter(), pace.updates(most=source.unit)
            batches = source.batches(done, updates)
            drawn = time.perf_counter() - start  # once for all, so that it counts for each
            backend.train_blocks(models, [batches] * together, updates=updates)
            elapsed = time.perf_counter() - start
            times.append(((elapsed - drawn) / together + drawn) / updates)
            pace.took(elapsed, updates)
            done += updates
    return min(times[1:])


def _shape(experiment: Experiment, together: int) -> Shape:
    cell, training = experiment.cell, experiment.training
    # Those of a kind are computed in the same way, so that an operation takes about as long.
    kind = f"{cell.type} {training.update} {training.batch_size == 1} {experiment.numpy}"
    inputs = (kind, experiment.task.type, sum(experiment.timesteps) // 2, training.batch_size)
    weights = sum(one.size for one in experiment.network().layer_parameters(1).values())
    return (*inputs, cell.units, cell.layers, weights, together)


def _operations(shape: Shape) -> float:
    _, _, timesteps, batch, _, layers, weights, _ = shape
    return timesteps * (1 + batch * layers * weights)


def with_evaluations(experiment: Experiment) -> float:
    """Return the steps of an experiment, including its evaluations: the steps that would take as long."""
    training = experiment.training
    evaluations = 1 + math.ceil(training.steps / training.evaluate_every)
    return training.steps + _FORWARD * evaluations * experiment.evaluation.sequences / training.batch_size
