"""`rnnlab compare`."""

from typing import Annotated

import typer

from rnnlab.cli._options import JsonOption, RunsOption


def command(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="Two or more runs: each its path, any unique part of its name, or `latest`.",
            show_default=False,
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
    """Show what differs between runs: their configs, results and curves, and the difference in words."""
    from rnnlab.analysis import Damaged, compare
    from rnnlab.cli._comparison import show_comparison
    from rnnlab.cli._comparison_json import as_json
    from rnnlab.cli._errors import warn
    from rnnlab.cli._output import show_json
    from rnnlab.core.errors import UsageError, VerificationError
    from rnnlab.runs import RunFolder, find_run, runs_root

    if len(names) < 2:
        raise UsageError(f"compare needs two runs or more, got {len(names)}", hint="`rnnlab list` shows the runs")
    root = runs_root(runs)

    def find(name: str) -> RunFolder | Damaged:
        try:
            return find_run(root, name)
        except VerificationError as fault:
            return Damaged(name, f"{fault.where}: {fault.problem}")

    comparison = compare([find(name) for name in names], metric)
    for one in comparison.damaged:
        warn(f"{one.name} is damaged and left out: {one.reason}")
    for warning in comparison.warnings:
        warn(warning)
    if json:
        show_json(as_json(comparison))
    else:
        show_comparison(comparison)
