"""What a training remembers from step to step: its place, success, the best so far, and averages."""

from collections import deque
from collections.abc import Mapping
from dataclasses import InitVar, asdict, dataclass, field, fields
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, TypeAdapter

from rnnlab.config.blocks import PlateauOptions
from rnnlab.storage.fields import LARGEST_STEP, Seconds, Step
from rnnlab.storage.summary import SolvedAt
from rnnlab.storage.weights import list_differences
from rnnlab.tasks.base import Evidence, NoRule, Streak, SuccessRule

Array = NDArray[Any]

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
        metrics: Of that evaluation.
        solved_at: When the task's rule was first met: `step`, `sequences` and `seconds`.
        seconds: Time spent in earlier processes and, when saved, in this one.
    """

    step: Step = 0
    updates: Step = 0
    evaluated: Annotated[int, Field(ge=-1, le=LARGEST_STEP)] = -1
    metrics: dict[str, float] = field(default_factory=dict)
    solved_at: Annotated[dict[str, float | int], AfterValidator(_checked)] | None = None
    seconds: Seconds = 0.0


class Success:
    """Watches the training stream and the validations for the moment the task's rule is met.

    Args:
        rule: The task's success rule.
        batch_size: Sequences per training step.
    """

    def __init__(self, rule: SuccessRule, batch_size: int) -> None:
        self._rule = rule
        window = rule.sequences if isinstance(rule, Streak) else batch_size
        self._recent: Array = np.zeros(window, bool)  # sequences not seen yet count as wrong
        self._losses: deque[float] = deque(maxlen=-(-window // batch_size))

    def state(self) -> State:
        return {"recent": self._recent.copy(), "losses": np.array(self._losses, np.float64)}

    def restore(self, state: State) -> None:
        losses = state["losses"]
        expected = {"recent": (self._recent.shape, "bool"), "losses": (losses.shape[:1], "float64")}
        if differences := list_differences(state, expected):
            raise ValueError("; ".join(differences))
        self._recent[...] = state["recent"]
        self._losses.clear()
        self._losses.extend(losses.tolist())

    def after_step(self, correct: Array, loss: float) -> bool:
        """Take in a training batch; return whether the rule is met by the training stream."""
        new = correct[-len(self._recent) :]
        self._recent[: -len(new)] = self._recent[len(new) :]
        self._recent[-len(new) :] = new
        self._losses.append(loss)
        return isinstance(self._rule, Streak) and self._rule.is_met(self._evidence(None))

    def after_validation(self, metrics: Mapping[str, float]) -> bool:
        """Return whether the rule is met by these metrics."""
        return not isinstance(self._rule, Streak) and self._rule.is_met(self._evidence(metrics))

    def _evidence(self, validation: Mapping[str, float] | None) -> Evidence:
        return Evidence(validation, self._recent, sum(self._losses) / len(self._losses) if self._losses else np.inf)


@dataclass
class Best(Fields):
    """The lowest validation loss so far, whose weights they were, and how long ago it last improved enough.

    Args:
        plateau: When to call it a plateau; None for never.
    """

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

    def add(self, values: Mapping[str, float]) -> None:
        """Add the numbers of one step, with the same names each time."""
        for name, value in values.items():
            self.totals[name] = self.totals.get(name, 0.0) + value
        self.count += 1

    def take(self) -> dict[str, float]:
        """Return the means and start again; no means if nothing was added."""
        means = {name: total / self.count for name, total in self.totals.items()}
        self.totals, self.count = {}, 0
        return means


def judge(rule: SuccessRule, metrics: Mapping[str, float], sequences: int) -> bool | None:
    """Return whether scored sequences meet a success rule outside training; None where there is no rule.

    A rule over the newest training sequences is applied to these, in proportion to their number.

    Example:
        >>> judge(Streak(sequences=2000, wrong=140), {"error_rate": 0.07, "loss": 0.1}, 1000)
        True
        >>> judge(Streak(sequences=2000), {"error_rate": 0.001, "loss": 0.1}, 1000)
        False
    """
    if isinstance(rule, NoRule):
        return None
    if not isinstance(rule, Streak):
        return rule.is_met(Evidence(metrics, np.zeros(0, bool), metrics["loss"]))
    wrong = round(metrics["error_rate"] * sequences)
    return wrong * rule.sequences <= rule.wrong * sequences and metrics["loss"] < rule.loss_below
