"""What a training remembers from step to step: its place, success, the best so far, and averages."""

from collections.abc import Mapping
from dataclasses import InitVar, asdict, dataclass, field, fields
from math import fsum, inf
from typing import Annotated, Any, Protocol

import numpy as np
from pydantic import AfterValidator, Field, TypeAdapter

from rnnlab.config.blocks import PlateauOptions
from rnnlab.core.batch import Array
from rnnlab.storage.fields import LARGEST_STEP, Seconds, Step
from rnnlab.storage.summary import SolvedAt
from rnnlab.storage.weights import list_differences
from rnnlab.tasks.base import Streak, SuccessRule, Threshold

State = Mapping[str, Any]  # arrays, and data that JSON can represent


class Stateful(Protocol):
    """A part of a training whose state is stored in checkpoints."""

    def state(self) -> State:
        """Return all there is to remember."""

    def restore(self, state: State, /) -> None:
        """Take back what `state` returned, and continue as if never stopped.

        Raises:
            ValueError, KeyError, AttributeError: It is not what `state` returns.
        """


def _checked(solved_at: dict[str, float | int]) -> dict[str, float | int]:
    SolvedAt.model_validate(solved_at)
    return solved_at


@dataclass
class Fields:
    """A part of a training that remembers its fields: numbers, and dictionaries of numbers."""

    def state(self) -> State:
        return asdict(self)

    def restore(self, state: State) -> None:
        for one in fields(self):
            kind: TypeAdapter[Any] = TypeAdapter(one.type)  # type: ignore[arg-type]  # types here, no text
            setattr(self, one.name, kind.validate_python(state[one.name], strict=True))


@dataclass
class Place(Fields):
    """How far a training is.

    Attributes:
        step: Steps done.
        updates: Those that changed the weights; a step whose loss is not finite does not.
        evaluated: The step of the last evaluation, -1 before the first.
        streams: How many had ended then.
        metrics: Of that evaluation.
        solved_at: When the task's rule was first met: `step`, `sequences` and `seconds`.
        seconds: Time spent in earlier processes and, when saved, in this one.
    """

    step: Step = 0
    updates: Step = 0
    evaluated: Annotated[int, Field(ge=-1, le=LARGEST_STEP)] = -1
    streams: Step = 0
    metrics: dict[str, float] = field(default_factory=dict)
    solved_at: Annotated[dict[str, float | int], AfterValidator(_checked)] | None = None
    seconds: Seconds = 0.0


