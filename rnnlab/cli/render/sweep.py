"""A sweep on the terminal: its plan, its progress while it runs, and its status."""

import json as jsonlib
import math
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from rnnlab.cli.errors import note
from rnnlab.cli.render.output import console, show, show_json, show_text
from rnnlab.cli.render.progress import undisturbed
from rnnlab.cli.render.tables import show_table, table_lines
from rnnlab.config.blocks import Range
from rnnlab.core.code_files import without_path
from rnnlab.core.table import Column, table
from rnnlab.core.text import counted, duration
from rnnlab.core.threads import allotted_cpus
from rnnlab.sweeps.estimate import estimate
from rnnlab.sweeps.events import Event, SweepEnded, SweepStarted, TrialEnded, TrialStarted
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.plan import CheckedSweep
from rnnlab.sweeps.pool import TrialStepped
from rnnlab.sweeps.populations import groups
from rnnlab.sweeps.runner import Reported
from rnnlab.sweeps.slurm.jobs import Job
from rnnlab.sweeps.status import ORDER, SweepStatus, TrialStatus

_LINE_SECONDS = 1.0  # between two lines about completed trials
_REDRAWS_PER_SECOND = 8
_MOST_LINES = 20
_VALUE = Column("value")


def show_plan(checked: CheckedSweep, *, json: bool) -> None:
    """Print every trial, what it sets, and the estimated cost of all; of a search, the ranges and the largest cost."""
    plan, options = checked.plan, checked.plan.options.model_dump(mode="json", by_alias=True)
    document = {"sweep": plan.name, "options": options, "total": plan.total} if json else None
    (_show_search if plan.is_search else _show_trials)(checked, document)


def _show_trials(checked: CheckedSweep, document: dict[str, object] | None) -> None:
    plan, cost = checked.plan, estimate(checked.experiments)
    if document is not None:
        trials = [
            {"run": trial.name, "number": trial.number, "values": trial.values, "config": experiment.resolved()}
            for trial, experiment in zip(plan.trials, checked.experiments.values(), strict=True)
        ]
        estimated = {"steps": cost.steps, "sequences": cost.sequences, "processor_seconds": cost.seconds}
        show_json("sweep-plan", {**document, "trials": trials, "estimate": estimated, "groups": groups(checked)})
        return
    keys = list(dict.fromkeys(key for trial in plan.trials for key in trial.values))
    rows = [[trial.name, *(_text(trial.values.get(key, "—")) for key in keys)] for trial in plan.trials]
    trials_table = table(["trial", *keys], rows, text=keys)
    # Not folded to the width of the terminal, so that `less` and `grep` can be used.
    show_text("".join(f"{line}\n" for line in table_lines(trials_table, sys.maxsize)))
    seconds = "the time is not estimated on Keras, nor with a limit in streams"
    if cost.seconds is not None:
        workers = min(allotted_cpus(), plan.total)
        on = f"on {workers} processor{'s' * (workers != 1)}"
        how = "measured with {:,} of {:,} network shapes".format(*cost.measured)
        seconds = f"at most about {duration(cost.seconds / workers)} {on}, {how}"
    show(*_together(checked))
    most = f"at most {counted(cost.steps, 'step')} and {counted(cost.sequences, 'sequence')}"
    show(f"{counted(plan.total, 'trial')}, {most}; {seconds}")


def _together(checked: CheckedSweep) -> list[str]:
    """Return which trials are trained side by side, and why the others are not, a line each."""
    found = groups(checked)
    if all(group.together == 1 for group in found):
        option = checked.plan.options.population
        why = f"sweep.population is {option}" if option != "auto" else "several at a time would be no faster"
        engines = {(one.backend, one.engine) for one in checked.experiments.values()}
        if option == "auto" and engines == {("keras", "jax")}:
            why = "keras.lanes is 1; a program for more has other last bits, and is faster for small networks alone"
        if all(len(group.trials) == 1 for group in found):
            why = "each has values that no other has"
        return [f"each trial is trained alone: {why}"]
    lines = []
    for group in found[:_MOST_LINES]:
        values = ", ".join(f"{key}={_text(value)}" for key, value in group.shared.items()) or "all"
        how = f"up to {group.together} side by side" if group.together > 1 else "alone"
        lines.append(f"{values}: {counted(len(group.trials), 'trial')}, trained {how}")
    return lines + _more(len(found))


