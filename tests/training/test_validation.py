"""The validation set: its score is a mean over what is scored, however the sequences are batched or kept."""

import numpy as np
import pytest

from rnnlab.backends.base import Network
from rnnlab.backends.numpy import NumpyBackend, NumpyModel
from rnnlab.cells.simple import Simple, SimpleOptions
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.tasks import task_class
from rnnlab.tasks.base import AbstractTask
from rnnlab.training import validation
from rnnlab.training.validation import ValidationSet

LENGTHS = (3, 12)


def parts(name: str) -> tuple[AbstractTask, NumpyModel]:
    kind = task_class(name)
    task = kind(kind.Options(type=kind.name))
    network = Network(
        cell=Simple(SimpleOptions(units=4)),
        input_features=task.input_features,
        output_features=task.output_features,
        return_sequences=task.return_sequences,
        loss=task.loss,
        precision="float64",
    )
    return task, NumpyBackend().build(network, parameters=network.draw(0))


@pytest.mark.parametrize("name", ["parity", "flip_flop", "adding@urnn"])
def test_the_loss_is_the_mean_over_all_scored_steps(name: str) -> None:
    """300 sequences in batches of 256 and 44: every scored step weighs the same, so does every sequence."""
    task, model = parts(name)
    losses, correct = [], []
    for n, size in enumerate((256, 44)):
        batch = task.sample(stream(7, "data/validation", n), batch_size=size, timesteps=LENGTHS)
        outputs = model.predict(batch.inputs, batch.lengths).outputs
        correct += task.correct(outputs, batch).tolist()
        scored = (outputs[batch.mask], batch.targets[batch.mask]) if task.return_sequences else (outputs, batch.targets)
        losses += LOSSES[task.loss].values(*scored).tolist()
    got = ValidationSet(task, sequences=300, timesteps=LENGTHS, seed=7).score(model)
    assert got["loss"] == pytest.approx(np.mean(losses), rel=1e-12)
    assert got["error_rate"] == pytest.approx(1 - np.mean(correct), rel=1e-12)


def test_a_set_too_large_to_keep_is_drawn_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    task, model = parts("flip_flop")
    kept = ValidationSet(task, sequences=300, timesteps=LENGTHS, seed=7).score(model)
    monkeypatch.setattr(validation, "_KEPT_BYTES", 0)
    drawn = ValidationSet(task, sequences=300, timesteps=LENGTHS, seed=7)
    assert drawn.score(model) == drawn.score(model) == kept
