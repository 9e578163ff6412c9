"""What a task must be, checked before a training depends on it: its attributes, its batches, its reference predictors.

Each error has the file and the line of the method that does not what it must.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnlab.core.batch import Batch, Lengths, last_step_mask, within_lengths
from rnnlab.core.code_faults import code_fault, fail_at, kind_of
from rnnlab.core.errors import UsageError
from rnnlab.core.losses import LOSSES
from rnnlab.core.registry import nearest
from rnnlab.core.streams import stream
from rnnlab.core.symbols import Symbols
from rnnlab.tasks.base import AbstractTask, Reference, Streak, TaskOptions, Threshold, mean_loss

SIZE = 4  # sequences of the batches drawn here
_FLOAT, _WHOLE, _BOOL = "float64", "integers", "bool"
_ARRAYS = "inputs", "targets", "mask", "lengths"


def new_task(kind: type[AbstractTask], options: TaskOptions) -> AbstractTask:
    """Return the task, configured.

    Raises:
        UsageError: One of its attributes is missing or wrong, or an error was raised in a user's file.
    """
    task: AbstractTask = _called(kind, options)
    checks: dict[str, tuple[Callable[[Any], bool], str]] = {
        "input_features": (_is_count, "a number of inputs per step: input_features = 1"),
        "output_features": (_is_count, "a number of outputs per scored step: output_features = 1"),
        "loss": (lambda loss: isinstance(loss, str) and loss in LOSSES, f"one of {', '.join(LOSSES)}"),
        "return_sequences": (lambda one: type(one) is bool, "True or False"),
        "default_timesteps": (_is_lengths, "the shortest and the longest length: default_timesteps = (20, 20)"),
    }
    for name, (is_right, expected) in checks.items():
        if not hasattr(task, name):
            raise UsageError(f"{kind.__name__} has no {name}, expected {expected}", hint=f"add `{name} = …`")
        if not is_right(value := getattr(task, name)):
            known = nearest(value, LOSSES) if name == "loss" and isinstance(value, str) else ""
            raise UsageError(f"{kind.__name__}.{name} is {value!r}, expected {expected}", hint=known)
    return task


def check_draws(task: AbstractTask, timesteps: Lengths, seed: int = 0) -> None:
    """Pass if a task draws what it must, the same for the same random numbers, and its predictors can be scored.

    Raises:
        UsageError: It does not.
    """
    for part in (task.part("train"), task.part("validation")):
        first, again = (
            _called(part.sample, stream(seed, "check"), batch_size=SIZE, timesteps=timesteps) for _ in range(2)
        )
        require_batch(part, first, SIZE, timesteps)
        if isinstance(first.given, Symbols) is not part.one_hot:
            problem = f"returns {kind_of(first.given)} as inputs, and one_hot is {part.one_hot}"
            fail_at(part.sample, problem, f"set one_hot = {not part.one_hot} in the class")
        if differing := [name for name in _ARRAYS if not _is_same(first, again, name)]:
            problem = f"returns other {differing[0]} when it is called with the same rng"
            fail_at(part.sample, problem, "draw all random numbers from `rng`, and change no attribute")
    check_predictors(task.part("validation"), first, timesteps)


def drawn(task: AbstractTask, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
    """Return the batch that a task draws, of the shapes and lengths that machine code takes for granted.

    Raises:
        UsageError: It has others, although those of the first batches were right.
    """
    batch = task.sample(rng, batch_size=batch_size, timesteps=timesteps)
    scored = (batch_size, timesteps[1])[: 1 + task.return_sequences]
    outputs = () if LOSSES[task.loss].integer_targets else (task.output_features,)
    given = batch.given.codes if isinstance(batch.given, Symbols) else batch.given[..., 0]
    found = given.shape, batch.shape[2], batch.mask.shape, batch.targets.shape, batch.lengths.shape
    steps = batch_size, timesteps[1]
    if found != (steps, task.input_features, steps, (*scored, *outputs), (batch_size,)):
        fail_at(task.sample, f"returns other shapes for {batch_size:,} sequences", "see `rnnlab.core.batch.Batch`")
    if not 1 <= batch.lengths.min() <= batch.lengths.max() <= timesteps[1]:
        problem = f"returns lengths from {batch.lengths.min()} to {batch.lengths.max()}, expected 1 to {timesteps[1]}"
        fail_at(task.sample, problem, "draw_lengths(rng, batch_size, timesteps)")
    return batch


def require_batch(task: AbstractTask, batch: object, size: int, timesteps: Lengths) -> None:
    """Pass if a batch of `size` sequences is as `Batch` describes it.

    Raises:
        UsageError: It is not.
    """

    def fail(problem: str, hint: str = "see `rnnlab.core.batch.Batch`") -> None:
        fail_at(task.sample, problem, hint)

    if not isinstance(batch, Batch):
        fail(f"returns {kind_of(batch)}, expected a Batch", "return Batch(inputs, targets, mask, lengths)")
    assert isinstance(batch, Batch)
    steps, outputs, whole = timesteps[1], task.output_features, LOSSES[task.loss].integer_targets
    scored, axes = ((size, steps), "B, T") if task.return_sequences else ((size,), "B")
    targets = (scored, f"({axes})", _WHOLE) if whole else ((*scored, outputs), f"({axes}, O)", _FLOAT)
    expected = {
        "inputs": ((size, steps, task.input_features), "(B, T, I)", _FLOAT),
        "targets": targets,
        "mask": ((size, steps), "(B, T)", _BOOL),
        "lengths": ((size,), "(B)", _WHOLE),
    }
    for name, (shape, of, kind) in expected.items():
        array = getattr(batch, name)
        if not isinstance(array, np.ndarray):
            fail(f"returns {kind_of(array)} as {name}, expected an array {of}")
        if array.shape != shape:
            why = f"; loss {task.loss}, return_sequences {task.return_sequences}" if name == "targets" else ""
            fail(f"returns {name} of shape {array.shape}, expected {of}: {shape}{why}")
        if (array.dtype.kind != "i") if kind == _WHOLE else (array.dtype != kind):
            cast = "int" if kind == _WHOLE else kind.removesuffix("64")
            fail(f"returns {name} of {array.dtype}, expected {kind}", f"convert them: {name}.astype({cast})")
        if not np.isfinite(array).all():
            fail(f"returns {name} that are not finite", "return finite numbers")
    inside = within_lengths(batch.lengths, steps)
    if not timesteps[0] <= batch.lengths.min() <= batch.lengths.max() <= steps:
        given, wanted = sorted(set(batch.lengths.tolist())), f"{timesteps[0]} to {steps}"
        fail(f"returns lengths {given}, expected {wanted}", "draw_lengths(rng, batch_size, timesteps)")
    if whole and not (batch.targets.min() >= 0 and batch.targets.max() < outputs):
        fail(f"returns classes from {batch.targets.min()} to {batch.targets.max()}, expected 0 to {outputs - 1}")
    beyond = {"inputs": batch.inputs, "mask": batch.mask}
    for name, array in (beyond | {"targets": batch.targets} if task.return_sequences else beyond).items():
        if array[~inside].any():
            fail(f"returns {name} beyond the length of a sequence", f"{name} there must be zero: see within_lengths")
    if not batch.mask.any(axis=1).all():
        fail("returns a sequence without a scored step", "set one step of each in mask")
    if not task.return_sequences and not np.array_equal(batch.mask, last_step_mask(batch.lengths, steps)):
        hint = "last_step_mask(lengths, timesteps[1]), or set return_sequences = True"
        fail("returns a mask with other steps than the last of each sequence", hint)


def check_predictors(task: AbstractTask, batch: Batch, timesteps: Lengths) -> None:
    """Pass if the reference predictors, the metrics and the success rule of a task can be used.

    Raises:
        UsageError: They cannot.
    """
    references: object = _called(task.references, timesteps)
    if not isinstance(references, tuple) or not all(isinstance(one, Reference) for one in references):
        fail_at(task.references, f"returns {kind_of(references)}, expected a tuple", "return (Reference(…),)")
    assert isinstance(references, tuple)
    if all(one.needs_memory for one in references):
        problem = "returns no reference predictor without memory, whose loss is the baseline"
        fail_at(task.references, problem, "what is the best constant answer? add a Reference for it")
    for one in references:
        if not math.isfinite(one.loss):
            fail_at(task.references, f"gives {one.name!r} the loss {one.loss}", "state a finite loss")
        _check_outputs(task, _called(one.predict, batch), batch, f"predicts with {one.name!r}")
    if (baseline := _called(task.baseline, timesteps)) is not None and not math.isfinite(baseline):
        fail_at(task.baseline, f"returns {baseline}", "return a finite loss")
    if task.has_oracle:
        _check_outputs(task, _called(task.oracle, batch), batch, "of the oracle returns")
    outputs = np.zeros((*(batch.mask.shape if task.return_sequences else (batch.size,)), task.output_features))
    correct = _called(task.correct, LOSSES[task.loss].answers(outputs), batch)
    if correct is not None and (getattr(correct, "shape", None), getattr(correct, "dtype", None)) != ((SIZE,), bool):
        fail_at(task.correct, f"returns {kind_of(correct)}, expected (B,) bool", "one truth value for each sequence")
    metrics: dict[str, float] = _called(task.metrics, LOSSES[task.loss].answers(outputs), batch)
    rule = _called(task.success, timesteps)
    if isinstance(rule, Streak) and correct is None:
        fail_at(task.correct, "returns None, and the success rule counts correct sequences", "write `correct`")
    if isinstance(rule, Threshold):
        if unknown := sorted(rule.at_most.keys() - {"loss", *metrics}):
            raise UsageError(f"the success rule of {type(task).__name__} has {unknown[0]!r}, which is no metric of it")
        rule.is_met({"loss": 0.0, **metrics})


def _check_outputs(task: AbstractTask, outputs: Any, batch: Batch, what: str) -> None:
    method = task.oracle if "oracle" in what else task.references
    steps, axes = (batch.mask.shape, "B, T") if task.return_sequences else ((batch.size,), "B")
    expected = (*steps, task.output_features)
    if getattr(outputs, "shape", None) != expected:
        given = f"shape {outputs.shape}" if hasattr(outputs, "shape") else kind_of(outputs)
        fail_at(method, f"{what} {given}, expected ({axes}, O): {expected}", "raw outputs, as a network has them")
    if not math.isfinite(mean_loss(task, np.asarray(outputs, float), batch)):
        fail_at(method, f"{what} outputs whose loss is not finite", "for a logit, 1000 is as good as infinity")


def _called(method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Return what a user's method returns; an error in it has its line."""
    try:
        return method(*arguments, **named)
    except UsageError:
        raise
    except Exception as error:
        if fault := code_fault(error):
            raise fault from error
        if isinstance(error, TypeError):  # it takes other arguments
            fail_at(method, f"{type(error).__name__}: {error}", "write it with the arguments of AbstractTask's")
        raise


def _is_same(one: Batch, other: Batch, name: str) -> bool:
    return np.array_equal(getattr(one, name), getattr(other, name))


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _is_lengths(value: object) -> bool:
    is_pair = isinstance(value, tuple) and len(value) == 2 and all(_is_count(one) for one in value)
    return is_pair and value[0] <= value[1]  # type: ignore[index]  # a pair
