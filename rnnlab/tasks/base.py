"""The task contract: a generator, its reference predictors, the success rule of its paper and an oracle that solves it.

A task is one file in this folder. It exports `TASKS`, a tuple of task classes; the file's stem is the plain name and
means the first of them (`adding` is `adding@urnn`), for a loss means nothing without its definition. A task must have
the attributes without a default, `sample` and `references`. `rnnlab.testing.check_task` tests any task.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Self, final

import numpy as np
from pydantic import create_model

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, last_step_mask, within_lengths
from rnnlab.core.data_file import DataFile
from rnnlab.core.losses import LOSSES
from rnnlab.core.options import Options
from rnnlab.core.own_classes import without_place
from rnnlab.core.scaling import Scaling
from rnnlab.core.text import own_paragraphs
from rnnlab.tasks._card import Published, Reference
from rnnlab.tasks._success import NoRule, Streak, SuccessRule, Threshold

__all__ = [
    "CERTAIN",
    "AbstractTask",
    "Array",
    "Batch",
    "Lengths",
    "NoRule",
    "Part",
    "Published",
    "Reference",
    "Streak",
    "SuccessRule",
    "TaskOptions",
    "Threshold",
    "always",
    "draw_lengths",
    "is_largest",
    "last_step",
    "last_step_mask",
    "mean_loss",
    "reference_scores",
    "too_short",
    "within_lengths",
]

Part = Literal["train", "validation", "test"]
# A logit so large that the softmax of the others is exactly 0, and its sigmoid 1, in either precision.
CERTAIN = 1000.0


class TaskOptions(Options):
    """Options every task has; a task adds its own typed fields.

    Attributes:
        type: The full name of the definition, e.g. `adding@urnn`; each task sets it to its own name.
    """

    type: str = ""

    @property
    def files(self) -> dict[str, DataFile]:
        """The files that the task reads, by the name of the option."""
        return {key: value for key in type(self).model_fields if isinstance(value := getattr(self, key), DataFile)}

    def definition(self) -> dict[str, Any]:
        """Return what determines the sequences: all options but where files are, of data and of code."""
        return without_place(self.model_dump())

    def with_files_found(self) -> Self:
        """Return the options with each file at the place where its content is, and with its SHA-256.

        Raises:
            UsageError, VerificationError: See `DataFile.found`.
        """
        return self.model_copy(update={key: file.found() for key, file in self.files.items()})


class AbstractTask(ABC):
    """A synthetic task: it draws batches, and gives reference scores for them.

    A task's docstring is its card: a title; a paragraph that defines it, with inputs, distributions, the target and
    which steps are scored; and the sections `Source` and `Differs`, with author, year and section, and where this
    definition departs from it and why. What does not depend on the options can be a class attribute.

    Attributes:
        name: Full name of the definition, `<stem>` or `<stem>@<source>`.
        Options: Its options: a subclass of `TaskOptions` if it has any besides the length.
        title, definition: The first two paragraphs of its docstring.
        published: Results published for this definition.
        input_features: I, the features of one step.
        output_features: O, the raw outputs of one scored step.
        input_names, output_names: What each is, such as a symbol or a column, for pictures.
        scaling: How the inputs and outputs relate to the columns of a file; None where there is no file.
        forecasts: Where the target is a later value of an input: which input, and how many steps later.
        default_timesteps: The shortest and longest sequence if the config sets none.
        loss: Key of `rnnlab.core.losses.LOSSES`; a config can choose another one of the same targets.
        follows_loss: Whether the losses of references and oracle are those of `loss` where a config chose another one
            (see `AbstractLoss.least`); if not, they are left out then.
        one_hot: Whether the inputs that it draws are `Symbols`; then they take little memory, and time in `lanes`.
        return_sequences: True when steps are scored throughout, False when only the last step is.
        tolerance: A step is wrong where an answer is further from its target; None: the task has no such rule.
        maximised: Names of the metrics of which a higher value is better; of all others, the loss too, a lower one is.
        solved: The success rule, that of the paper where it has one; see `success`. Left out, there is none.
        asked: The rule that a config has in place of it.
    """

    name: ClassVar[str]
    Options: ClassVar[type[TaskOptions]] = TaskOptions
    title: ClassVar[str]
    definition: ClassVar[str]
    published: ClassVar[tuple[Published, ...]] = ()
    input_features: int
    output_features: int
    input_names: Sequence[str] = ()
    output_names: Sequence[str] = ()
    scaling: Scaling | None = None
    forecasts: tuple[int, int] | None = None
    default_timesteps: Lengths
    loss: str
    one_hot: ClassVar[bool] = False
    return_sequences: ClassVar[bool] = False
    follows_loss: ClassVar[bool] = False
    tolerance: ClassVar[float | None] = None
    maximised: ClassVar[frozenset[str]] = frozenset()
    solved: SuccessRule = NoRule()
    asked: SuccessRule | None = None

    def __init_subclass__(cls) -> None:
        if cls.__doc__ or not hasattr(cls, "title"):
            cls.title, cls.definition = own_paragraphs(cls)
        if "name" in cls.__dict__:
            described = cls.Options.__doc__ if cls.Options is not TaskOptions else "No options besides the length."
            field: Any = (Literal[cls.name], cls.name)  # pydantic finds the class by it
            cls.Options = create_model(f"{cls.__name__}Options", __base__=cls.Options, __doc__=described, type=field)

    def __init__(self, options: TaskOptions) -> None:
        self.options = options

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in self.options if key != "type")
        return f"<Task {self.name}{': ' * bool(options)}{options}>"

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        """Return why these lengths cannot be drawn (`needs at least 2 steps`), or None when they can."""
        return too_short(timesteps, 1)

    def success(self, timesteps: Lengths) -> SuccessRule:
        """Return the task's own success rule at these lengths: the same at all, unless the task says otherwise."""
        return self.solved

    @final
    def rule(self, timesteps: Lengths) -> SuccessRule:
        """Return the success rule in use: that of a config, or the task's own."""
        return self.success(timesteps) if self.asked is None else self.asked

    def warnings(self, timesteps: Lengths) -> list[str]:
        """Return what is unusual about the data at these lengths, a sentence each, e.g. how few they are."""
        return []

    def with_scaling(self, scaling: Scaling) -> Self:
        """Return the task on the scale that a network was trained on.

        Raises:
            UsageError: Its columns are not those of the scaling.
        """
        return self

    def part(self, part: Part) -> Self:
        """Return the task that draws from this part; until then one with parts draws from its validation part."""
        return self

    @abstractmethod
    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        """Draw a batch; T is `timesteps[1]`, each length uniform in the closed range `timesteps`."""

    @abstractmethod
    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        """Return the reference predictors at these lengths, the highest loss first; one or more need no memory.

        No predictor that sees only the inputs of the step that it answers has a lower loss than the best of these.
        """

    def baseline(self, timesteps: Lengths) -> float | None:
        """Return the expected loss of the best reference predictor without memory; None where it is not known."""
        if not self.knows_scores:
            return None
        return min(reference.loss for reference in self.references(timesteps) if not reference.needs_memory)

    @property
    def knows_scores(self) -> bool:
        """Whether the losses of `references` and `oracle_loss` are those of the loss in use."""
        return self.follows_loss or self.loss in {"sigmoid_mse", getattr(type(self), "loss", self.loss)}

    def correct(self, outputs: Array, batch: Batch) -> Array | None:
        """Return which sequences are correct by the criterion of the paper, (B,) bool.

        Without a criterion of its own: at all its scored steps the largest output is that of the class, or where
        targets are 0 or 1 each output is on the target's side; of real targets there is none, and no error rate.

        Args:
            outputs: What `answers` of the loss gives of the raw ones, (B, T, O) if `return_sequences`, else (B, O):
                with a cross-entropy the logits, with `sigmoid_mse` the sigmoids. `chances` of the loss gives the
                probabilities that either is.
            batch: The batch they belong to.
        """
        right = LOSSES[self.loss].right(outputs, batch.targets)
        return right if right is None or not self.return_sequences else np.asarray((right | ~batch.mask).all(axis=1))

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        """Return metrics other than `loss`, each a mean over sequences: `error_rate`, if the task has a criterion.

        A metric called `largest_…` is the largest of all sequences instead.
        """
        correct = self.correct(outputs, batch)
        return {} if correct is None else {"error_rate": float(1 - correct.mean())}

    @classmethod
    def higher_is_better(cls, metric: str) -> bool:
        """Return whether a higher value of a metric is better; `validation/loss` and `loss` are the same metric."""
        return metric.rpartition("/")[2] in cls.maximised

    def oracle(self, batch: Batch) -> Array | None:
        """Return the raw outputs of a small program that solves the task from `batch.inputs` alone, if there is one."""
        return None

    @property
    def has_oracle(self) -> bool:
        """Whether there is such a program."""
        return type(self).oracle is not AbstractTask.oracle

    def oracle_loss(self, timesteps: Lengths) -> float:
        """Return the expected loss of the oracle at these lengths: 0 unless part of the task is noise."""
        return 0.0

    def facts(self) -> dict[str, Any]:
        """Return plain data of this instance to store with a run, e.g. the hash and scale of a file it read."""
        return {}


