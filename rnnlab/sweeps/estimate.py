"""What a sweep will cost, before it is begun: steps and sequences exactly, seconds from a few measured steps."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from rnnlab.config.experiment import Experiment
from rnnlab.core.streams import stream

_SECONDS = 5.0  # for all measurements together
_STEPS = 3  # measured, after one that warms up
_FORWARD = 1 / 3  # of a training step, what a prediction takes

Shape = tuple[str, int, int, int, int, int]  # task, timesteps, batch, units, layers, matrices of a cell


@final
@dataclass(frozen=True)
class Estimate:
    """The cost of a sweep.

    Attributes:
        steps: Training steps of all trials, if none is solved before its budget is spent.
        sequences: Training sequences of all trials.
        seconds: Processor time, at most: about that of the steps and of the evaluations; None where it cannot be told.
        measured: Of how many kinds of steps it was measured, and of how many there are; the others follow from their
            operations.
    """

    steps: int
    sequences: int
    seconds: float | None
    measured: tuple[int, int]


def estimate(experiments: Mapping[str, Experiment]) -> Estimate:
    """Return what all experiments cost; it takes some seconds at most.

    On Keras nothing is measured: to start its engine takes longer than most steps.
    """
    everything = list(experiments.values())
    steps = sum(one.training.steps for one in everything)
    sequences = sum(one.training.steps * one.training.batch_size for one in everything)
    if any(one.backend != "numpy" for one in everything):
        return Estimate(steps, sequences, None, (0, 0))
    kinds: dict[Shape, Experiment] = {}
    for one in everything:
        kinds.setdefault(_shape(one), one)
    measured = _measured(kinds)
    rate = sum(measured.values()) / sum(map(_operations, measured))
    each = {shape: measured.get(shape, rate * _operations(shape)) for shape in kinds}
    seconds = sum(each[_shape(one)] * _steps(one) for one in everything)
    return Estimate(steps, sequences, seconds, (len(measured), len(kinds)))


def _measured(kinds: Mapping[Shape, Experiment]) -> dict[Shape, float]:
    """Return the seconds of a step of as many kinds as there is time for, the largest and the smallest first."""
    ordered = sorted(kinds, key=_operations)
    spread = [ordered[index] for index in dict.fromkeys(_spread(len(ordered)))]
    began, found = time.perf_counter(), dict[Shape, float]()
    for shape in spread:
        found[shape] = _seconds_of_a_step(kinds[shape])
        if time.perf_counter() - began > _SECONDS:
            break
    return found


def _spread(count: int) -> list[int]:
    """Return the places of a sorted list, its ends first, then ever closer between."""
    places = [0, count - 1]
    pieces = 2
    while pieces < 2 * count:
        places += [round((count - 1) * part / pieces) for part in range(1, pieces, 2)]
        pieces *= 2
    return [*places, *range(count)]


def _seconds_of_a_step(experiment: Experiment) -> float:
    task = experiment.build_task()
    network, backend = experiment.network(task), experiment.build_backend()
    model = backend.build(network, parameters=network.draw(experiment.seed), training=experiment.recipe())
    source, times = task.part("train"), []
    with backend.running():
        for number in range(1 + _STEPS):
            began = time.perf_counter()
            rng = stream(experiment.seed, "data/train", number)
            batch = source.sample(rng, batch_size=experiment.training.batch_size, timesteps=experiment.timesteps)
            model.train_step(batch)
            times.append(time.perf_counter() - began)
    return min(times[1:])


def _shape(experiment: Experiment) -> Shape:
    cell, training = experiment.cell, experiment.training
    kind = (experiment.task.type, sum(experiment.timesteps) // 2, training.batch_size)
    return (*kind, cell.units, cell.layers, 4 if cell.type == "carry" else 1)


def _operations(shape: Shape) -> float:
    _, timesteps, batch, units, layers, matrices = shape
    return timesteps * (1 + batch * layers * matrices * units**2)


def _steps(experiment: Experiment) -> float:
    """Return the steps of an experiment, its evaluations counted in."""
    training = experiment.training
    evaluations = 1 + math.ceil(training.steps / training.evaluate_every)
    return training.steps + _FORWARD * evaluations * experiment.evaluation.sequences / training.batch_size
