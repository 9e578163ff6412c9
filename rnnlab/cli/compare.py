"""`rnnlab compare`."""

from typing import Annotated

import typer

from rnnlab.cli._options import JsonOption, RunsOption, complete_run


def command(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="Two or more runs: each its path, any unique part of its name, or `latest`; a sweep for its runs.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ],
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The metric to order and draw by: error_rate, train/loss, gradient_norm and so on; loss if left out.",
            show_default=False,
        ),
    ] = None,
    runs: RunsOption = None,
    json: JsonOption = False,
) -> None:
    """Show what differs between runs: their configs, results and curves, and the difference in words.

    A damaged run is named on stderr and left out, and the exit code is then 4.
    """
    from rnnlab.analysis import Damaged, compare
    from rnnlab.cli._comparison import show_comparison
    from rnnlab.cli._comparison_json import as_json
    from rnnlab.cli._errors import warn
    from rnnlab.cli._output import show_json
    from rnnlab.core.errors import UsageError, VerificationError
    from rnnlab.runs import RunFolder, find_run, runs_root
    from rnnlab.sweeps.folder import trials_of

    root = runs_root(runs)

    def find(name: str) -> list[RunFolder | Damaged]:
        if (trials := trials_of(root, name)) is not None:
            return [*trials]
        try:
            return [find_run(root, name)]
        except VerificationError as fault:
            return [Damaged(name, f"{fault.where}: {fault.problem}")]

    if len(names) < 2 and trials_of(root, *names) is None:
        raise UsageError(f"compare needs two runs or more, got {len(names)}", hint="`rnnlab list` shows the runs")
    comparison = compare([run for name in names for run in find(name)], metric)
    for one in comparison.damaged:
        warn(f"{one.name} is damaged and left out: {one.reason}")
    for warning in comparison.warnings:
        warn(warning)
    if json:
        show_json(as_json(comparison))
    else:
        show_comparison(comparison)
    if comparison.damaged:
        raise typer.Exit(4)
