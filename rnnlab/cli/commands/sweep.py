"""Train many networks from one config: `rnnlab sweep CONFIG`, killed and repeated, trains only what is missing.

The config's `sweep:` section tells which values are tried. Each trial is an ordinary run in the sweep's folder,
which is runs/NAME unless --into names another; `rnnlab list SWEEP` and `rnnlab compare SWEEP` take it as a group.
`rnnlab sweep run --help` tells the options; a config that is called like a command is given as ./status.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rnnlab.cli.options import (
    AccountOption,
    ArrayLimitOption,
    ConfigArgument,
    CpusOption,
    ExtraOption,
    JsonOption,
    MemOption,
    PartitionOption,
    QuietOption,
    RunsOption,
    SetOption,
    SlurmOption,
    TimeOption,
    whole_number,
)


class _ConfigOrCommand(TyperGroup):
    """Takes what is none of its commands for a config to run."""

    def parse_args(self, context: Any, arguments: list[str]) -> list[str]:
        if arguments and arguments[0] not in {*self.commands, *context.help_option_names}:
            arguments = ["run", *arguments]
        return super().parse_args(context, arguments)


app = typer.Typer(
    cls=_ConfigOrCommand,
    subcommand_metavar="CONFIG|COMMAND ...",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def command() -> None:
    pass


_SweepArgument = Annotated[
    str,
    typer.Argument(metavar="SWEEP", help="A sweep: its path, or its name below the runs.", show_default=False),
]
_WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", "-j", parser=whole_number, metavar="N", help="Processes at once.",
        show_default="one for each processor allotted",
    ),
]  # fmt: skip
_TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout", min=0.001, metavar="SECONDS", help="A trial that takes longer is saved and counts as failed."
    ),
]
_FailFastOption = Annotated[
    bool, typer.Option("--fail-fast/--keep-going", help="Stop at the first trial that fails, or train the others.")
]


@app.command("run")
def run(
    config: ConfigArgument,
    overrides: SetOption = None,
    runs: RunsOption = None,
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="DIR", help="The sweep's own folder.", show_default="NAME below the runs"),
    ] = None,
    workers: _WorkersOption = None,
    timeout: _TimeoutOption = None,
    fail_fast: _FailFastOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show every trial and what all cost; create nothing.")
    ] = False,
    script: Annotated[
        bool,
        typer.Option(
            "--script", help="Print a command for each trial, for GNU parallel or a scheduler; train nothing."
        ),
    ] = False,
    slurm: SlurmOption = False,
    partition: PartitionOption = None,
    time: TimeOption = None,
    cpus: CpusOption = None,
    mem: MemOption = None,
    account: AccountOption = None,
    array_limit: ArrayLimitOption = None,
    extra: ExtraOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train all trials of CONFIG, or those that are missing, interrupted or failed. `rnnlab sweep CONFIG` is enough.

    All trials are checked before the first starts. Worker processes take trial after trial, one thread each: where the
    config does not say, trials on NumPy get `numpy: {shards: 1}`, the fastest with one processor each; it decides the
    last bits of their numbers. A worker that dies is replaced and its trial goes on. Ctrl-C and SIGTERM stop all in
    seconds with the state saved, and the same command goes on.

    With --slurm the trials become job arrays of a cluster: a trial whose time is nearly over, or whose place another
    job takes, saves its state and is queued again. The same command again submits nothing twice; with --dry-run it
    prints the scripts. The further options, from --partition on, are sbatch's own.

    Exit codes: 0 all completed, 6 others still train some, 8 some failed or diverged, 75 stopped and to be resumed.
    """
    from rnnlab.cli.commands._sweep import conduct, place_of, refuse_search_elsewhere, refuse_sweep, show_script
    from rnnlab.cli.commands._sweep_slurm import request_of, show_job_scripts, submit
    from rnnlab.cli.render.sweep_tables import show_plan
    from rnnlab.runs import runs_root
    from rnnlab.sweeps.folder import SweepFolder
    from rnnlab.sweeps.planning import plan_sweep

    asked = {"partition": partition, "time": time, "cpus": cpus, "mem": mem, "account": account}
    request = request_of({**asked, "array_limit": array_limit, "extra": extra}, slurm=slurm, workers=workers)
    refuse_sweep(config)
    planned = plan_sweep(config, overrides or [])
    refuse_search_elsewhere(planned, slurm=slurm, script=script)
    if dry_run and slurm:
        show_job_scripts(planned.plan, request)
        return
    if dry_run:
        show_plan(planned, json=json)
        return
    place = place_of(planned, into=into, root=runs_root(runs))
    sweep = SweepFolder.create(place, planned.plan, config=planned.config, configs=planned.configs, base=planned.base)
    if script:
        show_script(sweep)
        return
    if slurm:
        submit(sweep, request, json=json)
        return
    conduct(sweep, workers=workers, timeout=timeout, fail_fast=fail_fast, json=json, quiet=quiet)


