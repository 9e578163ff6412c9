"""Train the network that CONFIG describes, in a new run folder, or go on with a run.

SIGTERM, SIGINT (Ctrl-C), SIGHUP and SIGUSR1 save the state at the end of the step and stop with exit code 75;
`--resume RUN`, or the same command with `--into DIR`, then goes on to the very numbers of a run never stopped. A
second Ctrl-C stops at once.
"""

from typing import Annotated, Any

import typer

from rnnlab.cli.options import (
    IntoOption,
    JsonOption,
    OptionalConfigArgument,
    QuietOption,
    RunsOption,
    SetOption,
    VerboseOption,
    complete_run,
)


def command(
    config: OptionalConfigArgument = None,
    overrides: SetOption = None,
    name: Annotated[str | None, typer.Option(help="What to call the run; the config's name when left out.")] = None,
    runs: RunsOption = None,
    resumed: Annotated[
        list[str] | None,
        typer.Option(
            "--resume",
            metavar="RUN",
            help="Go on with a run; only its budget and its backend can be changed.",
            autocompletion=complete_run,
        ),
    ] = None,
    into: IntoOption = None,
    force_unlock: Annotated[
        bool, typer.Option("--force-unlock", help="Take the run from a process that is gone.")
    ] = False,
    signal: Annotated[
        str, typer.Option(envvar="RNNLAB_SIGNAL", metavar="NAME", help="A further signal that saves and stops.")
    ] = "SIGUSR1",
    plots: Annotated[
        bool,
        typer.Option(
            "--plots/--no-plots",
            envvar="RNNLAB_PLOTS",
            help="Draw plots/curves.png at the end, with matplotlib, or not.",
        ),
    ] = True,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    from contextlib import closing
    from pathlib import Path

    from rnnlab.cli.commands._training import follow
    from rnnlab.cli.errors import note
    from rnnlab.cli.render.result import show_result, show_summary
    from rnnlab.cli.signals import asking
    from rnnlab.core.errors import DivergedError, StoppedError
    from rnnlab.storage import RunFolder
    from rnnlab.training.stopping import Stop

    resume = _only(resumed)
    _check_choice(config, resume=resume, into=into, name=name, force_unlock=force_unlock)
    naming = [f"name='{_checked(name)}'"] if name is not None else []
    more: dict[str, Any] = {"resume": resume, "into": into, "force_unlock": force_unlock, "runs": runs}
    stop = Stop()
    with asking(stop, more=signal):
        try:
            with closing(_events(config, [*(overrides or []), *naming], stop=stop, **more)) as events:
                finished = follow(events, quiet=quiet)
        except (DivergedError, StoppedError) as error:
            if json:
                show_summary(RunFolder.open(Path(error.where)))
            if isinstance(error, DivergedError):
                raise
            note(str(error))
            raise typer.Exit(error.exit_code) from error
    if finished.already:
        note(f"{finished.run.path}: already complete, nothing to do")
    if plots:
        _draw(finished)
    show_result(finished, json=json)


def _draw(finished: Any) -> None:
    """Draw the curves of a run that has just ended, where matplotlib is installed."""
    from importlib.util import find_spec

    if not finished.already and find_spec("matplotlib") is not None:
        from rnnlab.cli.commands.plot import draw_ended

        draw_ended(finished.run)


def _events(
    config: Any,
    overrides: list[str],
    *,
    stop: Any,
    resume: str | None,
    into: Any,
    force_unlock: bool,
    runs: Any,
) -> Any:
    """Return the events of what was asked for."""
    import sys

    from rnnlab.config.load import load_experiment
    from rnnlab.runs import find_run, runs_root
    from rnnlab.training.resume import resume as go_on
    from rnnlab.training.resume import train_into
    from rnnlab.training.train import train

    if config is None:
        run = find_run(runs_root(runs), resume or "").folder
        return go_on(run, overrides=overrides, argv=sys.argv, stop=stop, force_unlock=force_unlock)
    loaded = load_experiment(config, overrides)
    told: dict[str, Any] = {"config": loaded.document.raw, "argv": sys.argv, "beside": config.absolute().parent}
    if into is not None:
        return train_into(into, loaded.experiment, stop=stop, force_unlock=force_unlock, **told)
    return train(loaded.experiment, runs=runs_root(runs), stop=stop, **told)


def _only(resumed: list[str] | None) -> str | None:
    """Return the run to go on with: a second one, or an option taken for its name, is a slip of the hand."""
    from rnnlab.core.errors import UsageError

    if resumed and len(resumed) > 1:
        raise UsageError(f"one run is resumed at a time, got {len(resumed)}", where="--resume", hint="name one run")
    if resumed and resumed[0].startswith("-"):
        problem = f"a run's name wanted, got the option '{resumed[0][:60]}'"
        raise UsageError(problem, where="--resume", hint="name a run, or `latest`")
    return resumed[0] if resumed else None


def _check_choice(config: Any, *, resume: str | None, into: Any, name: str | None, force_unlock: bool) -> None:
    from rnnlab.core.errors import UsageError

    if (config is None) == (resume is None):
        got = "neither" if config is None else "both"
        raise UsageError(f"a CONFIG or --resume RUN is needed, got {got}", hint="see `rnnlab train --help`")
    if resume is not None and (into is not None or name is not None):
        other = "--into" if into is not None else "--name"
        raise UsageError(f"{other} is for a CONFIG, a run that is resumed stays where and what it is", where="--resume")
    if force_unlock and resume is None and into is None:
        raise UsageError("a new run is locked by nobody", where="--force-unlock", hint="use it with --resume or --into")


def _checked(name: str) -> str:
    from rnnlab.core.errors import UsageError
    from rnnlab.core.naming import check_name

    try:
        check_name(name)
    except UsageError as error:
        raise UsageError(error.problem, where="--name", hint=error.hint) from error
    return name
