"""Compare runs: what differs in their configs, their results and curves, and what can be concluded.

Runs that differ only in their seed are one group. Of each group it shows how many runs solved the task, with Wilson's
interval, how many sequences that took, and the median and the interquartile mean of the final metric. Groups are
compared by statistical tests, whose p values are corrected for the number of tests.

A damaged run is reported on stderr and left out, and the exit code is then 4. If a --fail-if condition is met, or
cannot be decided because a number is unknown, the exit code is 9.
"""

from typing import Annotated

import typer

from rnnlab.cli.commands._runs import runs_named
from rnnlab.cli.errors import warn
from rnnlab.cli.options import Format, JsonOption, RunsArgument, RunsOption
from rnnlab.cli.render.comparison import (
    comparison_csv,
    comparison_json,
    comparison_latex,
    comparison_markdown,
    show_comparison,
)
from rnnlab.cli.render.output import show_json, show_text
from rnnlab.comparison import Comparison, compare
from rnnlab.comparison.gate import OPTION, failures
from rnnlab.core.errors import ConditionError, UsageError
from rnnlab.runs.filter import parse
from rnnlab.runs.find import runs_root
from rnnlab.runs.many import no_collection

_MOST_NAMED = 4


def command(
    names: RunsArgument,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The metric to compare: error_rate, train/loss, gradient_norm and so on; loss when left out.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="KEY",
            help="Show the groups as a table: the config key whose values are the columns.",
            show_default=False,
        ),
    ] = None,
    over: Annotated[
        str | None,
        typer.Option("--over", metavar="KEY", help="The config key whose values are its rows.", show_default=False),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="GROUP",
            help="Compare every group with this one: its heading, or a part of it.",
            show_default="each pair",
        ),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            OPTION,
            metavar="CONDITION",
            help="Exit with code 9 if this is true of any run: 'val_loss > 0.01 and cell.type = carry'; of any group: "
            "'solved_rate < 0.8', 'median(loss) > 0.01', 'iqm(loss) > 0.01'. Repeatable.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="csv has one line per run; markdown and latex have the tables.",
            show_default="table",
        ),
    ] = None,
    runs: RunsOption = None,
    json: JsonOption = False,
) -> None:
    if json and format not in {None, Format.JSON}:
        raise UsageError("--json and another --format", hint="give only one of them")
    conditions = {text: parse(text, option=OPTION) for text in fail_if or []}
    with no_collection():
        comparison = compare(runs_named(runs_root(runs), names), metric, by=by, over=over, baseline=baseline)
        met = {text: found for text, condition in conditions.items() if (found := failures(comparison, condition))}
        for one in comparison.damaged:
            warn(f"{one.name} is damaged and left out: {one.reason}")
        for warning in comparison.warnings:
            warn(warning)
        _show(comparison, Format.JSON if json else format or Format.TABLE)
    if met:
        parts = [
            f"{text}: {', '.join(who[:_MOST_NAMED])}{' and more' * (len(who) > _MOST_NAMED)}"
            for text, who in met.items()
        ]
        raise ConditionError("; ".join(parts), where=OPTION)
    if comparison.damaged:
        raise typer.Exit(4)


def _show(comparison: Comparison, format: Format) -> None:
    if format is Format.TABLE:
        show_comparison(comparison)
    elif format is Format.JSON:
        show_json("compare", comparison_json(comparison))
    else:
        written = {
            Format.CSV: comparison_csv,
            Format.MARKDOWN: comparison_markdown,
            Format.LATEX: comparison_latex,
        }
        show_text(written[format](comparison))
