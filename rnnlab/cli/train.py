"""`rnnlab train`."""

from typing import Annotated

import typer

from rnnlab.cli._options import ConfigArgument, JsonOption, QuietOption, RunsOption, SetOption


def command(
    config: ConfigArgument,
    overrides: SetOption = None,
    name: Annotated[str | None, typer.Option(help="What to call the run; the config's name when left out.")] = None,
    runs: RunsOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train the network that CONFIG describes, into a new run folder."""
    import sys
    from contextlib import closing
    from pathlib import Path

    from rnnlab.cli._result import show_result, show_summary
    from rnnlab.cli._training import follow
    from rnnlab.config.load import load_experiment
    from rnnlab.core.errors import DivergedError
    from rnnlab.lab.train import train
    from rnnlab.runs import RunFolder, runs_root

    naming = [f"name='{_checked(name)}'"] if name is not None else []
    loaded = load_experiment(config, [*(overrides or []), *naming])
    events = train(
        loaded.experiment,
        runs=runs_root(runs),
        config=loaded.document.raw,
        argv=sys.argv,
        beside=config.absolute().parent,
    )
    try:
        with closing(events):
            finished = follow(events, quiet=quiet)
    except DivergedError as error:
        if json:
            show_summary(RunFolder.open(Path(error.where)))
        raise
    show_result(finished, json=json)


def _checked(name: str) -> str:
    from rnnlab.core.errors import UsageError
    from rnnlab.core.naming import check_name

    try:
        check_name(name)
    except UsageError as error:
        raise UsageError(error.problem, where="--name", hint=error.hint) from error
    return name
