"""The contract of every task: what it draws, that its reference predictors are as stated, that its oracle solves it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths
from rnnlab.core.code_files import located
from rnnlab.core.errors import VerificationError
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.tasks import task_class
from rnnlab.tasks._contract import check_draws, new_task, require_batch
from rnnlab.tasks.base import AbstractTask, NoRule, Streak, is_largest, mean_loss
from rnnlab.testing._measuring import Measured, at_scored, batches, draw, lengths_to_try, short_lengths
from rnnlab.testing._memoryless import search

_MOST_SEQUENCES = 3_000_000
_PRECISION = 0.005  # the largest standard error of a measured loss, relative to the loss
_ROUNDING = 1e-9


def check_task(
    task: str | type[AbstractTask] | AbstractTask,
    options: Mapping[str, Any] | None = None,
    *,
    precise: bool = False,
) -> None:
    """Pass if a task keeps the contract of all tasks: what it draws, its baseline, its references and its oracle.

    Its batches have the shapes that it states, and are a function of the random numbers that they are drawn from. Each
    reference predictor has the loss that it states, as far as a few thousand sequences can tell; none that needs no
    memory looks beyond its own step; and a constant, bins, a linear and a small network, fitted to single steps, do not
    beat the baseline. Its oracle, if it has one, reads no target, has its loss and meets the success rule.

    Args:
        task: A path, `./my_task.py:MyTask`, relative to the current folder; the name of a task; a class or an object.
        options: Its options, where those are not the defaults.
        precise: Measure the losses to half a percent, on up to three million short sequences, and search longer.

    Raises:
        VerificationError: What is not as it must be, with the numbers.
        UsageError: It cannot even be drawn from; with file and line.
    """
    if not isinstance(task, AbstractTask):
        kind = task_class(located(task)) if isinstance(task, str) else task
        task = new_task(kind, kind.Options.model_validate(dict(options or {})))
    check_batches(task)
    check_losses(task, precise=precise)
    more = {"fitted": 60_000, "scored": 100_000, "updates": 4000} if precise else {}
    search(task, short_lengths(task), **more)
    for check in CHECKS[1:]:
        check(task)


def check_batches(task: AbstractTask) -> None:
    """The batches have their shapes at several lengths, or the task has a reason why there are none."""
    check_draws(task, task.default_timesteps)
    if fault := task.timesteps_fault(task.default_timesteps):
        _fail(task, f"its default lengths {task.default_timesteps} cannot be drawn: {fault}")
    if "step" not in (task.timesteps_fault((0, 0)) or ""):
        _fail(task, "`timesteps_fault` has no reason why sequences of 0 steps cannot be drawn")
    for timesteps in lengths_to_try(task).values():
        if task.timesteps_fault(timesteps) is None:
            require_batch(task, draw(task, timesteps, size=4), 4, timesteps)


def check_parts(task: AbstractTask) -> None:
    """Other numbers of a stream, and other streams, give other sequences; the same ones the same."""
    fixed = (task.default_timesteps[1],) * 2
    # Of one length there may be a single sequence.
    is_fixed = task.timesteps_fault(fixed) is None and np.ptp(draw(task, fixed).inputs, axis=0).any()
    timesteps = fixed if is_fixed else task.default_timesteps
    first = draw(task.part("train"), timesteps)
    of_validation = draw(task.part("validation"), timesteps, name="data/validation")
    others = {
        "batch 1": (first, draw(task.part("train"), timesteps, n=1)),
        "the validation stream": (first, of_validation),
        "the test stream": (of_validation, draw(task.part("test"), timesteps, name="data/test")),
    }
    for name, (one, other) in others.items():
        if np.array_equal(one.inputs, other.inputs):
            _fail(task, f"{name} has the same 32 sequences as batch 0 of another: does `sample` use `rng`?")


def check_order(task: AbstractTask) -> None:
    """The losses of the references fall to that of the oracle, and none is below zero."""
    for timesteps in (task.default_timesteps, short_lengths(task)):
        losses = [reference.loss for reference in task.references(timesteps)]
        losses += [task.oracle_loss(timesteps)] if task.has_oracle else []
        if losses != sorted(set(losses), reverse=True) or losses[-1] < 0:
            _fail(task, f"the references and the oracle have the losses {losses}, expected falling ones from 0 up")


def check_memory(task: AbstractTask) -> None:
    """A reference without memory answers the same when the answered steps are in another order; another does not."""
    longest = short_lengths(task)[1]
    timesteps = (longest, longest) if task.timesteps_fault((longest, longest)) is None else task.default_timesteps
    batch = task.sample(stream(12, "batch"), batch_size=40, timesteps=timesteps)
    order = np.tile(np.arange(batch.mask.shape[1]), (batch.size, 1))
    inputs = batch.inputs.copy()
    if task.return_sequences:
        for row, mask in enumerate(batch.mask):
            order[row, mask] = stream(12, "order", row).permutation(np.flatnonzero(mask))
        inputs = np.take_along_axis(inputs, order[:, :, None], axis=1)
    else:
        inputs[:, :-1] = np.roll(inputs[:, :-1], 1, axis=0)
    other = replace(batch, given=inputs)
    for reference in task.references(short_lengths(task)):
        before, after = reference.predict(batch), reference.predict(other)
        expected = np.take_along_axis(before, order[:, :, None], axis=1) if task.return_sequences else before
        scored = batch.mask if task.return_sequences else slice(None)
        is_same = np.allclose(np.broadcast_to(after, expected.shape)[scored], expected[scored], atol=_ROUNDING)
        if is_same is reference.needs_memory:
            does = "does not look" if is_same else "looks"
            _fail(task, f"{reference.name!r} {does} beyond its own step, but has needs_memory={reference.needs_memory}")


def check_metrics(task: AbstractTask) -> None:
    """The error rate is that of `correct`, which is one truth value for each sequence."""
    batch = draw(task)
    best = task.references(task.default_timesteps)[-1].predict
    outputs = np.array(task.oracle(batch) if task.has_oracle else best(batch), float)
    outputs[::2] = stream(3, "outputs").normal(size=outputs[::2].shape)
    right = task.correct(outputs, batch)
    if right is None:
        return
    stated = task.metrics(outputs, batch).get("error_rate", float("nan"))
    if (right.shape, right.dtype) != ((32,), np.dtype(bool)) or not abs(stated - (1 - right.mean())) <= _ROUNDING:
        _fail(task, f"error_rate is {stated}, and `correct` gives {1 - right.mean()}")
    if unknown := task.maximised - task.metrics(outputs, batch).keys():
        _fail(task, f"`maximised` names {sorted(unknown)}, which are no metrics of it")


def check_rule(task: AbstractTask) -> None:
    """The oracle meets the success rule, and the first reference does not."""
    # A streak is counted in thousands of sequences, whose length does not matter to the rule.
    timesteps = short_lengths(task) if isinstance(task.solved, Streak) else task.default_timesteps
    if task.solved.is_met(*_scored(task, task.references(timesteps)[0].predict, timesteps)):
        _fail(task, f"the success rule, {task.solved}, is met by {task.references(timesteps)[0].name!r}")
    is_solvable = task.has_oracle and not isinstance(task.solved, NoRule)
    if is_solvable and not task.solved.is_met(*_scored(task, task.oracle, timesteps)):
        _fail(task, f"the success rule, {task.solved}, is not met by the oracle")


def check_oracle(task: AbstractTask) -> None:
    """The oracle reads each sequence alone and no target; it is always right where nothing is noise."""
    if not task.has_oracle:
        return
    batch = draw(task, size=8)
    together = _oracle(task, replace(batch, targets=np.zeros_like(batch.targets)))
    for row, length in enumerate(batch.lengths):
        one, cut = slice(row, row + 1), slice(0, length)
        targets = batch.targets[one, cut] if task.return_sequences else batch.targets[one]
        alone = _oracle(task, Batch(batch.inputs[one, cut], targets, batch.mask[one, cut], batch.lengths[one]))
        where = batch.mask[row, cut]
        expected, got = (
            (together[row, cut][where], alone[0][where]) if task.return_sequences else (together[row], alone[0])
        )
        if not np.allclose(got, expected, rtol=1e-9, atol=1e-12):
            _fail(task, "the oracle answers otherwise when it has a sequence alone, or other targets")
    for timesteps in lengths_to_try(task).values():
        if task.timesteps_fault(timesteps) is None and task.oracle_loss(timesteps) == 0:
            batch = draw(task, timesteps, size=16)
            right = task.correct(LOSSES[task.loss].answers(_oracle(task, batch)), batch)
            if right is not None and not right.all():
                _fail(task, f"the oracle is wrong in {int((~right).sum())} of 16 sequences at lengths {timesteps}")


CHECKS: tuple[Callable[[AbstractTask], None], ...] = (
    check_batches,
    check_parts,
    check_order,
    check_memory,
    check_metrics,
    check_rule,
    check_oracle,
)


def check_losses(task: AbstractTask, *, precise: bool = False) -> None:
    """The references and the oracle have the losses that they state: within four standard errors."""
    timesteps = short_lengths(task) if precise else task.default_timesteps
    stated = [(one.name, one.loss, one.predict) for one in task.references(timesteps)]
    if task.has_oracle:
        stated.append(("oracle", task.oracle_loss(timesteps), lambda batch: _oracle(task, batch)))
    for name, loss, predict in stated:
        found = Measured()
        for batch in batches(task, timesteps, _MOST_SEQUENCES if precise and loss > 0 else 2000):
            found.add(task, at_scored(task, predict(batch), batch), batch)
            if precise and found.error < _PRECISION * found.loss:
                break
        if precise and name != "oracle" and found.error >= _PRECISION * loss:
            _fail(task, f"the loss of {name!r} cannot be measured: {found.loss:.6g} ± {found.error:.2g}")
        if not abs(found.loss - loss) <= 4 * found.error + _ROUNDING:
            measured = f"{found.loss:.6g} ± {found.error:.2g} on {found.sums.shape[1]:,} sequences"
            _fail(task, f"{name!r} states the loss {loss:.6g}, measured {measured}")


def _scored(task: AbstractTask, predict: Callable[[Batch], Any], timesteps: Lengths) -> tuple[dict[str, float], int]:
    """Return the metrics of a predictor, and on how many sequences."""
    rule = task.solved
    sizes, losses, metrics = [], [], []
    for batch in batches(task, timesteps, rule.sequences if isinstance(rule, Streak) else 2560):
        outputs = predict(batch)
        sizes.append(batch.size)
        losses.append(mean_loss(task, outputs, batch))
        metrics.append(task.metrics(LOSSES[task.loss].answers(outputs), batch))
    found = {
        name: float(
            np.max([one[name] for one in metrics])
            if is_largest(name)
            else np.average([one[name] for one in metrics], weights=sizes)
        )
        for name in metrics[0]
    }
    return {"loss": float(np.mean(losses)), **found}, sum(sizes)


def _oracle(task: AbstractTask, batch: Batch) -> Array:
    return np.asarray(task.oracle(batch))


def _fail(task: AbstractTask, problem: str) -> NoReturn:
    raise VerificationError(problem, where=type(task).__name__)
