"""Messages between the runner and its workers: one JSON object per line, on the worker's stdin and stdout."""

import json
from dataclasses import asdict, dataclass
from typing import Literal, final


@final
@dataclass(frozen=True, slots=True)
class Train:
    """To a worker: train this trial next.

    Attributes:
        config: Its config file.
        into: Its run folder.
        metric: Dotted name of the result in the run's summary.
        report_scores: Whether to send that metric at each evaluation, too.
    """

    config: str
    into: str
    metric: str
    report_scores: bool


@final
@dataclass(frozen=True, slots=True)
class Interrupt:
    """To a worker: save the current trial and end it."""

    reason: str


@final
@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: it has started and waits for a trial."""


@final
@dataclass(frozen=True, slots=True)
class Progress:
    """From a worker: steps done, of how many, and the loss of the newest batch; None: it is not finite."""

    step: int
    steps: int
    loss: float | None


@final
@dataclass(frozen=True, slots=True)
class Score:
    """From a worker: the sweep's metric on the validation set after so many steps."""

    step: int
    value: float


@final
@dataclass(frozen=True, slots=True)
class Ended:
    """From a worker: its trial has ended.

    Attributes:
        outcome: `locked`: another process trains it; `needs new worker`: a process can use only one Keras engine.
        reason: Why it is not completed, in a sentence.
        result: The sweep's metric.
        solved: Whether the task is solved.
    """

    outcome: Literal["completed", "interrupted", "diverged", "failed", "locked", "needs new worker"]
    reason: str = ""
    result: float | None = None
    solved: bool | None = None


Message = Train | Interrupt | Ready | Progress | Score | Ended
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (Train, Interrupt, Ready, Progress, Score, Ended)}


def to_line(message: Message) -> bytes:
    """Return a message as a line of JSON."""
    return (json.dumps({"kind": type(message).__name__, **asdict(message)}) + "\n").encode()


def from_line(line: bytes) -> Message:
    """Return the message in a line.

    Raises:
        ValueError: It is not a message.

    Example:
        >>> from_line(to_line(Progress(step=2, steps=4, loss=0.5)))
        Progress(step=2, steps=4, loss=0.5)
    """
    values = json.loads(line)
    try:
        return _KINDS[values.pop("kind")](**values)
    except (AttributeError, KeyError, TypeError) as fault:
        raise ValueError(f"not a message of a sweep: {line[:200]!r}") from fault