def _show_search(checked: CheckedSweep, document: dict[str, object] | None) -> None:
    plan, options = checked.plan, checked.plan.options
    steps = plan.total * max(one.training.steps for one in checked.experiments.values())
    if document is not None:
        show_json("sweep-plan", {**document, "estimate": {"steps": steps}})
        return
    show(f"{options.metric.goal} {options.metric.name}")
    for key, axis in options.axes.items():
        if isinstance(axis, Range):
            show(f"  {key} from {axis.from_} to {axis.to}{' (log)' if axis.scale == 'log' else ''}")
        else:
            show(f"  {key} in {jsonlib.dumps(axis)}")
    samples = f"{len(checked.experiments):,} random combinations were checked"
    show(f"{counted(plan.total, 'trial')}, at most {steps:,} steps; {samples}")


def _text(value: object) -> str:
    return str(without_path(value)) if isinstance(value, str) else jsonlib.dumps(value)


def show_status(status: SweepStatus, jobs: Mapping[str, Job] | None = None, *, json: bool, clear: bool = False) -> None:
    """Print the status of a sweep, with the newest Slurm job of each unfinished trial that has one, by its name."""
    jobs = jobs or {}
    if json:
        show_json("sweep", _status_json(status, jobs))
        return
    screen = console()
    if clear and screen.is_terminal:
        screen.clear()
    show(*_status_lines(status))
    if jobs:
        left = [one for one in status.trials if one.trial.name in jobs]
        rows: list[list[str | int]] = []
        for one in sorted(left, key=lambda one: one.state != "running")[:_MOST_LINES]:
            job = jobs[one.trial.name]
            reason = f" ({job.reason})" if job.is_pending and job.reason else ""
            rows.append([one.trial.name, one.state, one.step, job.id, job.state + reason])
        show_table(table(["trial", "state", "step", "job", "slurm"], rows, text=["state", "job", "slurm"]))
        show(*_more(len(left)))


def _status_json(status: SweepStatus, jobs: Mapping[str, Job]) -> dict[str, object]:
    return {
        "sweep": status.sweep.path.name,
        "path": status.sweep.path,
        "method": status.plan.options.method,
        "metric": status.plan.options.metric,
        "total": status.plan.total,
        "counts": {state: status.counts[state] for state in ORDER},
        "solved": status.solved,
        "best": status.best.trial.name if status.best else None,
        "seconds_left": status.seconds_left,
        "trials": [
            {
                "run": one.trial.name,
                "path": status.sweep.run(one.trial).path,
                "number": one.trial.number,
                "values": one.trial.values,
                **{name: getattr(one, name) for name in ("state", "reason", "step", "result", "solved")},
                "job": jobs.get(one.trial.name),
            }
            for one in status.trials
        ],
    }


def _status_lines(status: SweepStatus) -> list[str]:
    best, failures, seconds = status.best, status.failures, status.seconds_left
    left = f"; about {duration(seconds)} left" if seconds is not None else ""
    lines = [f"{status.sweep.path}: {status.in_words}{left}"]
    if best:
        among = " among the solved trials" if best.solved and status.solved < status.counts["completed"] else ""
        lines.append(f"best {status.plan.options.metric.name}{among}: {_VALUE.text(best.result)} in {best.trial.name}")
    lines += [_failure(one) for one in failures[:_MOST_LINES]]
    return [*lines, *_more(len(failures))]


def _more(count: int) -> list[str]:
    return [f"… and {count - _MOST_LINES:,} more (--json lists all)"] if count > _MOST_LINES else []


def follow(sweep: SweepFolder, events: Iterator[Event], *, quiet: bool) -> SweepEnded:
    """Show the events of a sweep on stderr, and return the last one."""
    _, last = deque(shown(((sweep, event) for event in events), lambda _: "", quiet=quiet), maxlen=1).pop()
    assert isinstance(last, SweepEnded)
    return last


def shown(events: Iterator[Reported], name: Callable[[SweepFolder], str], *, quiet: bool) -> Iterator[Reported]:
    """Return the same events, of one sweep or of several at once, each shown on stderr as it passes.

    `name` returns what the names of a sweep's trials begin with; nothing where there is one sweep.
    """
    if quiet:
        return events
    screen = console(stderr=True)
    is_live = screen.is_terminal and not screen.is_dumb_terminal
    return _live(events, name, screen) if is_live else _lines(events, name)