class Success:
    """Watches the training stream and the validations for the moment the task's rule is met."""

    def __init__(self, rule: SuccessRule, batch_size: int) -> None:
        self._rule, self._size = rule, batch_size
        window = rule.sequences if isinstance(rule, Streak) else 0
        self._recent: Array = np.zeros(window, bool)  # sequences not seen yet count as wrong
        self._losses: Array = np.zeros(0)  # of the updates that those sequences came from
        self._most_losses = -(-window // batch_size)

    def state(self) -> State:
        return {"recent": self._recent.copy(), "losses": self._losses.copy()}

    def restore(self, state: State) -> None:
        losses = state["losses"]
        expected = {"recent": (self._recent.shape, "bool"), "losses": (losses.shape[:1], "float64")}
        if differences := list_differences(state, expected):
            raise ValueError("; ".join(differences))
        if len(losses) > self._most_losses:
            raise ValueError("more losses than the rule is about")
        self._recent, self._losses = state["recent"].copy(), losses.copy()

    def may_be_met(self, updates: int) -> bool:
        """Return False if the training stream cannot meet the rule within so many updates, whatever they give."""
        if not isinstance(self._rule, Streak):
            return False
        staying = self._recent[updates * self._size :]  # in the window until the last of them
        return len(staying) - int(np.count_nonzero(staying)) <= self._rule.wrong

    def first_met(self, correct: Array, losses: Array) -> int | None:
        """Return the first of some updates after which the training stream meets the rule, counted from 0.

        Args:
            correct: Which of the new sequences are, in order, (K*B,) bool.
            losses: Training loss of each update, (K,).
        """
        rule = self._rule
        if not isinstance(rule, Streak) or not self.may_be_met(len(losses)):
            return None
        wrong = np.concatenate([[0], np.cumsum(~np.concatenate([self._recent, correct]))])
        ends = len(self._recent) + self._size * np.arange(1, len(losses) + 1)
        enough = wrong[ends] - wrong[ends - rule.sequences] <= rule.wrong
        known, most = np.concatenate([self._losses, losses]), self._most_losses
        if rule.loss_below < inf and enough.any():
            enough &= _may_be_below(known, rule.loss_below, newest=most)[len(self._losses) :]
        for update in np.flatnonzero(enough).tolist():
            end = len(self._losses) + update + 1
            newest = known[max(0, end - most) : end].tolist()
            # `fsum` rounds once: the mean is the same wherever a block begins.
            if rule.loss_below == inf or fsum(newest) / len(newest) < rule.loss_below:
                return update
        return None

    def take(self, correct: Array, losses: Array) -> None:
        """Take in the results of some updates; see `first_met`."""
        self._recent = _newest(self._recent, correct, len(self._recent))
        self._losses = _newest(self._losses, losses, self._most_losses)

    def is_met_by(self, metrics: Mapping[str, float]) -> bool:
        """Return whether the rule is met by these metrics of a validation."""
        return isinstance(self._rule, Threshold) and self._rule.is_met(metrics)


def _may_be_below(losses: Array, bound: float, *, newest: int) -> Array:
    """Return after which losses, (N,), the mean of the newest may be below the bound, as far as rounding decides."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.concatenate([[0.0], np.cumsum(losses)])
        ends = np.arange(1, len(sums))
        starts = np.maximum(0, ends - newest)
        means = (sums[ends] - sums[starts]) / (ends - starts)
        return np.asarray(~(means >= bound + 1e-9 * np.abs(sums).max()))


def _newest(before: Array, new: Array, count: int) -> Array:
    """Return the newest of two arrays in order, `count` at most."""
    together = np.concatenate([before, new])
    return together[max(0, len(together) - count) :]


@dataclass
class Best(Fields):
    """The lowest validation loss so far, whose weights they were, and how long ago it last improved enough."""

    plateau: InitVar[PlateauOptions | None]
    lowest: float | None = None
    improved: float | None = None  # the loss that the next ones are compared with for a plateau
    stalled: Step = 0
    step: Step = 0
    metrics: dict[str, float] = field(default_factory=dict)

    def __post_init__(self, plateau: PlateauOptions | None) -> None:
        self._plateau = plateau
        self.parameters: dict[str, Array] = {}

    def state(self) -> State:
        return {**super().state(), **{f"best/{name}": array for name, array in self.parameters.items()}}

    def restore(self, state: State) -> None:
        super().restore(state)
        self.parameters = {name.removeprefix("best/"): state[name] for name in state if name.startswith("best/")}

    def take(self, loss: float) -> bool:
        """Take in a validation loss; return whether it is the lowest so far."""
        enough = self._plateau.min_improvement if self._plateau else 0.0
        if self.improved is None or loss < self.improved - enough:
            self.improved, self.stalled = loss, 0
        else:
            self.stalled += 1
        is_lowest = self.lowest is None or loss < self.lowest
        self.lowest = loss if is_lowest else self.lowest
        return is_lowest

    def is_plateau(self) -> bool:
        """Return whether the loss has not improved for long enough to stop."""
        return self._plateau is not None and self.stalled >= self._plateau.evaluations


@dataclass
class Averages(Fields):
    """Means of named numbers since the last call of `take`."""

    totals: dict[str, float] = field(default_factory=dict)
    count: Step = 0

    def add(self, values: Mapping[str, Array]) -> None:
        """Add the numbers of some updates, (K,) each, with the same names each time."""
        before = [self.totals.get(name, 0.0) for name in values]
        rows = np.array([before, *zip(*values.values(), strict=True)])  # (1 + K, names)
        # One after another, as it is the same then wherever a block begins.
        self.totals = dict(zip(values, np.add.accumulate(rows)[-1].tolist(), strict=True))
        self.count += len(rows) - 1

    def take(self) -> dict[str, float]:
        """Return the means and start again; no means if nothing was added."""
        means = {name: total / self.count for name, total in self.totals.items()}
        self.totals, self.count = {}, 0
        return means
