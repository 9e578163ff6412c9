"""Where each trial of a sweep stands, as its run folder tells it; what a folder cannot tell was noted beside it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, final

from rnnlab.core.errors import RnnlabError
from rnnlab.storage.reading import kind
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.plan import Plan, Trial

State = Literal[
    "missing", "queued", "running", "completed", "interrupted", "stale", "failed", "diverged", "pruned", "damaged"
]

# In these there is nothing left to do: a training that diverged would only do so again.
OVER: frozenset[State] = frozenset({"completed", "diverged", "pruned"})


@final
@dataclass(frozen=True, slots=True)
class Standing:
    """Where one trial stands.

    Attributes:
        trial: Which.
        state: A run's own state; `missing` where there is no run yet, `queued` where a cluster has it in its queue,
            `pruned` where a search gave it up, `stale` where it says it is running but nobody who is alive trains it,
            `damaged` where its status cannot be read.
        reason: Why it is not completed, in a sentence; empty where there is nothing to say.
        step: Training steps done, as of the last save.
        started: When its run began.
        updated: When its run last said anything.
    """

    trial: Trial
    state: State
    reason: str = ""
    step: int = 0
    started: datetime | None = None
    updated: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do."""
        return self.state in OVER


def standings(sweep: SweepFolder, plan: Plan) -> list[Standing]:
    """Return where every trial stands, in the plan's order, from the run folders alone.

    Raises:
        VerificationError: A note of a failure is damaged.
        EnvironmentFault: The system refused to read.
    """
    notes = sweep.read_failures()
    noted = {name: str(told.get("reason", "")) for name, told in notes.items()}
    pruned = {name for name, told in notes.items() if told.get("pruned") is True}
    found = [standing(sweep, trial, noted=noted.get(trial.name, "")) for trial in plan.trials]
    return [replace(one, state="pruned") if one.trial.name in pruned and not one.is_over else one for one in found]


def standing(sweep: SweepFolder, trial: Trial, *, noted: str = "") -> Standing:
    """Return where one trial stands.

    Args:
        sweep: The sweep.
        trial: Which of its trials.
        noted: What was noted of its failure, which explains a run that could not tell of its end.
    """
    run = sweep.run(trial)
    if kind(run.path / "status.json") == "missing":
        return Standing(trial, "failed" if noted else "missing", noted)
    try:
        status = run.read_status()
        state: State = "stale" if run.is_stale(status) else status.state
    except RnnlabError as fault:
        return Standing(trial, "damaged", str(fault))
    if noted and state not in {*OVER, "running"}:
        state = "failed"
    reason = "" if state in {"completed", "running"} else noted or status.message
    return Standing(trial, state, reason, status.step, status.started, status.updated)


def count(found: Iterable[Standing]) -> Counter[State]:
    """Return how many trials are in each state."""
    return Counter(one.state for one in found)
