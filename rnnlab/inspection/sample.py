"""One fresh sequence and what a trained network makes of it."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.losses import sigmoid, softmax
from rnnlab.core.streams import stream
from rnnlab.runs.stored import Which, experiment_of, load_weights, require_same_data
from rnnlab.storage import RunFolder

Array = NDArray[Any]


@final
@dataclass(frozen=True, slots=True)
class Sample:
    """A sequence of T steps.

    Attributes:
        inputs: (T, I).
        targets: (K, O): what is wanted at each scored step; a class is 1 in its column.
        answers: (K, O): what the network gives there, probabilities for classes and bits.
        scored: (K,) the scored steps.
        task: The task's name.
        are_classes: Whether the O outputs are classes of which one is right.
    """

    inputs: Array
    targets: Array
    answers: Array
    scored: Array
    task: str
    are_classes: bool


def draw_sample(run: RunFolder, weights: Which = "best") -> Sample:
    """Return a sequence of the run's task, the longest trained, and its network's answer.

    Raises:
        VerificationError: The weights are damaged, or the task's file is no longer the same.
    """
    experiment = experiment_of(run)
    task = experiment.build_task()
    require_same_data(run, task)
    network = experiment.network(task)
    arrays, _ = load_weights(run, network, weights)
    backend = experiment.build_backend()
    longest = experiment.timesteps[1]
    batch = task.part("validation").sample(
        stream(experiment.seed, "sample"), batch_size=1, timesteps=(longest, longest)
    )
    with backend.running():
        outputs = backend.build(network, parameters=arrays).predict(batch.inputs, batch.lengths).outputs
    scored = np.flatnonzero(batch.mask[0])
    raw = outputs[0][scored] if task.return_sequences else outputs
    targets = batch.targets[0][scored] if task.return_sequences else batch.targets
    are_classes = task.loss == "cross_entropy"
    if are_classes:
        targets, raw = np.eye(task.output_features)[targets], softmax(raw)
    elif task.loss == "binary_cross_entropy":
        raw = sigmoid(raw)
    return Sample(batch.inputs[0], targets, raw, scored, task.name, are_classes)
