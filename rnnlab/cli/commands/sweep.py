"""Train many networks: the trials of a config with a `sweep:`.

`rnnlab sweep CONFIG` is short for `rnnlab sweep run CONFIG`; `rnnlab sweep run --help` lists its options. Each trial is
an ordinary run in the sweep's folder, which is runs/NAME unless --into gives another; `rnnlab list SWEEP` and `rnnlab
compare SWEEP` take all of them. A config with the name of a command is given as ./status.
"""

import shlex
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated

import typer

from rnnlab.cli.commands import _sweep_slurm as cluster
from rnnlab.cli.commands._sweep_flags import Flags, with_flags
from rnnlab.cli.commands._sweep_group import ConfigOrCommand
from rnnlab.cli.errors import note
from rnnlab.cli.help import Command
from rnnlab.cli.options import (
    RUNS,
    ConfigArgument,
    JsonOption,
    RunsOption,
    SetOption,
    argument,
    complete_sweep,
    flag,
    option,
    path_option,
)
from rnnlab.cli.render.output import show_text
from rnnlab.cli.render.sweep import follow, show_plan, show_status
from rnnlab.cli.signals import DEFAULT, asking
from rnnlab.core.errors import RunLockedError, StoppedError, TrialsFailedError, UsageError
from rnnlab.core.registry import nearest
from rnnlab.core.threads import allotted_cpus
from rnnlab.sweeps import SweepFolder, find_sweep
from rnnlab.sweeps.expand import check_sweep
from rnnlab.sweeps.runner import run_sweep
from rnnlab.sweeps.search import import_optuna
from rnnlab.sweeps.slurm.script import Request
from rnnlab.sweeps.status import SweepStatus, sweep_status
from rnnlab.training.stopping import Stop

_WATCH_SECONDS, _WATCH_SLURM_SECONDS = 2.0, 15.0  # slurmctld serves many users
_CANCEL_SECONDS = 20.0  # to wait for running trials


