"""The contract of every task on the shelf, those of other packages too: one id per task and check."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rnnlab.core.batch import Batch, Lengths, last_step_mask, within_lengths
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.core.success import Evidence, Streak
from rnnlab.tasks import TASKS, task_class, task_names
from rnnlab.tasks.base import AbstractTask, mean_loss

NUMBERS = 2_000_000  # the most input numbers drawn at once
MOST_SEQUENCES = 3_000_000
PRECISION = 0.005  # the largest standard error of a measured loss, relative to the loss


@pytest.fixture(scope="module", params=task_names())
def task(request: pytest.FixtureRequest) -> AbstractTask:
    return build(request.param)


def build(name: str) -> AbstractTask:
    return task_class(name)(task_class(name).Options(type=name))


def draw(
    task: AbstractTask, timesteps: Lengths | None = None, *, size: int = 32, name: str = "data/train", n: int = 0
) -> Batch:
    return task.sample(stream(3, name, n), batch_size=size, timesteps=timesteps or task.default_timesteps)


def batches(task: AbstractTask, timesteps: Lengths, sequences: int) -> Iterator[Batch]:
    size = max(1, min(sequences, NUMBERS // (timesteps[1] * max(task.input_features, task.output_features))))
    for n, first in enumerate(range(0, sequences, size)):
        yield draw(task, timesteps, size=min(size, sequences - first), n=n)


def lengths_to_try(task: AbstractTask) -> dict[str, Lengths]:
    low, high = task.default_timesteps
    return {"default": (low, high), "fixed": (low, low), "range": (low - low // 4, high), "long": (10 * low, 10 * low)}


def assert_same(left: Batch, right: Batch) -> None:
    for field in dataclasses.fields(Batch):
        np.testing.assert_array_equal(getattr(left, field.name), getattr(right, field.name))


# --- names, options, card ---------------------------------------------------------------------------------------------


def test_name_starts_with_the_stem() -> None:
    for stem in TASKS.names():
        assert {member.name.partition("@")[0] for member in TASKS.get(stem)} == {stem}
        assert task_class(stem) is TASKS.get(stem)[0]
    assert len(task_names()) == len(set(task_names()))


def test_options_survive_plain_data_and_json(task: AbstractTask) -> None:
    options = type(task).Options()
    assert options.type == task.name
    plain = options.model_dump(mode="json")
    assert type(task).Options.model_validate_json(json.dumps(plain)) == options == type(task).Options(**plain)


def test_options_are_described(task: AbstractTask) -> None:
    fields = {name: field for name, field in type(task).Options.model_fields.items() if name != "type"}
    assert [name for name, field in fields.items() if len(field.description or "") < 10] == []


def test_card_is_complete(task: AbstractTask) -> None:
    card = task.card
    assert len(card.title) > 10
    assert len(card.definition) > 60
    assert len(card.source) > 5
    assert all(result.result and result.source for result in card.published)
    assert str(task.solved).isprintable()


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["default", "fixed", "range", "long"])
def test_batch_keeps_its_shape(task: AbstractTask, case: str) -> None:
    timesteps = lengths_to_try(task)[case]
    fault = task.timesteps_fault(timesteps)
    if fault is not None:
        assert case != "default"
        assert len(fault) > 10
        return
    batch = draw(task, timesteps, size=4)
    steps, outputs = timesteps[1], task.output_features
    assert batch.inputs.shape == (4, steps, task.input_features)
    assert batch.inputs.dtype == np.float64
    assert (batch.mask.shape, batch.mask.dtype) == ((4, steps), bool)
    assert batch.lengths.shape == (4,)
    assert batch.lengths.dtype.kind == "i"
    scored = (4, steps) if task.return_sequences else (4,)
    if LOSSES[task.loss].integer_targets:
        assert (batch.targets.shape, batch.targets.dtype.kind) == (scored, "i")
        assert batch.targets.min() >= 0
        assert batch.targets.max() < outputs
    else:
        assert (batch.targets.shape, batch.targets.dtype) == ((*scored, outputs), np.float64)
    assert np.isfinite(batch.inputs).all()
    assert np.isfinite(batch.targets).all()
    assert timesteps[0] <= batch.lengths.min() <= batch.lengths.max() <= timesteps[1]


def test_nothing_lies_beyond_a_length(task: AbstractTask) -> None:
    batch = draw(task)
    inside = within_lengths(batch.lengths, batch.inputs.shape[1])
    assert not batch.inputs[~inside].any()
    assert not batch.mask[~inside].any()
    assert batch.mask.any(axis=1).all()
    if task.return_sequences:
        assert not batch.targets[~inside].any()
    else:
        np.testing.assert_array_equal(batch.mask, last_step_mask(batch.lengths, batch.inputs.shape[1]))


def test_impossible_lengths_are_told(task: AbstractTask) -> None:
    assert "step" in (task.timesteps_fault((0, 0)) or "")
    assert task.timesteps_fault(task.default_timesteps) is None


def test_scored_targets_count_and_others_do_not(task: AbstractTask) -> None:
    batch = draw(task)
    steps = (32, batch.inputs.shape[1]) if task.return_sequences else (32,)
    outputs = stream(3, "outputs").normal(size=(*steps, task.output_features))
    loss = mean_loss(task, outputs, batch)
    scored = batch.mask if task.return_sequences else np.ones(32, bool)
    assert mean_loss(task, outputs, _with_other_targets(task, batch, ~scored)) == loss
    for row in range(32):
        one = np.zeros_like(scored)
        one[row] = scored[row]
        assert mean_loss(task, outputs, _with_other_targets(task, batch, one)) != loss


def _with_other_targets(task: AbstractTask, batch: Batch, where: np.ndarray[Any, Any]) -> Batch:
    targets = batch.targets.copy()
    if LOSSES[task.loss].integer_targets:
        targets[where] = (targets[where] + 1) % task.output_features
    else:
        targets[where] += 1.25
    return dataclasses.replace(batch, targets=targets)


def test_a_draw_is_a_function_of_seed_stream_and_number(task: AbstractTask) -> None:
    train, validation = task.part("train"), task.part("validation")
    assert_same(draw(train), draw(build(task.name).part("train")))
    assert not np.array_equal(draw(train).inputs, draw(train, n=1).inputs)
    assert not np.array_equal(draw(train).inputs, draw(validation, name="data/validation").inputs)


# --- yardsticks -------------------------------------------------------------------------------------------------------


def short_lengths(task: AbstractTask) -> Lengths:
    """The cheapest lengths at which a loss can be measured well."""
    return next(t for t in ((12, 15), (12, 12), task.default_timesteps) if task.timesteps_fault(t) is None)


class Measured:
    """A loss measured over sequences: Σ of losses over Σ of scored steps, with its standard error."""

    def __init__(self) -> None:
        self.sums = np.zeros((2, 0))

    def add(self, task: AbstractTask, outputs: np.ndarray[Any, Any], batch: Batch) -> None:
        rows = np.nonzero(batch.mask)[0]
        values = (
            LOSSES[task.loss].values(outputs[batch.mask], batch.targets[batch.mask])
            if task.return_sequences
            else LOSSES[task.loss].values(outputs, batch.targets)
        )
        sums = [np.bincount(rows, weight, minlength=batch.size) for weight in (values, np.ones(len(rows)))]
        self.sums = np.concatenate([self.sums, sums], axis=1)

    @property
    def loss(self) -> float:
        return float(self.sums[0].sum() / self.sums[1].sum())

    @property
    def error(self) -> float:
        residuals = self.sums[0] - self.loss * self.sums[1]
        return float(np.sqrt(np.square(residuals).sum()) / self.sums[1].sum())


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


def test_rungs_descend_from_baseline_to_floor(task: AbstractTask) -> None:
    for timesteps in (task.default_timesteps, short_lengths(task)):
        losses = [*(rung.loss for rung in task.rungs(timesteps)), task.floor(timesteps)]
        assert losses == sorted(set(losses), reverse=True)
        assert task.baseline(timesteps) == losses[task.memoryless_rungs(timesteps) - 1]
        assert losses[-1] >= 0


@pytest.mark.parametrize("precise", [False, True], ids=["default", "precise"])
def test_rungs_score_what_they_say(task: AbstractTask, precise: bool) -> None:
    timesteps = short_lengths(task) if precise else task.default_timesteps
    rungs = task.rungs(timesteps)
    for rung, measured in zip(
        rungs, measure(task, [rung.predict for rung in rungs], timesteps, precise=precise), strict=True
    ):
        assert measured.loss == pytest.approx(rung.loss, abs=4 * measured.error + 1e-9), rung.name
        assert measured.error < PRECISION * rung.loss or not precise, rung.name


def test_no_fit_of_the_present_beats_a_memoryless_baseline(task: AbstractTask) -> None:
    timesteps = short_lengths(task)
    size = 10_000 // timesteps[1] if task.return_sequences else 8000
    weights, measured = fitted(task, draw(task, timesteps, size=size)), Measured()
    batch = draw(task, timesteps, size=size, n=1)
    measured.add(task, present(task, batch) @ weights, batch)
    assert measured.loss > task.baseline(timesteps) - 4 * measured.error


def present(task: AbstractTask, batch: Batch) -> np.ndarray[Any, Any]:
    """What a predictor without memory sees: the input of each step, or of the scored one, and a 1."""
    seen = np.concatenate([batch.inputs, np.ones((*batch.mask.shape, 1))], axis=2)
    return seen if task.return_sequences else seen[batch.mask]


def fitted(task: AbstractTask, batch: Batch) -> np.ndarray[Any, Any]:
    """Weights of the linear outputs that score best on the batch, by Newton steps with a fixed curvature."""
    seen, targets = present(task, batch), batch.targets
    if task.return_sequences:
        seen, targets = seen[batch.mask], targets[batch.mask]
    # No loss on the shelf is more curved than the squared error, whose second derivative is 2: no step is too long.
    pull = 0.5 * np.linalg.inv(seen.T @ seen + 1e-3 * len(seen) * np.eye(seen.shape[1])) @ seen.T
    weights = np.zeros((seen.shape[1], task.output_features))
    for _ in range(40):
        weights -= pull @ LOSSES[task.loss].gradient(seen @ weights, targets)
    return weights


@pytest.mark.parametrize("precise", [False, True], ids=["default", "precise"])
def test_oracle_scores_the_floor(task: AbstractTask, precise: bool) -> None:
    timesteps = short_lengths(task) if precise else task.default_timesteps
    floor = task.floor(timesteps)
    (measured,) = measure(task, [task.oracle], timesteps, precise=precise and floor > 0)
    assert measured.loss == pytest.approx(floor, abs=4 * measured.error + 1e-9)


def test_oracle_is_always_right_when_nothing_is_noise(task: AbstractTask) -> None:
    if task.floor(task.default_timesteps) > 0:
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


def test_oracle_meets_the_success_rule_and_baseline_does_not(task: AbstractTask) -> None:
    timesteps = task.default_timesteps
    assert task.solved.is_met(evidence(task, task.oracle, timesteps))
    assert not task.solved.is_met(evidence(task, task.rungs(timesteps)[0].predict, timesteps))


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
