"""Tasks of classes and of bits with squared error over sigmoids: their scores, and when a sequence is right."""

from typing import Any

import numpy as np
import pytest

from rnnlab.core.batch import Array, Batch, last_step_mask
from rnnlab.core.losses import LOSSES, sigmoid
from rnnlab.tasks import task_class, task_names
from rnnlab.tasks.base import AbstractTask, reference_scores
from rnnlab.testing._measuring import Measured, at_scored, batches, draw, short_lengths
from rnnlab.testing._memoryless import search

# Of the many symbols of these a few will do.
SMALL: dict[str, dict[str, Any]] = {
    "noise_free_lag@hs1997_2a": {"symbols": 20},
    "noise_free_lag@hs1997_2b": {"symbols": 20},
    "noise_free_lag@hs1997_2c": {"symbols": 10, "lag": 10},
}


def own(name: str) -> AbstractTask:
    task = task_class(name)
    return task(task.Options(**SMALL.get(name, {})))


def with_sigmoids(name: str) -> AbstractTask:
    task = own(name)
    task.loss = LOSSES[task.loss].with_sigmoids
    return task


def logits(name: str, outputs: Array) -> Array:
    """Return the logits of sigmoids that are the probabilities of raw outputs of the task's own loss."""
    loss = LOSSES[own(name).loss]
    p = np.clip(loss.chances(loss.answers(np.array(outputs, float))), 1e-15, 1 - 1e-15)
    return np.log(p / (1 - p))


NAMES = [name for name in task_names() if task_class(name).follows_loss]


@pytest.mark.parametrize("name", NAMES)
def test_the_references_have_the_squared_errors_that_they_state(name: str) -> None:
    task, timesteps = with_sigmoids(name), short_lengths(own(name))
    stated = [(one.name, one.loss, one.predict) for one in task.references(timesteps)]
    stated.append(("oracle", task.oracle_loss(timesteps), task.oracle))  # type: ignore[arg-type]
    for of, loss, predict in stated:
        found = Measured()
        for batch in batches(task, timesteps, 4000):
            found.add(task, at_scored(task, logits(name, predict(batch)), batch), batch)
        assert found.loss == pytest.approx(loss, abs=4 * found.error + 1e-9), of
    losses = [loss for _, loss, _ in stated]
    assert losses == sorted(losses, reverse=True)
    assert task.baseline(timesteps) == max(losses)
    search(task, timesteps)


@pytest.mark.parametrize("name", NAMES)
def test_the_oracle_is_right_and_random_outputs_are_not(name: str) -> None:
    task, batch = with_sigmoids(name), draw(own(name), size=16)
    sigmoids = sigmoid(logits(name, own(name).oracle(batch)))  # type: ignore[arg-type]
    assert task.correct(sigmoids, batch).all()  # type: ignore[union-attr]
    other = np.random.default_rng(0).random(sigmoids.shape)
    assert not task.correct(other, batch).all()  # type: ignore[union-attr]
    assert task.metrics(sigmoids, batch).keys() == own(name).metrics(sigmoids, batch).keys()


def test_scores_by_hand() -> None:
    """Of temporal order, four classes: all equally likely ¼·¾, and two of them equally likely ½·½ at two of four."""
    task = with_sigmoids("temporal_order")
    assert [one.loss for one in task.references((100, 110))] == pytest.approx([3 / 16, 1 / 8], rel=1e-14)
    assert with_sigmoids("parity").baseline((2, 40)) == 1 / 4
    # The last of 100 steps is x or y, the other 99 are certain: 2·¼ over 101 outputs.
    assert with_sigmoids("noise_free_lag").baseline((100, 100)) == pytest.approx(0.5 / 101 / 100, rel=1e-14)
    # 7 of 11 steps of an embedded Reber string, in the mean, have two legal symbols: 2·¼ over 7 outputs.
    reber = with_sigmoids("embedded_reber")
    assert reber.oracle_loss(reber.default_timesteps) == pytest.approx(7 / 11 / 14, rel=1e-4)


def test_temporal_order_is_right_within_three_tenths_of_every_output() -> None:
    lengths = np.array([5, 5, 5])
    batch = Batch(np.zeros((3, 5, 8)), np.array([0, 0, 1]), last_step_mask(lengths, 5), lengths)
    sigmoids = np.array([[0.71, 0.29, 0.29, 0.0], [0.71, 0.31, 0.0, 0.0], [0.69, 0.69, 0.0, 0.0]])
    task = with_sigmoids("temporal_order")
    assert task.correct(sigmoids, batch).tolist() == [True, False, False]  # type: ignore[union-attr]
    assert task.metrics(sigmoids, batch)["largest_error"] == 0.69


@pytest.mark.parametrize(("name", "right"), [("2a", [True, False, False]), ("2b", [True, True, False])])
def test_noise_free_lag_judges_its_steps(name: str, right: list[bool]) -> None:
    task = task_class(f"noise_free_lag@hs1997_{name}")
    made = task(task.Options(symbols=3))
    made.loss = LOSSES[made.loss].with_sigmoids
    string = np.tile([2, 0, 1, 2], (3, 1))  # x a1 a2 x
    batch = Batch(np.eye(4)[string[:, :-1]], string[:, 1:], np.ones((3, 3), bool), np.full(3, 3))
    sigmoids = 0.76 * np.eye(4)[batch.targets]
    sigmoids[1, 0, 3] = sigmoids[2, 2, 3] = 0.26
    assert made.correct(sigmoids, batch).tolist() == right
    assert made.metrics(sigmoids[:1], batch.rows(0, 1))["largest_error"] == pytest.approx(0.24)


def test_embedded_reber_wants_the_legal_symbols_most_active() -> None:
    task = with_sigmoids("embedded_reber")
    batch = draw(own("embedded_reber"), size=2)
    legal = own("embedded_reber").oracle(batch) == 0  # type: ignore[operator]
    sigmoids = np.where(legal, 0.11, 0.1)
    assert task.correct(sigmoids, batch).tolist() == [True, True]  # type: ignore[union-attr]
    sigmoids[1, 3] = np.where(legal[1, 3], 0.9, 0.91)
    assert task.correct(sigmoids, batch).tolist() == [True, False]  # type: ignore[union-attr]


class Stated(type(own("parity"))):  # type: ignore[misc]
    """A task whose references are numbers in nats."""

    follows_loss = False


def test_scores_of_another_loss_are_left_out() -> None:
    task = Stated(Stated.Options())
    assert task.baseline((2, 9)) == pytest.approx(np.log(2))
    task.loss = "sigmoid_mse_bits"
    assert (task.baseline((2, 9)), reference_scores(task, (2, 9))) == (None, [])
