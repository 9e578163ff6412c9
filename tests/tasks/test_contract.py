"""The contract of every task, also of those in other packages."""

import dataclasses
import json
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

from rnnlab.core.batch import Batch
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.core.text import docstring_section
from rnnlab.tasks import TASKS, task_class, task_names
from rnnlab.tasks.base import AbstractTask, mean_loss
from rnnlab.testing.tasks import CHECKS, check_losses
from tests.tasks.drawing import build, draw


def assert_same(left: Batch, right: Batch) -> None:
    for name in ("inputs", "targets", "mask", "lengths"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


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
    assert len(task.title) > 10
    assert len(task.definition) > 60
    assert len(docstring_section(type(task), "Source")) > 5
    assert all(result.result and result.source for result in task.published)
    assert str(task.solved).isprintable()


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", CHECKS, ids=attrgetter("__name__"))
def test_it_keeps_the_contract(task: AbstractTask, check: Callable[[AbstractTask], None]) -> None:
    """Of which a user's task is tested by the same checks; see `rnnlab.testing`."""
    check(task)


@pytest.mark.parametrize("precise", [False, True], ids=["default", "precise"])
def test_losses_are_those_that_it_states(task: AbstractTask, precise: bool) -> None:
    check_losses(task, precise=precise)


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
    train, validation = task.part("train"), task.part("validation")
    assert_same(draw(train), draw(build(task.name).part("train")))
    assert_same(draw(validation), draw(task))  # until it is asked for another part, it is its validation part


def test_the_oracle_is_better_in_every_metric_by_its_declared_direction(task: AbstractTask) -> None:
    batch = draw(task)
    best, worst = (
        task.metrics(LOSSES[task.loss].answers(predict(batch)), batch)
        for predict in (task.oracle, task.references(task.default_timesteps)[0].predict)
    )
    assert best.keys() == worst.keys()
    for name, value in best.items():
        assert value > worst[name] if task.higher_is_better(f"validation/{name}") else value < worst[name], name
    assert not task.higher_is_better("loss")
    assert task.maximised <= best.keys()


def test_the_baseline_is_the_best_reference_without_memory(task: AbstractTask) -> None:
    references = task.references(task.default_timesteps)
    assert task.baseline(task.default_timesteps) == min(one.loss for one in references if not one.needs_memory)
    assert task.has_oracle
