"""What happens while a sweep is trained, told to whoever shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.plan import Plan, Trial
from rnnlab.sweeps.states import Standing


@final
@dataclass(frozen=True, slots=True)
class Begun:
    """The sweep begins; where each of its trials stands."""

    sweep: SweepFolder
    plan: Plan
    standings: Sequence[Standing]
    workers: int


@final
@dataclass(frozen=True, slots=True)
class TrialBegun:
    """A worker has begun with a trial, or goes on with it."""

    trial: Trial


@final
@dataclass(frozen=True, slots=True)
class TrialStepped:
    """How far a trial is: steps done, of how many, and the newest training loss."""

    trial: Trial
    step: int
    steps: int
    loss: float | None


@final
@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial has ended, for now.

    Attributes:
        trial: Which.
        state: `completed`, `interrupted`, `pruned`, `diverged`, `failed`, or `elsewhere`: another process trains it.
        reason: Why it is not completed.
        seconds: Since it was given to its worker; None where another process has trained it.
        result: The sweep's metric.
        solved: Whether the task was solved.
    """

    trial: Trial
    state: str
    reason: str
    seconds: float | None
    result: float | None = None
    solved: bool | None = None


@final
@dataclass(frozen=True, slots=True)
class Lost:
    """A worker has died; its trial is trained on by another."""

    trial: Trial
    how: str


@final
@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more is done.

    Attributes:
        standings: Where each trial stands.
        stopped: Why not all was done, where somebody asked to stop.
    """

    standings: Sequence[Standing]
    stopped: str = ""


Event = Begun | TrialBegun | TrialStepped | TrialEnded | Lost | Over
