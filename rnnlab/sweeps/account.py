"""A sweep told as one: how many trials are where, which failed and why, which is best, when all will be done."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from rnnlab.core.errors import RnnlabError
from rnnlab.runs.rows import look_up
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.plan import Plan
from rnnlab.sweeps.states import Standing, State, standings

ORDER: tuple[State, ...] = (
    "completed", "pruned", "running", "queued", "missing", "interrupted", "stale", "failed", "diverged", "damaged",
)  # fmt: skip
FAILURES: frozenset[State] = frozenset({"failed", "diverged", "damaged"})


@final
@dataclass(frozen=True)
class Account:
    """Where a sweep stands.

    Attributes:
        sweep: Its folder.
        plan: Its trials.
        standings: Where each trial stands, in order.
        results: The sweep's metric of each completed trial that has it, by the trial's name.
        solved: How many completed trials solved their task.
    """

    sweep: SweepFolder
    plan: Plan
    standings: Sequence[Standing]
    results: Mapping[str, float]
    solved: int

    @property
    def counts(self) -> Counter[State]:
        """How many trials are in each state."""
        return Counter(one.state for one in self.standings)

    @property
    def failures(self) -> list[Standing]:
        """The trials that failed, diverged or are damaged."""
        return [one for one in self.standings if one.state in FAILURES]

    @property
    def best(self) -> str | None:
        """The name of the trial with the best metric, the first of equals; None where no trial has it yet."""
        sign = 1 if self.plan.metric.goal == "minimize" else -1
        return min(self.results, key=lambda name: sign * self.results[name], default=None)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all are done, if all take as long as those that are; None while nobody trains any.

        It is counted from the first beginning to the last end of those that are completed, each as it was trained.
        """
        took = [
            (one.updated - one.started).total_seconds()
            for one in self.standings
            if one.state == "completed" and one.started and one.updated
        ]
        running = self.counts["running"]
        left = sum(not one.is_over for one in self.standings)
        return sum(took) / len(took) * max(0.0, left - running / 2) / running if took and running else None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "sweep": str(self.sweep.path),
            "name": self.plan.name,
            "method": self.plan.method,
            "metric": self.plan.metric.model_dump(),
            "counts": {state: self.counts[state] for state in ORDER},
            "solved": self.solved,
            "best": self.best,
            "seconds_left": self.seconds_left,
            "trials": [
                {
                    **one.trial.model_dump(include={"number", "name", "values"}),
                    "state": one.state,
                    "reason": one.reason,
                    "step": one.step,
                    "result": self.results.get(one.trial.name),
                }
                for one in self.standings
            ],
        }


def read_account(sweep: SweepFolder, found: Sequence[Standing] | None = None) -> Account:
    """Return where a sweep stands.

    Args:
        sweep: Its folder.
        found: Where each trial stands, if that is known already.

    Raises:
        VerificationError: The plan is damaged.
        EnvironmentFault: The system refused to read.
    """
    plan = sweep.read_plan()
    found = standings(sweep, plan) if found is None else found
    results: dict[str, float] = {}
    solved = 0
    for one in found:
        if one.state != "completed":
            continue
        try:
            summary = sweep.run(one.trial).read_summary()
        except RnnlabError:  # `rnnlab doctor` tells more; here it has no result
            continue
        solved += summary.get("solved") is True
        value = look_up(summary, plan.metric.name)
        if isinstance(value, int | float):
            results[one.trial.name] = float(value)
    return Account(sweep, plan, found, results, solved)
