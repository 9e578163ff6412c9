"""A sweep as it is asked for: where it goes, what is shown meanwhile, and how it ends."""

import secrets
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import typer

from rnnlab.cli.commands._sweep_slurm import take_stock
from rnnlab.cli.errors import note
from rnnlab.cli.render.output import show_text
from rnnlab.cli.render.sweep_display import follow
from rnnlab.cli.render.sweep_tables import show_account
from rnnlab.cli.signals import asking
from rnnlab.core.allotment import allotted_cpus
from rnnlab.core.errors import RunLockedError, StoppedError, TrialsFailedError, UsageError
from rnnlab.core.naming import check_name
from rnnlab.core.text import visible
from rnnlab.sweeps.account import Account, read_account
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.planning import Planned
from rnnlab.sweeps.running import run_sweep
from rnnlab.sweeps.slurm import Job
from rnnlab.training.stopping import Stop

_WATCH_SECONDS = 2.0
_SLURM_SECONDS = 15.0  # a cluster answers many people
_PATIENCE = 20.0  # seconds to wait for those who were asked to stop


def place_of(planned: Planned, *, into: Path | None, root: Path) -> Path:
    """Return the sweep's folder: the one asked for, else the sweep's name below the runs.

    Raises:
        UsageError: It cannot have that name.
    """
    place = into or root / planned.plan.name
    try:
        check_name(place.absolute().name)
    except UsageError as error:
        raise UsageError(error.problem, where="--into", hint=error.hint) from error
    return place


def refuse_sweep(config: Path) -> None:
    """Pass unless a sweep's folder is given for a config.

    Raises:
        UsageError: It is.
    """
    if SweepFolder(config).is_sweep():
        hint = f"`rnnlab sweep resume {shlex.quote(str(config))}` goes on with it"
        raise UsageError("is a sweep, a config wanted", where=visible(str(config)), hint=hint)


def refuse_search_elsewhere(planned: Planned, *, slurm: bool, script: bool) -> None:
    """Pass unless trials that are yet to be proposed are to be handed out all at once.

    Raises:
        UsageError: They are.
    """
    if planned.plan.search is not None and (slurm or script):
        problem = "method: tpe proposes each trial by what others came to, so there is no list of them"
        hint = "leave it out: workers on this machine train them; or method: random"
        raise UsageError(problem, where="--slurm" if slurm else "--script", hint=hint)


def show_script(sweep: SweepFolder) -> None:
    """Print a command for each trial; any of them may be run anywhere, any time, again and again."""
    for trial in sweep.read_plan().trials:
        config, run = sweep.config(trial).absolute(), sweep.run(trial).path.absolute()
        show_text(f"rnnlab train {shlex.quote(str(config))} --into {shlex.quote(str(run))} --quiet --no-plots\n")


def conduct(
    sweep: SweepFolder, *, workers: int | None, timeout: float | None, fail_fast: bool, json: bool, quiet: bool
) -> None:
    """Train what is left of a sweep, show what came of it, and turn that into an exit code.

    Raises:
        typer.Exit: Somebody asked to stop, or trials are left that their own budget interrupted.
        TrialsFailedError: Some trials failed or diverged.
        RunLockedError: Some trials are still trained by others.
    """
    stop = Stop()
    events = run_sweep(sweep, workers=workers or allotted_cpus(), timeout=timeout, fail_fast=fail_fast, stop=stop)
    with asking(stop, more="SIGUSR1"), closing(events):
        over = follow(events, quiet=quiet)
    account = read_account(sweep, over.standings)
    show_account(account, json=json)
    if not over.stopped and len(account.standings) < account.plan.total:
        note(f"{sweep.path}: after {len(account.standings):,} trials nothing new was proposed, so the search has ended")
    try:
        _end(account, stopped=over.stopped)
    except StoppedError as error:
        note(str(error))
        raise typer.Exit(error.exit_code) from error


def _end(account: Account, *, stopped: str) -> None:
    counts, where, total = account.counts, str(account.sweep.path), account.plan.total
    left = counts["missing"] + counts["interrupted"] + counts["stale"]
    failed = len(account.failures)
    if stopped and not stopped.startswith("--fail-fast"):
        ahead = total - len(account.standings)  # not even proposed
        problem = f"stopped by {stopped}: {counts['completed']:,} of {total:,} trials completed, {left + ahead:,} left"
        raise StoppedError(problem, where=where, hint="the same command, or `rnnlab sweep resume`, goes on")
    if failed:
        problem = f"{failed:,} of {total:,} trials failed or diverged"
        more = "; the same command tries those that failed again"
        raise TrialsFailedError(
            problem, where=where, hint=f"`rnnlab sweep status {shlex.quote(where)}` tells why{more}"
        )
    if counts["running"]:
        problem = f"{counts['running']:,} of {total:,} trials are still trained by other processes"
        raise RunLockedError(
            problem, where=where, hint=f"`rnnlab sweep status {shlex.quote(where)}` tells when they end"
        )
    if left:
        problem = f"{left:,} of {total:,} trials are interrupted, each with its state saved"
        raise StoppedError(problem, where=where, hint="the same command goes on")


def watched(sweep: SweepFolder) -> Iterator[tuple[Account, Mapping[str, Job]]]:
    """Yield where a sweep stands, again and again until nobody trains any of it or has it in a queue."""
    while True:
        account, jobs = take_stock(sweep)
        yield account, jobs
        if not account.counts["running"] and not account.counts["queued"]:
            return
        time.sleep(_SLURM_SECONDS if jobs else _WATCH_SECONDS)


def ask_to_stop(sweep: SweepFolder) -> None:
    """Ask whoever trains a sweep to stop, and wait for it a while."""
    running = read_account(sweep).counts["running"]
    sweep.write_cancel({"asked": datetime.now(UTC).isoformat(timespec="seconds"), "token": secrets.token_hex(8)})
    deadline = time.monotonic() + _PATIENCE
    left = running
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left = read_account(sweep).counts["running"]
    if not running:
        note(f"{sweep.path}: no trial is being trained; a controller that waits will stop within seconds")
    elif left:
        others = "who trains them was not started by `rnnlab sweep`, or waits for something"
        note(f"{sweep.path}: asked to stop, but {left:,} trials are still being trained: {others}")
    else:
        note(f"{sweep.path}: stopped; {running:,} trials were being trained, and their state is saved")