def _headline(start: SweepStarted) -> str:
    total, before = start.status.plan.total, start.status.finished
    workers = min(start.workers, total - before)
    finished = f"{before:,} already finished, " if before else ""
    with_workers = f" with {workers:,} worker{'s' * (workers != 1)}" if workers else ""
    trials = f"{counted(total, 'trial')}, {finished}{total - before:,} to train{with_workers}"
    return f"sweep {start.status.sweep.path}: {trials}"


def _failure(status: TrialStatus) -> str:
    """Return why a trial is not completed, its state once."""
    reason = status.reason if status.reason.startswith(f"{status.state} ") else f"{status.state}: {status.reason}"
    return f"{status.trial.name} {reason}"


def _end_line(event: TrialEnded) -> str:
    status = event.status
    seconds = "by another process" if event.seconds is None else f"in {event.seconds:.1f} s"
    result = f"  {_VALUE.text(status.result)}" if status.result is not None else ""
    reason = f": {status.reason}" if status.reason else ""
    return f"{status.trial.name} {status.state} {seconds}{result}{'  solved' if status.solved else ''}{reason}"


def _lines(events: Iterator[Reported], name: Callable[[SweepFolder], str]) -> Iterator[Reported]:
    """Print plain lines for a log: at most one per second for completed trials, all for the others."""
    done, totals, printed, waiting = Counter[Path](), dict[Path, int](), -math.inf, ""
    try:
        for sweep, event in events:
            if isinstance(event, SweepStarted):
                note(_headline(event))
                done[sweep.path], totals[sweep.path] = event.status.finished, event.status.plan.total
            elif isinstance(event, TrialEnded):
                done[sweep.path] += event.status.state != "interrupted"
                waiting = f"{name(sweep)}{done[sweep.path]:,}/{totals[sweep.path]:,} {_end_line(event)}"
                if event.status.state != "completed" or time.monotonic() - printed >= _LINE_SECONDS:
                    note(waiting)
                    printed, waiting = time.monotonic(), ""
            elif isinstance(event, SweepEnded) and waiting:  # before what is reported of the whole
                note(waiting)
                waiting = ""
            yield sweep, event
    finally:
        if waiting:
            note(waiting)


def _live(events: Iterator[Reported], name: Callable[[SweepFolder], str], screen: Console) -> Iterator[Reported]:
    """Draw a bar for all trials and one per running trial; failures are printed above them."""
    total, before, began, drawn = 0, 0, time.monotonic(), 0.0
    done, bars = 0, dict[str, TaskID]()
    label, text = (TextColumn(form, markup=False) for form in ("{task.description}", "{task.fields[text]}"))
    with Progress(label, BarColumn(24), text, console=screen, auto_refresh=False, transient=True) as progress:
        all_trials = progress.add_task("sweep", total=0, text="")
        for sweep, event in events:
            if isinstance(event, SweepStarted):
                screen.print(_headline(event))
                total, before = total + event.status.plan.total, before + event.status.finished
                done += event.status.finished
            elif isinstance(event, TrialStepped):
                loss = f"{event.done:,}/{event.budget:,}  loss {_VALUE.text(event.loss)}"
                progress.update(
                    bars[name(sweep) + event.trial.name], completed=event.done, total=event.budget, text=loss
                )
            elif isinstance(event, TrialStarted | TrialEnded):
                trial = name(sweep) + (event.trial.name if isinstance(event, TrialStarted) else event.status.trial.name)
                if trial in bars:  # also where its worker could not train it, and another starts
                    progress.remove_task(bars.pop(trial))
                if isinstance(event, TrialStarted):
                    bars[trial] = progress.add_task(trial, total=None, text="")
                else:
                    done += event.status.state != "interrupted"
                    if event.status.state != "completed":
                        screen.print(name(sweep) + _end_line(event))
            if time.monotonic() - drawn > 1 / _REDRAWS_PER_SECOND:
                drawn = time.monotonic()
                seconds = (drawn - began) / (done - before) * (total - done) if done > before else None
                left = f"  about {duration(seconds)} left" if seconds is not None else ""
                progress.update(all_trials, completed=done, total=total, text=f"{done:,}/{total:,} trials{left}")
                with undisturbed():
                    progress.refresh()
            yield sweep, event
