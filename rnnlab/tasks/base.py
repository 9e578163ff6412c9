"""The task contract: a generator with its yardstick, its paper's success rule and an oracle that solves it.

A task is one file in this folder. It exports `TASKS`, a tuple of task classes; the file's stem is the plain name and
means the first of them (`adding` is `adding@urnn`), because definitions drift in the literature and a number means
nothing without its definition. Every member goes through `tests/tasks/test_contract.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.losses import LOSSES
from rnnlab.core.options import Options

Array = NDArray[Any]
Lengths = tuple[int, int]
Part = Literal["train", "validation"]


@dataclass(frozen=True, slots=True)
class Batch:
    """B sequences of up to T steps; what lies beyond a sequence's own length is zero and is never scored.

    Attributes:
        inputs: (B, T, I), float64.
        targets: Real (B, O), or integer classes (B,), when only one step a sequence is scored; real (B, T, O), or
            integer (B, T), when steps are scored throughout.
        mask: (B, T), bool: the steps that are scored. Last-step tasks have one True a row, at `lengths - 1`.
        lengths: (B,), int: the steps of each sequence, 1 … T.
    """

    inputs: Array
    targets: Array
    mask: Array
    lengths: Array

    @property
    def size(self) -> int:
        """The number of sequences, B."""
        return len(self.inputs)


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


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a success rule may look at.

    Attributes:
        validation: Metrics of the newest validation, or None when this step had none.
        recent: Correctness of the newest training sequences, oldest first, (N,) bool.
        recent_loss: Mean training loss over the batches those sequences came from.
    """

    validation: Mapping[str, float] | None
    recent: Array
    recent_loss: float


@dataclass(frozen=True, slots=True)
class Streak:
    """Of the last `sequences` training sequences at most `wrong` are wrong, and their mean loss is below `loss_below`.

    Example:
        >>> rule = Streak(sequences=3, wrong=0)
        >>> rule.is_met(Evidence(None, np.array([False, True, True, True]), 0.0))
        True
        >>> rule.is_met(Evidence(None, np.array([True, True]), 0.0))
        False
    """

    sequences: int
    wrong: int = 0
    loss_below: float = float("inf")

    def is_met(self, evidence: Evidence) -> bool:
        """Return whether the evidence satisfies the rule."""
        newest = evidence.recent[-self.sequences :]
        enough = len(newest) == self.sequences and self.sequences - int(newest.sum()) <= self.wrong
        return bool(enough and evidence.recent_loss < self.loss_below)

    def __str__(self) -> str:
        limit = "all" if self.wrong == 0 else f"all but {self.wrong}"
        loss = "" if self.loss_below == float("inf") else f", with a mean training loss below {self.loss_below:g}"
        return f"{limit} of the last {self.sequences:,} training sequences correct{loss}"


@dataclass(frozen=True, slots=True)
class Threshold:
    """The validation metric `metric` is at most `at_most`.

    Example:
        >>> Threshold("error_rate", 0.01).is_met(Evidence({"error_rate": 0.008}, np.zeros(0), 1.0))
        True
    """

    metric: str
    at_most: float

    def is_met(self, evidence: Evidence) -> bool:
        """Return whether the evidence satisfies the rule; False without a validation."""
        return evidence.validation is not None and evidence.validation[self.metric] <= self.at_most

    def __str__(self) -> str:
        return f"validation {self.metric} at most {self.at_most:g}"


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of several validation thresholds hold at once."""

    rules: tuple[Threshold, ...]

    def is_met(self, evidence: Evidence) -> bool:
        """Return whether the evidence satisfies every rule; False without a validation."""
        return all(rule.is_met(evidence) for rule in self.rules)

    def __str__(self) -> str:
        return " and ".join(map(str, self.rules))


SuccessRule = Streak | Threshold | AllOf


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
        memoryless_rungs: How many rungs at the foot of the ladder need no memory; the last of them is the baseline.
    """

    name: ClassVar[str]
    Options: ClassVar[type[TaskOptions]] = TaskOptions
    card: ClassVar[Card]
    loss: ClassVar[str]
    return_sequences: ClassVar[bool]
    solved: SuccessRule
    oracle_loss: float = 0.0
    memoryless_rungs: int = 1

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
        return self.rungs(timesteps)[self.memoryless_rungs - 1].loss


def draw_lengths(rng: np.random.Generator, batch_size: int, timesteps: Lengths) -> Array:
    """Return (B,) lengths, uniform in the closed range `timesteps`."""
    return rng.integers(timesteps[0], timesteps[1] + 1, size=batch_size)


def last_step_mask(lengths: Array, timesteps: int) -> Array:
    """Return the (B, T) mask that is True at each sequence's last step only.

    Example:
        >>> last_step_mask(np.array([1, 3]), 3).astype(int).tolist()
        [[1, 0, 0], [0, 0, 1]]
    """
    return np.asarray(np.arange(timesteps) == lengths[:, None] - 1)


def within_lengths(lengths: Array, timesteps: int) -> Array:
    """Return the (B, T) mask that is True on every step of each sequence.

    Example:
        >>> within_lengths(np.array([1, 3]), 3).astype(int).tolist()
        [[1, 0, 0], [1, 1, 1]]
    """
    return np.asarray(np.arange(timesteps) < lengths[:, None])


def mean_loss(task: AbstractTask, outputs: Array, batch: Batch) -> float:
    """Return the loss of raw outputs on a batch: the mean over its scored steps."""
    if task.return_sequences:
        outputs, targets = outputs[batch.mask], batch.targets[batch.mask]
    else:
        targets = batch.targets
    return float(LOSSES[task.loss].values(outputs, targets).mean())
