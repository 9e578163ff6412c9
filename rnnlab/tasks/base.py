"""The task contract: a generator with its yardstick, its paper's success rule and an oracle that solves it.

A task is one file in this folder. It exports `TASKS`, a tuple of task classes; the file's stem is the plain name and
means the first of them (`adding` is `adding@urnn`), because definitions drift in the literature and a number means
nothing without its definition. Every member goes through `tests/tasks/test_contract.py` and `test_yardsticks.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths
from rnnlab.core.losses import LOSSES
from rnnlab.core.options import Options
from rnnlab.core.success import SuccessRule

Part = Literal["train", "validation"]


@dataclass(frozen=True, slots=True)
class Rung:
    """A step on the ladder from knowing nothing to solving the task: a predictor and what it scores.

    Attributes:
        name: What the predictor knows, e.g. `knows one addend`.
        loss: Its expected loss, exact.
        predict: The predictor itself: a batch to raw outputs. A test measures that it scores `loss`.
    """

    name: str
    loss: float
    predict: Callable[[Batch], Array]


@dataclass(frozen=True, slots=True)
class Published:
    """A published number: what was trained, what it reached, where it is printed."""

    result: str
    source: str


@dataclass(frozen=True, slots=True)
class Card:
    """What a reader needs to cite and judge the task.

    Attributes:
        title: One line.
        definition: The generator in words: inputs, distributions, target, which steps are scored.
        source: Author, year, section.
        differs: Where this definition departs from its source, and why; empty when it does not.
        published: Published results under this definition.
    """

    title: str
    definition: str
    source: str
    differs: str = ""
    published: tuple[Published, ...] = ()


class TaskOptions(Options):
    """Options every task has; a task adds its own typed fields.

    Attributes:
        type: The full name of the definition, e.g. `adding@urnn`.
        paths: Names of the options that hold a path; the config makes it absolute, from the file that gives it.
    """

    paths: ClassVar[tuple[str, ...]] = ()

    type: str


class AbstractTask(ABC):
    """A synthetic task: draws batches, knows what they are worth, and can solve them.

    Attributes:
        name: Full name of the definition, `<stem>` or `<stem>@<source>`.
        Options: The typed options block of this task.
        card: Definition, sources, published numbers.
        loss: Key of `rnnlab.core.losses.LOSSES`.
        return_sequences: True when steps are scored throughout, False when only the last step is.
        solved: The success rule, the paper's own where it has one.
        oracle_loss: What `floor` returns where the lengths do not change it: 0 unless part of the task is noise.
    """

    name: ClassVar[str]
    Options: ClassVar[type[TaskOptions]] = TaskOptions
    card: ClassVar[Card]
    loss: ClassVar[str]
    return_sequences: ClassVar[bool]
    solved: SuccessRule
    oracle_loss: float = 0.0

    def __init__(self, options: TaskOptions) -> None:
        self.options = options

    @property
    @abstractmethod
    def input_features(self) -> int:
        """I, the features of one step."""

    @property
    @abstractmethod
    def output_features(self) -> int:
        """O, the raw outputs of one scored step."""

    @property
    @abstractmethod
    def default_timesteps(self) -> Lengths:
        """The shortest and longest sequence when the config does not say."""

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        """Return why these lengths cannot be drawn (`needs at least 2 steps`), or None when they can."""
        return None if timesteps[0] >= 1 else "needs at least 1 step"

    def part(self, part: Part) -> Self:
        """Return the task that draws from this part of the data; generators that never run dry return themselves."""
        return self

    @abstractmethod
    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        """Draw a batch; T is `timesteps[1]`, each length uniform in the closed range `timesteps`."""

    @abstractmethod
    def rungs(self, timesteps: Lengths) -> tuple[Rung, ...]:
        """Return the ladder, loss descending: what needs no memory, the best of it the baseline; then what does."""

    def memoryless_rungs(self, timesteps: Lengths) -> int:
        """Return how many rungs at the foot of the ladder need no memory; the last of them is the baseline."""
        return 1

    @abstractmethod
    def correct(self, outputs: Array, batch: Batch) -> Array:
        """Return which sequences count as right by the paper's own criterion, (B,) bool.

        Args:
            outputs: Raw outputs, (B, O) or (B, T, O) as `return_sequences` says.
            batch: The batch they answer.
        """

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        """Return metrics beside `loss`, each a mean over sequences; `error_rate` is always among them."""
        return {"error_rate": float(1 - self.correct(outputs, batch).mean())}

    @abstractmethod
    def oracle(self, batch: Batch) -> Array:
        """Return the raw outputs of a tiny program that solves the task from `batch.inputs` alone."""

    def floor(self, timesteps: Lengths) -> float:
        """Return the expected loss of the oracle at these lengths; `oracle_loss` unless the lengths change it."""
        return self.oracle_loss

    def facts(self) -> dict[str, Any]:
        """Return plain data of this instance that a run should record, e.g. the hash and scale of a file it read."""
        return {}

    def baseline(self, timesteps: Lengths) -> float:
        """Return the expected loss of the best predictor without memory."""
        return self.rungs(timesteps)[self.memoryless_rungs(timesteps) - 1].loss


def mean_loss(task: AbstractTask, outputs: Array, batch: Batch) -> float:
    """Return the loss of raw outputs on a batch: the mean over its scored steps."""
    if task.return_sequences:
        outputs, targets = outputs[batch.mask], batch.targets[batch.mask]
    else:
        targets = batch.targets
    return float(LOSSES[task.loss].values(outputs, targets).mean())