app = typer.Typer(
    cls=ConfigOrCommand,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_SweepArgument = Annotated[str, argument("SWEEP", "A sweep: its path, or its name below the runs.", complete_sweep)]


@app.callback()
def command() -> None:
    pass


@app.command("run", cls=Command)
@with_flags
def run(
    flags: Flags,
    config: ConfigArgument,
    overrides: SetOption = None,
    dry_run: Annotated[
        bool, flag("--dry-run", "Show every trial and an estimate of the cost; create nothing.")
    ] = False,
    into: Annotated[Path | None, path_option("DIR", "The sweep's own folder.", "NAME below the runs")] = None,
    runs: RunsOption = RUNS,
    script: Annotated[
        bool, flag("--script", "Print one command per trial, for GNU parallel or a scheduler; train nothing.")
    ] = False,
) -> None:
    """Train all trials of CONFIG; `rnnlab sweep CONFIG` is short for it.

    Those that are complete stay as they are. All trials are checked before the first starts. Each worker process trains
    one trial after another, in one thread. Unless the config sets it, trials on NumPy get `numpy: {shards: 1}`, which
    is fastest with one processor each and determines the last bits of the results. The trial of a worker that dies is
    resumed by another. Ctrl-C and SIGTERM stop all trials within seconds and save their state; the same command
    resumes them.

    With --slurm the trials become job arrays. A trial that reaches its time limit or is preempted is saved, requeued
    and resumed. The same command submits only what is missing, interrupted or failed.

    Exit codes: 0 all completed, 6 others still train some, 8 some failed or diverged, 75 stopped and can be resumed.
    """
    request = flags.request(slurm=flags.slurm)
    if SweepFolder(config).is_sweep():
        hint = f"`rnnlab sweep resume {shlex.quote(str(config))}` resumes it"
        raise UsageError("is a sweep, expected a config", where=str(config), hint=hint)
    checked = check_sweep(config, overrides or [])
    plan = checked.plan
    if plan.is_search and (flags.slurm or script):
        problem = "method: tpe proposes each trial from the results of others, so there is no list of trials"
        hint = "leave it out: workers on this machine train them; or use method: random"
        raise UsageError(problem, where="--slurm" if flags.slurm else "--script", hint=hint)
    if dry_run:
        cluster.show_scripts(checked, request) if flags.slurm else show_plan(checked, json=flags.json)
        return
    if plan.is_search:
        import_optuna()
    if flags.slurm:
        cluster.require()
    sweep = SweepFolder.create(into or runs / plan.name, checked)
    if script:
        for trial in sweep.read_plan().trials:  # each command can be run anywhere, and repeated
            given, made = (shlex.quote(str(path.absolute())) for path in (sweep.config(trial), sweep.run(trial).path))
            show_text(f"rnnlab train {given} --into {made} --quiet --no-plots\n")
    else:
        _train(sweep, flags, request, slurm=flags.slurm)


@app.command("resume", cls=Command)
@with_flags
def resume(
    flags: Flags,
    name: _SweepArgument,
    runs: RunsOption = RUNS,
    only: Annotated[list[str] | None, option("TRIAL", "Train this trial. Repeatable.", "all")] = None,
    force_unlock: Annotated[
        bool, flag("--force-unlock", "Take trials over from the processes that have their locks.")
    ] = False,
) -> None:
    """Train the trials of SWEEP that are missing, interrupted or failed.

    Its config is not needed any more. A sweep that was submitted to Slurm is submitted again, by default with the
    options of the last time; with --workers it is trained here.
    """
    sweep = find_sweep(runs, name)
    slurm = flags.slurm or (flags.workers is None and cluster.was_submitted(sweep))
    if slurm and (only or force_unlock):
        raise UsageError("is for this machine", where="--only" if only else "--force-unlock", hint="add --workers 1")
    names = [trial.name for trial in sweep.read_plan().trials]
    if unknown := [one for one in only or [] if one not in names]:
        raise UsageError(f"there is no trial '{unknown[0]}'", where="--only", hint=nearest(unknown[0], names))
    _train(sweep, flags, flags.request(slurm=slurm), slurm=slurm, only=only, force_unlock=force_unlock)


@app.command("status", cls=Command)
def status(
    name: _SweepArgument,
    runs: RunsOption = RUNS,
    watch: Annotated[bool, flag("--watch", "Refresh until no trial is running or queued.")] = False,
    json: JsonOption = False,
) -> None:
    """Show how many trials of SWEEP are in each state.

    Also why some failed, which is best, and the remaining time.
    """
    sweep = find_sweep(runs, name)
    while True:
        current, jobs = cluster.status_with_jobs(sweep)
        show_status(current, jobs, json=json, clear=watch)
        if not watch or not (current.counts["running"] or current.counts["queued"]):
            return
        sleep(_WATCH_SLURM_SECONDS if jobs else _WATCH_SECONDS)


@app.command("cancel", cls=Command)
def cancel(name: _SweepArgument, runs: RunsOption = RUNS) -> None:
    """Stop SWEEP; running trials save their state.

    They may be on another machine. Its Slurm jobs are cancelled.
    """
    sweep = find_sweep(runs, name)
    if cluster.cancel_jobs(sweep):
        return
    before = running = sweep_status(sweep).counts["running"]
    sweep.request_cancel()
    deadline = monotonic() + _CANCEL_SECONDS
    while running and monotonic() < deadline:
        sleep(0.2)
        running = sweep_status(sweep).counts["running"]
    text = f"stopped {before:,} running trial{'s' * (before != 1)}; their state is saved"
    if running:
        text = f"{running:,} trials still run; they were not started by `rnnlab sweep`, or do not respond"
    elif not before:
        text = "no trial is running; any waiting `rnnlab sweep` stops within seconds"
    note(f"{sweep.path}: {text}")


def _train(
    sweep: SweepFolder,
    flags: Flags,
    request: Request | None,
    *,
    slurm: bool,
    only: Sequence[str] | None = None,
    force_unlock: bool = False,
) -> None:
    if slurm:
        cluster.submit(sweep, request, json=flags.json)
        return
    stop, workers = Stop(), flags.workers or allotted_cpus()
    events = run_sweep(
        sweep,
        workers=workers,
        timeout=flags.timeout,
        fail_fast=flags.fail_fast,
        stop=stop,
        only=only,
        force_unlock=force_unlock,
    )
    with asking(stop, more=DEFAULT), closing(events):
        ended = follow(sweep, events, quiet=flags.quiet)
    status = ended.status
    show_status(status, json=flags.json)
    if status.plan.is_search and not ended.stop_reason and len(status.trials) < status.plan.total:
        note(f"{sweep.path}: the search ended after {len(status.trials):,} trials, as nothing new was proposed")
    _raise_for(status, stop_reason=ended.stop_reason)


def _raise_for(status: SweepStatus, *, stop_reason: str) -> None:
    counts, where, plan = status.counts, str(status.sweep.path), status.plan
    total = plan.total if plan.is_search else len(status.trials)
    left = counts["missing"] + counts["interrupted"] + counts["stale"]
    show = f"`rnnlab sweep status {shlex.quote(where)}` shows"
    if stop_reason and not stop_reason.startswith("--fail-fast"):
        left += total - len(status.trials)  # not yet proposed
        problem = f"stopped by {stop_reason}: {counts['completed']:,} of {total:,} trials completed, {left:,} left"
        raise StoppedError(problem, where=where, hint="resume with the same command, or with `rnnlab sweep resume`")
    if status.failures:
        problem = f"{len(status.failures):,} of {total:,} trials failed or diverged"
        raise TrialsFailedError(problem, where=where, hint=f"{show} why; the same command retries those that failed")
    if counts["running"]:
        problem = f"other processes still train {counts['running']:,} of {total:,} trials"
        raise RunLockedError(problem, where=where, hint=f"{show} when they end")
    if left:
        problem = f"{left:,} of {total:,} trials are interrupted, with their state saved"
        raise StoppedError(problem, where=where, hint="resume with the same command")
