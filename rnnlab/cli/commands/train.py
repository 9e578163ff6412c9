"""Train the network that CONFIG describes, or resume a run.

SIGTERM, SIGINT (Ctrl-C), SIGHUP and SIGUSR1 save the state at the end of the current step and stop with exit code 75.
`--resume RUN`, or the same command with `--into DIR`, resumes, and the results are bit-identical to those of a run
that was never stopped. A second Ctrl-C stops at once.
"""

import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from rnnlab.cli.errors import note, warn
from rnnlab.cli.named import run_named
from rnnlab.cli.options import (
    RUNS,
    JsonOption,
    OptionalConfigArgument,
    QuietOption,
    RunsOption,
    SetOption,
    VerboseOption,
    complete_run,
    flag,
    option,
    path_option,
)
from rnnlab.cli.render.progress import Events, displayed
from rnnlab.cli.render.run import show_result, show_summary
from rnnlab.cli.signals import DEFAULT, asking
from rnnlab.config.load import load_experiment
from rnnlab.core.errors import DivergedError, StoppedError, UsageError
from rnnlab.core.options import check_name
from rnnlab.runs.run import Run
from rnnlab.training.events import Finished, Started
from rnnlab.training.resume import resume, train_into
from rnnlab.training.stopping import Stop
from rnnlab.training.train import train

_RESUME = "Resume this run; only its budget, backend, engine and the place of its data can be changed."
_PLOTS = "Whether to draw plots/curves.png at the end (matplotlib)."


def command(
    config: OptionalConfigArgument = None,
    overrides: SetOption = None,
    name: Annotated[str | None, option("NAME", "Name of the run.", "the config's name")] = None,
    into: Annotated[
        Path | None, path_option("DIR", "Folder of the run: a run in it is resumed, else one is started.")
    ] = None,
    resumed: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help=_RESUME, autocompletion=complete_run)
    ] = None,
    runs: RunsOption = RUNS,
    plots: Annotated[bool, flag("--plots/--no-plots", _PLOTS, envvar="RNNLAB_PLOTS")] = True,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    force_unlock: Annotated[
        bool, flag("--force-unlock", "Take the run over from the process that has its lock, alive or not.")
    ] = False,
    signal: Annotated[str, option("NAME", "A further signal that saves and stops.", envvar="RNNLAB_SIGNAL")] = DEFAULT,
) -> None:
    _check_choice(config, resumed=resumed, into=into, name=name, force_unlock=force_unlock)
    naming = [f"name='{_checked(name)}'"] if name is not None else []
    stop = Stop()
    with asking(stop, more=signal):
        if config is None:
            events = resume(
                run_named(runs, resumed or "").folder,
                overrides=overrides or [],
                argv=sys.argv,
                stop=stop,
                force_unlock=force_unlock,
                notify=note,
            )
        else:
            loaded = load_experiment(config, [*(overrides or []), *naming])
            experiment, raw, beside = loaded.experiment, loaded.document.raw, config.absolute().parent
            if into is None:
                events = train(experiment, runs=runs, config=raw, argv=sys.argv, beside=beside, stop=stop)
            else:
                events = train_into(
                    into,
                    experiment,
                    config=raw,
                    argv=sys.argv,
                    beside=beside,
                    stop=stop,
                    force_unlock=force_unlock,
                    notify=note,
                )
        with closing(events):
            finished = _follow(events, quiet=quiet, json=json)
    if finished.already:
        note(f"{finished.run.path}: already complete, nothing to do")
    elif plots and find_spec("matplotlib") is not None:
        from rnnlab.cli.commands.plot import draw_ended  # imports all that compares and inspects runs

        draw_ended(finished.run)
    run = Run(finished.run)
    if json:
        show_summary(run)
    else:
        show_result(run)


def _follow(events: Events, *, quiet: bool, json: bool) -> Finished:
    """Show the progress of a training and return its last event.

    Raises:
        DivergedError, StoppedError: It ended so; its summary was then printed if it was asked for as JSON.
    """
    run = None
    try:
        with closing(displayed(events, quiet=quiet)) as shown:
            for event in shown:
                if isinstance(event, Started):
                    run = event.run
                    for text in event.notes:
                        warn(text)
    except KeyboardInterrupt:
        if run is not None:
            note(f"stopped at once; `rnnlab train --resume {quote(str(run.path))}` resumes from the last checkpoint")
        raise
    except (DivergedError, StoppedError):
        if json and run is not None:
            show_summary(Run(run))
        raise
    assert isinstance(event, Finished)
    return event


def _check_choice(
    config: Path | None, *, resumed: str | None, into: Path | None, name: str | None, force_unlock: bool
) -> None:
    if (config is None) == (resumed is None):
        got = "neither" if config is None else "both"
        raise UsageError(f"got {got}, expected either CONFIG or --resume RUN", hint="see `rnnlab train --help`")
    if resumed is not None and (into is not None or name is not None):
        other = "--into" if into is not None else "--name"
        raise UsageError(f"cannot be combined with --resume: a run keeps its {_KEPT[other]}", where=other)
    if force_unlock and resumed is None and into is None:
        hint = "use it with --resume or --into"
        raise UsageError("has no effect on a new run", where="--force-unlock", hint=hint)


_KEPT = {"--into": "folder", "--name": "name"}


def _checked(name: str) -> str:
    try:
        check_name(name)
    except UsageError as error:
        raise UsageError(error.problem, where="--name", hint=error.hint) from error
    return name
