"""The contract of every task, also of those in other packages."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from rnnlab.core.batch import Batch, last_step_mask, within_lengths
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.core.text import docstring_section
from rnnlab.tasks import TASKS, task_class, task_names
from rnnlab.tasks.base import AbstractTask, mean_loss
from tests.tasks.drawing import build, draw, lengths_to_try


def assert_same(left: Batch, right: Batch) -> None:
    for field in dataclasses.fields(Batch):
        np.testing.assert_array_equal(getattr(left, field.name), getattr(right, field.name))


# --- names, options, card ---------------------------------------------------------------------------------------------


def test_name_starts_with_the_stem() -> None:
    for stem in TASKS.names():
        assert {member.name.partition("@")[0] for member in TASKS.get(stem)} == {stem}
        assert task_class(stem) is TASKS.get(stem)[0]
    assert len(task_names()) == len(set(task_names()))


def test_options_and_card(task: AbstractTask) -> None:
    """Options survive JSON and are described; the card has all its parts."""
    options = type(task).Options()
    assert options.type == task.name
    plain = options.model_dump(mode="json")
    assert type(task).Options.model_validate_json(json.dumps(plain)) == options == type(task).Options(**plain)
    fields = {name: field for name, field in type(task).Options.model_fields.items() if name != "type"}
    assert [name for name, field in fields.items() if len(field.description or "") < 10] == []
    card = task.card
    assert len(card.title) > 10
    assert len(card.definition) > 60
    assert len(docstring_section(type(task), "Source")) > 5
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


def test_impossible_lengths_are_explained(task: AbstractTask) -> None:
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
    train, validation, test = task.part("train"), task.part("validation"), task.part("test")
    assert_same(draw(train), draw(build(task.name).part("train")))
    assert not np.array_equal(draw(train).inputs, draw(train, n=1).inputs)
    assert not np.array_equal(draw(train).inputs, draw(validation, name="data/validation").inputs)
    assert not np.array_equal(draw(test, name="data/test").inputs, draw(validation, name="data/validation").inputs)
    assert_same(draw(validation), draw(task))  # until it is asked for another part, it is its validation part
