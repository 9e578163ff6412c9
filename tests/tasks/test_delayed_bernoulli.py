"""What is peculiar to the delayed coin flips: the published losses, other lags, and repeated flips."""

import numpy as np
import pytest
from pydantic import ValidationError

from rnnlab.core.streams import stream
from rnnlab.tasks.base import mean_loss
from rnnlab.tasks.delayed_bernoulli import DelayedBernoulli, DelayedBernoulliOptions


def test_losses_have_the_published_digits() -> None:
    task = DelayedBernoulli(DelayedBernoulliOptions())
    losses = [*(reference.loss for reference in task.references((58, 58))), task.oracle_loss(task.default_timesteps)]
    assert losses == pytest.approx([0.6616, 0.6277, 0.5192, 0.4545], abs=5e-5)


@pytest.mark.parametrize(("lags", "tau"), [((3, 8), 3), ((7, 2), 1), ((1, 2), 4)])
def test_losses_are_the_same_for_other_lags_and_repeats(lags: tuple[int, int], tau: int) -> None:
    task = DelayedBernoulli(DelayedBernoulliOptions(lags=lags, tau=tau))
    low = max(lags) * tau + 1
    assert task.timesteps_fault((low, low)) is None
    assert (
        task.timesteps_fault((low - 1, 60))
        == f"needs at least {low} steps: no earlier step has both flips inside the sequence"
    )
    batch = task.sample(stream(1, "data/train"), batch_size=30_000, timesteps=(low, 60))
    for reference, expected in zip(task.references((low, 60)), (0.6616, 0.6277, 0.5192), strict=True):
        assert mean_loss(task, reference.predict(batch), batch) == pytest.approx(expected, rel=0.01), reference.name
    assert mean_loss(task, task.oracle(batch), batch) == pytest.approx(0.4545, rel=0.01)


def test_flips_and_targets_are_repeated_for_tau_steps() -> None:
    task = DelayedBernoulli(DelayedBernoulliOptions(lags=(1, 2), tau=3))
    batch = task.sample(stream(2, "data/train"), batch_size=500, timesteps=(20, 20))
    for start in range(0, 18, 3):
        for each in (batch.inputs, batch.targets):
            np.testing.assert_array_equal(each[:, start], each[:, start + 2])
    assert (batch.inputs[:, 2] != batch.inputs[:, 3]).any()
    assert batch.mask.sum(axis=1).tolist() == [14] * 500


def test_excess_loss_is_the_distance_from_the_oracle() -> None:
    task = DelayedBernoulli(DelayedBernoulliOptions())
    batch = task.sample(stream(3, "data/train"), batch_size=4000, timesteps=(58, 58))
    for reference in task.references((58, 58)):
        excess = task.metrics(reference.predict(batch), batch)["excess_loss"]
        assert excess == pytest.approx(reference.loss - task.oracle_loss(task.default_timesteps), rel=0.01), (
            reference.name
        )


@pytest.mark.parametrize(
    ("lags", "message"),
    [
        ([4, 4], "the two lags must differ"),
        ([0, 4], "greater than or equal to 1"),
        ([3, 8, 9], "at most 2 items"),
        (["3", 8], "valid integer"),
    ],
)
def test_impossible_lags_are_refused(lags: list[int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DelayedBernoulliOptions.model_validate({"lags": lags})


def test_lags_are_read_from_a_list() -> None:
    assert DelayedBernoulliOptions.model_validate({"lags": [5, 2]}).lags == (5, 2)
