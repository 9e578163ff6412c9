"""The status of each trial, read from its run folder, and of the sweep as a whole."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import isfinite
from typing import Literal, cast, final, get_args

from rnnlab.core.errors import VerificationError
from rnnlab.core.text import counted
from rnnlab.runs.find import damaged
from rnnlab.runs.run import Run
from rnnlab.storage.jsonfile import look_up
from rnnlab.storage.reading import kind
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.plan import Plan, Trial
from rnnlab.sweeps.records import Failure

State = Literal[
    "completed", "pruned", "running", "queued", "missing", "interrupted", "stale", "failed", "diverged", "damaged"
]
# Nothing is left to do: a training that diverged would diverge again.
FINISHED: frozenset[State] = frozenset({"completed", "diverged", "pruned"})
FAILURES: frozenset[State] = frozenset({"failed", "diverged", "damaged"})
ORDER: tuple[State, ...] = get_args(State)


@final
@dataclass(frozen=True, slots=True)
class TrialStatus:
    """The status of one trial.

    Attributes:
        trial: The trial.
        state: That of its run; `missing`: there is no run yet; `queued`: its job waits in a cluster's queue; `pruned`:
            stopped by a search; `stale`: the process that trained it is dead; `damaged`: its files cannot be read.
        reason: Why it is not completed, in a sentence; may be empty.
        step: Training steps done, as of the last save.
        started: When its run began.
        updated: When its run was last written to.
        result: If completed, the sweep's metric; None where it is missing or not finite.
        solved: Whether the task is solved; None until it is completed.
    """

    trial: Trial
    state: State
    reason: str = ""
    step: int = 0
    started: datetime | None = None
    updated: datetime | None = None
    result: float | None = None
    solved: bool | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in FINISHED


@final
@dataclass(frozen=True, repr=False)
class SweepStatus:
    """The status of a sweep, with that of each trial, or of some, in the plan's order."""

    sweep: SweepFolder
    plan: Plan
    trials: Sequence[TrialStatus]

    @property
    def counts(self) -> Counter[State]:
        """How many trials are in each state."""
        return Counter(one.state for one in self.trials)

    @property
    def finished(self) -> int:
        """How many trials are finished."""
        return sum(one.is_finished for one in self.trials)

    @property
    def failures(self) -> list[TrialStatus]:
        """The trials that failed, diverged or are damaged."""
        return [one for one in self.trials if one.state in FAILURES]

    @property
    def solved(self) -> int:
        """How many trials solved their task."""
        return sum(one.solved is True for one in self.trials)

    @property
    def best(self) -> TrialStatus | None:
        """The completed trial with the best metric, the first of equals; None if no trial has the metric.

        One that solved its task comes before all that did not: a low loss at a shorter length is no success.
        """
        sign = 1 if self.plan.options.metric.goal == "minimize" else -1
        results = [
            (not one.solved, sign * one.result, one.trial.number, one) for one in self.trials if one.result is not None
        ]
        return min(results)[-1] if results else None

    @property
    def in_words(self) -> str:
        """How many trials are in each state, e.g. `5 completed (4 solved), 1 failed, of 6 trials`."""
        counts, solved = self.counts, f" ({self.solved:,} solved)" if self.solved else ""
        parts = [f"{counts[state]:,} {state}" + solved * (state == "completed") for state in ORDER if counts[state]]
        return f"{', '.join(parts)}, of {counted(self.plan.total, 'trial')}"

    def __repr__(self) -> str:
        return f"<SweepStatus of {self.sweep.path.name!r}: {self.in_words}>"

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all are finished, from the mean duration of completed trials; None while none is running."""
        seconds = [
            (one.updated - one.started).total_seconds()
            for one in self.trials
            if one.state == "completed" and one.started and one.updated
        ]
        running, left = self.counts["running"], len(self.trials) - self.finished
        return sum(seconds) / len(seconds) * max(0.0, left - running / 2) / running if seconds and running else None


def sweep_status(sweep: SweepFolder) -> SweepStatus:
    """Return the status of a sweep, from its run folders and stored failures.

    Raises:
        VerificationError: The plan is damaged.
        EnvironmentFault: A file cannot be read.
    """
    plan = sweep.read_plan()
    notes = sweep.read_failures(plan)
    trials = [trial_status(sweep, plan, trial, note=notes.get(trial.name)) for trial in plan.trials]
    return SweepStatus(sweep, plan, trials)


def trial_status(
    sweep: SweepFolder, plan: Plan, trial: Trial, *, note: Failure | VerificationError | None = None
) -> TrialStatus:
    """Return the status of one trial; `note` is its stored failure, which explains what the run folder cannot."""
    run, ended = Run(sweep.run(trial)), TrialStatus(trial, "missing")
    if isinstance(note, VerificationError):
        ended = TrialStatus(trial, "damaged", str(note))
    elif note:
        ended = TrialStatus(trial, "pruned" if note.pruned else "failed", note.reason)
    if kind(run.path) not in {"missing", "folder"}:
        return TrialStatus(trial, "damaged", f"{run.path}: is not a folder of this sweep (a link, or a file)")
    if kind(run.path / "status.json") == "missing":
        return ended
    try:
        stored, state = run.status, cast("State", run.state)
    except Exception as fault:  # see `damaged`
        return TrialStatus(trial, "damaged", damaged(run.folder, fault).reason)
    status = TrialStatus(trial, state, stored.message, stored.step, stored.started, stored.updated)
    if state == "completed":
        return _completed(status, run, plan.options.metric.name)
    if note and state not in {"running", "diverged"}:
        return replace(status, state=ended.state, reason=ended.reason)
    return replace(status, reason="") if state == "running" else status


def _completed(status: TrialStatus, run: Run, metric: str) -> TrialStatus:
    status = replace(status, reason="")
    try:
        summary = run.summary
    except Exception:  # `rnnlab doctor` reports the damage
        return status
    if summary.name != status.trial.name:
        return replace(status, state="damaged", reason=f"has the run of another trial, {summary.name}")
    value = look_up(summary.model_dump(), metric)
    result = float(value) if isinstance(value, int | float) and isfinite(value) else None
    return replace(status, result=result, solved=summary.solved)