def too_short(timesteps: Lengths, least: int, why: str = "") -> str | None:
    """Return the fault of lengths below `least`, e.g. `needs at least 2 steps: why`, or None.

    Example:
        >>> too_short((1, 9), 2, "one for each number"), too_short((2, 9), 2)
        ('needs at least 2 steps: one for each number', None)
    """
    needed = f"needs at least {least} step{'' if least == 1 else 's'}"
    return None if timesteps[0] >= least else f"{needed}: {why}" if why else needed


def always(*outputs: float) -> Callable[[Batch], Array]:
    """Return the predictor that always gives the same raw outputs, (B, O), or (B, T, O) where each step has a target.

    Example:
        >>> batch = Batch(np.zeros((1, 2, 3)), np.array([[4]]), np.array([[False, True]]), np.array([2]))
        >>> always(0.5, 0.25)(batch).shape  # an integer target for each step
        (1, 2, 2)
    """

    def predict(batch: Batch) -> Array:
        of_each_step = batch.targets.ndim == (3 if batch.targets.dtype.kind == "f" else 2)
        return np.full((*(batch.mask.shape if of_each_step else [batch.size]), len(outputs)), outputs)

    return predict


def last_step(batch: Batch) -> Array:
    """Return the inputs of each sequence's last step, (B, I)."""
    return np.asarray(batch.inputs[np.arange(batch.size), batch.lengths - 1])


def is_largest(metric: str) -> bool:
    """Return whether a metric is the largest of all sequences, and not a mean over them."""
    return metric.startswith("largest_")


def mean_loss(task: AbstractTask, outputs: Array, batch: Batch) -> float:
    """Return the loss of raw outputs on a batch: the mean over its scored steps."""
    scored = batch.mask if task.return_sequences else slice(None)
    outputs, targets = outputs[scored], batch.targets[scored]
    return float(LOSSES[task.loss].values(outputs, targets).mean())


def reference_scores(task: AbstractTask, timesteps: Lengths) -> list[tuple[str, float]]:
    """Return name and loss of each reference predictor and of an oracle, the highest first; the baseline is marked.

    None where they are not known in the loss in use.
    """
    if not task.knows_scores:
        return []
    baseline, references = task.baseline(timesteps), task.references(timesteps)
    best = [one for one in references if one.loss == baseline]
    marked = next((one for one in best if not one.needs_memory), best[0])
    scores = [(f"{one.name} (baseline)" if one is marked else one.name, one.loss) for one in references]
    return [*scores, ("oracle", task.oracle_loss(timesteps))] if task.has_oracle else scores
