"""The reference predictors of every task have the losses they state, and so has its oracle."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnlab.core.batch import Batch, Lengths
from rnnlab.core.streams import stream
from rnnlab.tasks.base import AbstractTask, Evidence, Streak, mean_loss
from tests.tasks.drawing import Measured, batches, draw, lengths_to_try, short_lengths

MOST_SEQUENCES = 3_000_000
PRECISION = 0.005  # the largest standard error of a measured loss, relative to the loss


def measure(
    task: AbstractTask, predictors: list[Callable[[Batch], Any]], timesteps: Lengths, *, precise: bool
) -> list[Measured]:
    results = [Measured() for _ in predictors]
    for batch in batches(task, timesteps, MOST_SEQUENCES if precise else 2000):
        for result, predict in zip(results, predictors, strict=True):
            result.add(task, predict(batch), batch)
        if precise and all(result.error < PRECISION * result.loss for result in results):
            break
    return results


def test_references_descend_to_the_oracle(task: AbstractTask) -> None:
    for timesteps in (task.default_timesteps, short_lengths(task)):
        losses = [*(reference.loss for reference in task.references(timesteps)), task.oracle_loss(timesteps)]
        assert losses == sorted(set(losses), reverse=True)
        assert task.baseline(timesteps) == min(one.loss for one in task.references(timesteps) if not one.needs_memory)
        assert losses[-1] >= 0


@pytest.mark.parametrize("precise", [False, True], ids=["default", "precise"])
def test_references_have_the_losses_they_state(task: AbstractTask, precise: bool) -> None:
    timesteps = short_lengths(task) if precise else task.default_timesteps
    references = task.references(timesteps)
    for reference, measured in zip(
        references,
        measure(task, [reference.predict for reference in references], timesteps, precise=precise),
        strict=True,
    ):
        assert measured.loss == pytest.approx(reference.loss, abs=4 * measured.error + 1e-9), reference.name
        assert measured.error < PRECISION * reference.loss or not precise, reference.name


@pytest.mark.parametrize("precise", [False, True], ids=["default", "precise"])
def test_the_oracle_has_its_loss(task: AbstractTask, precise: bool) -> None:
    timesteps = short_lengths(task) if precise else task.default_timesteps
    oracle_loss = task.oracle_loss(timesteps)
    (measured,) = measure(task, [task.oracle], timesteps, precise=precise and oracle_loss > 0)
    assert measured.loss == pytest.approx(oracle_loss, abs=4 * measured.error + 1e-9)


def test_oracle_is_always_right_when_nothing_is_noise(task: AbstractTask) -> None:
    if task.oracle_loss(task.default_timesteps) > 0:
        pytest.skip("part of this task is noise")
    for timesteps in lengths_to_try(task).values():
        if task.timesteps_fault(timesteps) is None:
            batch = draw(task, timesteps, size=16)
            assert task.correct(task.oracle(batch), batch).tolist() == [True] * 16
            assert task.metrics(task.oracle(batch), batch)["error_rate"] == 0.0


def test_oracle_reads_each_sequence_alone_and_no_target(task: AbstractTask) -> None:
    batch = draw(task, size=8)
    together = task.oracle(dataclasses.replace(batch, targets=np.zeros_like(batch.targets)))
    for row, length in enumerate(batch.lengths):
        one, cut = slice(row, row + 1), slice(0, length)
        targets = batch.targets[one, cut] if task.return_sequences else batch.targets[one]
        alone = task.oracle(Batch(batch.inputs[one, cut], targets, batch.mask[one, cut], batch.lengths[one]))
        where = batch.mask[row, cut]
        expected, got = (
            (together[row, cut][where], alone[0][where]) if task.return_sequences else (together[row], alone[0])
        )
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_oracle_meets_the_success_rule_and_the_first_reference_does_not(task: AbstractTask) -> None:
    # A streak is counted in thousands of sequences, whose length does not matter to the rule.
    timesteps = short_lengths(task) if isinstance(task.solved, Streak) else task.default_timesteps
    assert task.solved.is_met(evidence(task, task.oracle, timesteps))
    assert not task.solved.is_met(evidence(task, task.references(timesteps)[0].predict, timesteps))


def evidence(task: AbstractTask, predict: Callable[[Batch], Any], timesteps: Lengths) -> Evidence:
    rule = task.solved
    right, losses, metrics = [], [], []
    for batch in batches(task, timesteps, rule.sequences if isinstance(rule, Streak) else 2560):
        outputs = predict(batch)
        right.append(task.correct(outputs, batch))
        losses.append(mean_loss(task, outputs, batch))
        metrics.append(task.metrics(outputs, batch))
    validation = {name: float(np.mean([found[name] for found in metrics])) for name in metrics[0]}
    loss = float(np.mean(losses))
    return Evidence({"loss": loss, **validation}, np.concatenate(right), loss)


def test_metrics_agree_with_correct(task: AbstractTask) -> None:
    batch = draw(task)
    outputs = task.oracle(batch).copy()
    outputs[::2] = stream(3, "outputs").normal(size=outputs[::2].shape)
    right = task.correct(outputs, batch)
    assert (right.shape, right.dtype) == ((32,), bool)
    assert task.metrics(outputs, batch)["error_rate"] == pytest.approx(1 - right.mean(), abs=1e-12)


def test_the_oracle_is_better_in_every_metric_by_its_declared_direction(task: AbstractTask) -> None:
    batch = draw(task)
    best, worst = (
        task.metrics(predict(batch), batch)
        for predict in (task.oracle, task.references(task.default_timesteps)[0].predict)
    )
    assert best.keys() == worst.keys()
    for name, value in best.items():
        assert value > worst[name] if task.higher_is_better(f"validation/{name}") else value < worst[name], name
    assert not task.higher_is_better("loss")
    assert task.maximised <= best.keys()