@app.command("resume")
def resume(
    name: _SweepArgument,
    runs: RunsOption = None,
    workers: _WorkersOption = None,
    timeout: _TimeoutOption = None,
    fail_fast: _FailFastOption = False,
    slurm: SlurmOption = False,
    partition: PartitionOption = None,
    time: TimeOption = None,
    cpus: CpusOption = None,
    mem: MemOption = None,
    account: AccountOption = None,
    array_limit: ArrayLimitOption = None,
    extra: ExtraOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train what of SWEEP is missing, interrupted or failed; its config need not be there any more.

    A sweep that was submitted to Slurm goes on there, with what was asked for last time unless it is asked for anew;
    with --workers it goes on here.
    """
    from rnnlab.cli.commands._sweep import conduct
    from rnnlab.cli.commands._sweep_slurm import request_of, submit, was_submitted
    from rnnlab.runs import runs_root
    from rnnlab.sweeps.folder import find_sweep

    sweep = find_sweep(runs_root(runs), name)
    slurm = slurm or (workers is None and was_submitted(sweep))
    asked = {"partition": partition, "time": time, "cpus": cpus, "mem": mem, "account": account}
    request = request_of({**asked, "array_limit": array_limit, "extra": extra}, slurm=slurm, workers=workers)
    if slurm:
        submit(sweep, request, json=json)
        return
    conduct(sweep, workers=workers, timeout=timeout, fail_fast=fail_fast, json=json, quiet=quiet)


@app.command("status")
def status(
    name: _SweepArgument,
    runs: RunsOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again until nothing is trained.")] = False,
    json: JsonOption = False,
) -> None:
    """Show how many trials of SWEEP are where, why some failed, which is the best, and when all will be done."""
    from rnnlab.cli.commands._sweep import watched
    from rnnlab.cli.commands._sweep_slurm import take_stock
    from rnnlab.cli.render.sweep_tables import show_account
    from rnnlab.runs import runs_root
    from rnnlab.sweeps.folder import find_sweep

    sweep = find_sweep(runs_root(runs), name)
    for account, jobs in watched(sweep) if watch else [take_stock(sweep)]:
        show_account(account, jobs, json=json, again=watch)


@app.command("cancel")
def cancel(name: _SweepArgument, runs: RunsOption = None) -> None:
    """Ask whoever trains SWEEP to stop, here or on another machine: what is being trained is saved.

    Its jobs on Slurm are cancelled, those that wait and those that run.
    """
    from rnnlab.cli.commands._sweep import ask_to_stop
    from rnnlab.cli.commands._sweep_slurm import cancel_jobs
    from rnnlab.runs import runs_root
    from rnnlab.sweeps.folder import find_sweep

    sweep = find_sweep(runs_root(runs), name)
    if not cancel_jobs(sweep):
        ask_to_stop(sweep)
