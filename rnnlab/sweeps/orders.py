"""What a controller and its workers say to each other: JSON, a line each, on the worker's stdin and stdout."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, final


@dataclass(frozen=True, slots=True)
class AbstractLine:
    """One line; abstract."""

    def to_line(self) -> bytes:
        """Return it as a line of JSON."""
        return (json.dumps({"kind": type(self).__name__, **asdict(self)}) + "\n").encode()


@final
@dataclass(frozen=True, slots=True)
class Train(AbstractLine):
    """Train this trial next.

    Attributes:
        trial: Its name.
        config: Its config file.
        into: Its run folder.
        metric: Dotted name of the number of the summary that is wanted back.
        scores: Whether it is wanted at every evaluation, too.
    """

    trial: str
    config: str
    into: str
    metric: str
    scores: bool = False


@final
@dataclass(frozen=True, slots=True)
class Halt(AbstractLine):
    """Save what is being trained and end it; begin nothing more until told."""

    reason: str


@final
@dataclass(frozen=True, slots=True)
class Ready(AbstractLine):
    """The worker has started and waits for a trial."""


@final
@dataclass(frozen=True, slots=True)
class Progress(AbstractLine):
    """How far the trial is.

    Attributes:
        step: Steps done.
        steps: Of how many.
        loss: Mean training loss of the newest batch; None where it is not finite.
    """

    step: int
    steps: int
    loss: float | None


@final
@dataclass(frozen=True, slots=True)
class Scored(AbstractLine):
    """The validation set was scored.

    Attributes:
        step: Steps done.
        value: The number that was asked for.
    """

    step: int
    value: float


Outcome = Literal["completed", "interrupted", "diverged", "failed", "elsewhere", "retire"]


@final
@dataclass(frozen=True, slots=True)
class Ended(AbstractLine):
    """The trial is over, for now.

    Attributes:
        outcome: `elsewhere`: another process trains it; `retire`: this worker cannot train it, a fresh one can.
        exit_code: That of `rnnlab train`.
        reason: Why it is not completed, in a sentence.
        result: The number that was asked for.
        solved: Whether the task was solved.
    """

    outcome: Outcome
    exit_code: int = 0
    reason: str = ""
    result: float | None = None
    solved: bool | None = None


Line = Train | Halt | Ready | Progress | Scored | Ended
_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Train, Halt, Ready, Progress, Scored, Ended)}


def read_line(line: bytes) -> Line:
    """Return what a line says; raise `ValueError` where it says nothing of this kind.

    Example:
        >>> read_line(Progress(step=2, steps=4, loss=0.5).to_line())
        Progress(step=2, steps=4, loss=0.5)
    """
    told = json.loads(line)
    try:
        read: Line = _KINDS[told.pop("kind")](**told)
    except (AttributeError, KeyError, TypeError) as fault:
        raise ValueError(f"not a line of a sweep: {line[:200]!r}") from fault
    return read
