"""What is reported while a sweep runs."""

from dataclasses import dataclass
from typing import final

from rnnlab.sweeps.plan import Trial
from rnnlab.sweeps.pool import TrialStepped
from rnnlab.sweeps.status import SweepStatus, TrialStatus


@final
@dataclass(frozen=True, slots=True)
class SweepStarted:
    """The sweep starts, with so many workers at most."""

    status: SweepStatus
    workers: int


@final
@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A worker starts or resumes a trial."""

    trial: Trial


@final
@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial has ended so many seconds after its worker got it; None: another process trained it.

    It is `interrupted` also if its worker died; another worker resumes it.
    """

    status: TrialStatus
    seconds: float | None


@final
@dataclass(frozen=True, slots=True)
class SweepEnded:
    """The sweep has ended; `stop_reason` is empty unless it was stopped."""

    status: SweepStatus
    stop_reason: str


Event = SweepStarted | TrialStarted | TrialStepped | TrialEnded | SweepEnded
