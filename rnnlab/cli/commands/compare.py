"""Show what differs between runs: their configs, results and curves, and the difference in words.

Runs that differ in their seed alone are one group. Groups are told by how many runs solved the task, with Wilson's
interval, by the sequences that took, and by median and interquartile mean of the final metric, and are held against
each other by tests that take into account how many are made.

A damaged run is named on stderr and left out, and the exit code is then 4; a condition of --fail-if that holds, or
that cannot be told, gives 9.
"""

from typing import Annotated, Any

import typer

from rnnlab.cli.options import Format, JsonOption, RunsArgument, RunsOption


def command(
    names: RunsArgument,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The metric to order and draw by: error_rate, train/loss, gradient_norm and so on; loss if left out.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="KEY",
            help="Groups as a table: the config key whose values are the columns.",
            show_default=False,
        ),
    ] = None,
    over: Annotated[
        str | None,
        typer.Option("--over", metavar="KEY", help="The key whose values are its rows.", show_default=False),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="GROUP",
            help="Hold every group against this one: its heading, or a part of it.",
            show_default="each pair",
        ),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="End with exit code 9 if this holds for any run: 'val_loss > 0.01'; for any group: "
            "'solved_rate < 0.8', 'median(loss) > 0.01', 'iqm(loss) > 0.01'. Repeatable.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            "--format", help="csv has a line a run; markdown and latex have the tables.", show_default="table"
        ),
    ] = None,
    runs: RunsOption = None,
    json: JsonOption = False,
) -> None:
    from rnnlab.cli.commands._runs import runs_named
    from rnnlab.cli.errors import warn
    from rnnlab.comparison import compare
    from rnnlab.comparison.condition import parse_condition
    from rnnlab.core.errors import ConditionError, UsageError
    from rnnlab.runs import runs_root

    if json and format not in {None, Format.JSON}:
        raise UsageError("--json and another --format", hint="keep one of them")
    conditions = [parse_condition(text) for text in fail_if or []]
    found = runs_named(runs_root(runs), names)
    comparison = compare(found, metric, by=by, over=over, baseline=baseline)
    met = {condition.text: holders for condition in conditions if (holders := condition.met(comparison))}
    for one in comparison.damaged:
        warn(f"{one.name} is damaged and left out: {one.reason}")
    for warning in comparison.warnings:
        warn(warning)
    _show(comparison, Format.JSON if json else format or Format.TABLE)
    if met:
        told = "; ".join(f"{text}: {', '.join(who[:4])}{' and more' * (len(who) > 4)}" for text, who in met.items())
        raise ConditionError(told, where="--fail-if")
    if comparison.damaged:
        raise typer.Exit(4)


def _show(comparison: Any, asked: Format) -> None:
    from rnnlab.cli.render.output import show_json, show_text

    if asked is Format.JSON:
        from rnnlab.cli.render.comparison_json import as_json

        show_json("compare", as_json(comparison))
    elif asked is Format.TABLE:
        from rnnlab.cli.render.comparison import show_comparison

        show_comparison(comparison)
    else:
        from rnnlab.cli.render import comparison_formats as formats

        written = {Format.CSV: formats.as_csv, Format.MARKDOWN: formats.as_markdown, Format.LATEX: formats.as_latex}
        show_text(written[asked](comparison))
