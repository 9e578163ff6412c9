"""A sweep in tables: the plan with its cost, and where all trials stand."""

from collections.abc import Mapping, Sequence
from json import dumps
from typing import Any

from rnnlab.cli.commands._training import duration
from rnnlab.cli.render.output import console, show, show_json, show_text
from rnnlab.cli.render.result import figure
from rnnlab.config.sweep import SweepOptions
from rnnlab.core.allotment import allotted_cpus
from rnnlab.core.text import visible
from rnnlab.sweeps.account import ORDER, Account
from rnnlab.sweeps.estimate import Estimate, estimate
from rnnlab.sweeps.plan import Trial
from rnnlab.sweeps.planning import Planned
from rnnlab.sweeps.slurm import Job
from rnnlab.sweeps.study import bounds

_MOST_FAILURES = 20
_MOST_JOBS = 20


def show_plan(planned: Planned, *, json: bool) -> None:
    """Print every trial, what it sets, and what all of them cost."""
    if planned.plan.search is not None:
        _show_search(planned, planned.plan.search, json=json)
        return
    cost = estimate(planned.experiments)
    if json:
        show_json("sweep-plan", _plan_as_json(planned, cost))
        return
    keys = list(dict.fromkeys(key for trial in planned.plan.trials for key in trial.values))
    rows = [["trial", *keys], *(_row(trial, keys) for trial in planned.plan.trials)]
    show_text(_columns(rows))
    show(_cost_line(cost, len(planned.plan.trials)))


def _show_search(planned: Planned, options: SweepOptions, *, json: bool) -> None:
    """Print what trials are proposed from, and what they may cost."""
    largest = max(one.training.steps for one in planned.experiments.values())
    total, name = planned.plan.total, planned.plan.metric.name
    if json:
        plan = planned.plan.model_dump(mode="json", by_alias=True, exclude={"format"})
        show_json("sweep-plan", {**plan, "total": total})
        return
    show(f"each trial proposed from {bounds(options)}", f"by {name}, to be {options.metric.goal}d")
    drawn = f"{len(planned.experiments):,} combinations drawn at random can all be trained"
    show(f"{total:,} trials, at most {largest * total:,} steps; {drawn}")


def _columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as plain lines: a thousand are for `less` and `grep`, and a cell that is folded is for neither."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{visible(line)}\n" for line in lines)


def _row(trial: Trial, keys: Sequence[str]) -> list[str]:
    return [trial.name, *(_text(trial.values[key]) if key in trial.values else "—" for key in keys)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)


def _cost_line(cost: Estimate, trials: int) -> str:
    line = f"{trials:,} trials, at most {cost.steps:,} steps and {cost.sequences:,} sequences"
    if cost.seconds is None:
        return f"{line}; seconds are not estimated on Keras"
    workers = min(allotted_cpus(), trials)
    some, kinds = cost.measured
    how = f"from a few measured steps of {some:,} of {kinds:,} shapes"
    return f"{line}; at most about {duration(cost.seconds / workers)} on {workers} processors, {how}"


def _plan_as_json(planned: Planned, cost: Estimate) -> dict[str, Any]:
    plan = planned.plan.model_dump(mode="json", exclude={"format"})
    for trial in plan["trials"]:
        trial["config"] = planned.experiments[trial["name"]].resolved()
    told = {"steps": cost.steps, "sequences": cost.sequences, "processor_seconds": cost.seconds}
    return {**plan, "estimate": told}


def show_account(account: Account, jobs: Mapping[str, Job] | None = None, *, json: bool, again: bool = False) -> None:
    """Print where a sweep stands.

    Args:
        account: Where.
        jobs: The newest Slurm job of each trial that has one and is not over, by the trial's name.
        json: As one JSON object.
        again: In place of what was printed before, on a terminal.
    """
    if json:
        show_json("sweep-status", _with_jobs(account.as_json(), jobs or {}))
        return
    screen = console()
    if again and screen.is_terminal:
        screen.clear()
    show(_counts_line(account), *_best_line(account), *_failure_lines(account))
    if jobs:
        _show_jobs(account, jobs)


def _with_jobs(told: dict[str, Any], jobs: Mapping[str, Job]) -> dict[str, Any]:
    for trial in told["trials"]:
        job = jobs.get(trial["name"])
        trial["job"] = None if job is None else {"id": job.id, "state": job.state, "log": job.log}
    return told


def _show_jobs(account: Account, jobs: Mapping[str, Job]) -> None:
    """Print what is left to do as a table with a column for the queue; what runs comes first."""
    left = sorted((one for one in account.standings if one.trial.name in jobs), key=lambda one: one.state != "running")
    rows = [["trial", "state", "step", "job", "queue"]]
    for one in left[:_MOST_JOBS]:
        job = jobs[one.trial.name]
        queue = job.state + (f" ({job.reason})" if job.waits and job.reason else "")
        rows.append([one.trial.name, one.state, f"{one.step:,}", job.id, queue])
    show_text(_columns(rows))
    if len(left) > _MOST_JOBS:
        show(f"… and {len(left) - _MOST_JOBS:,} more (--json has all)")


def _counts_line(account: Account) -> str:
    counts = account.counts
    parts = [f"{counts[state]:,} {state}" for state in ORDER if counts[state]]
    left = f"; about {duration(account.seconds_left)} left" if account.seconds_left is not None else ""
    solved = f" ({account.solved:,} solved)" if account.solved else ""
    told = ", ".join(parts).replace(" completed", f" completed{solved}", 1)
    total = account.plan.total
    return visible(f"{account.sweep.path}: {told}, of {total:,} trial{'s' * (total != 1)}{left}")


def _best_line(account: Account) -> list[str]:
    if account.best is None:
        return []
    metric, value = account.plan.metric, account.results[account.best]
    return [visible(f"best {metric.name}: {figure(value)} in {account.best}")]


def _failure_lines(account: Account) -> list[str]:
    failures = account.failures
    lines = [visible(f"{one.trial.name} {one.state}: {one.reason}") for one in failures[:_MOST_FAILURES]]
    rest = len(failures) - _MOST_FAILURES
    return [*lines, f"… and {rest:,} more (--json has all)"] if rest > 0 else lines
