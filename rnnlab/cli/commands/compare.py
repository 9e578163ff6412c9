"""Compare runs: what differs, and what can be concluded.

Runs that differ only in their seed are one group. Of each group it shows how many runs solved the task, with Wilson's
interval, how many sequences that took, and the median and the interquartile mean of the final metric. Groups are
compared by statistical tests, whose p values are corrected for the number of all tests of the comparison.

A run that diverged, stopped on a plateau, or was pruned counts as one that never solves the task. One that was
interrupted, failed or has not ended is not counted, and in the sequences to success it is censored where it ended.

A damaged run is reported on stderr and left out, and the exit code is then 4. If a --fail-if condition is met, or
cannot be decided because a number is unknown, the exit code is 9. A condition names of each run a metric, as --metric
takes it, `val_` being short for `validation/`; `steps`, `sequences`, `seconds`, `solved`; any config key; and of its
group `median(METRIC)`, `iqm(METRIC)` and `solved_rate`.
"""

from collections.abc import Callable, Sequence
from math import isnan, nan
from pathlib import Path
from typing import Annotated, Any

import typer

from rnnlab.cli.errors import warn
from rnnlab.cli.named import run_named
from rnnlab.cli.options import RUNS, Format, JsonOption, RunsArgument, RunsOption, option
from rnnlab.cli.render.comparison import show_comparison
from rnnlab.comparison import Comparison, compare
from rnnlab.comparison.groups import Group, groups_of, resolve_metric
from rnnlab.comparison.tables import value_text
from rnnlab.core.errors import ConditionError, UsageError
from rnnlab.core.text import listed
from rnnlab.runs.filter import Filter, Value, parse
from rnnlab.runs.find import no_collection
from rnnlab.runs.run import Run
from rnnlab.sweeps.named import runs_named

_FAIL_IF = "--fail-if"
_FAIL_IF_HELP = (
    "Exit with code 9 if this is true of any run: 'val_loss > 0.01 and cell.type = carry'; of any group: "
    "'solved_rate < 0.8', 'median(loss) > 0.01', 'iqm(loss) > 0.01'. Repeatable."
)
_MOST_NAMED = 4


def command(
    names: RunsArgument,
    metric: Annotated[
        str | None, option("NAME", "The metric: error_rate, train/loss and so on; loss when left out.")
    ] = None,
    by: Annotated[str | None, option("KEY", "Show groups as a table whose columns are this key's values.")] = None,
    over: Annotated[str | None, option("KEY", "The config key whose values are its rows.")] = None,
    baseline: Annotated[
        str | None, option("GROUP", "Compare every group with this one: its heading, or a part of it.", "each pair")
    ] = None,
    fail_if: Annotated[list[str] | None, option("CONDITION", _FAIL_IF_HELP)] = None,
    format: Annotated[
        Format | None, option(None, "csv has one line per run; markdown and latex have the tables.", "table")
    ] = None,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    if json and format not in {None, "json"}:
        raise UsageError("--json and another --format", hint="give only one of them")
    conditions = {text: parse(text, option=_FAIL_IF) for text in fail_if or []}
    with no_collection():
        comparison = compared(runs, names, metric, fewest=2, by=by, over=over, baseline=baseline)
        met = {text: found for text, condition in conditions.items() if (found := failures(comparison, condition))}
        for warning in comparison.warnings:
            warn(warning)
        show_comparison(comparison, "json" if json else format or "table")
    if met:
        problem = "; ".join(f"{text}: {listed(found, _MOST_NAMED)}" for text, found in met.items())
        raise ConditionError(problem, where=_FAIL_IF)
    if comparison.damaged:
        raise typer.Exit(4)


def compared(root: Path, names: Sequence[str], metric: str | None, *, fewest: int = 1, **groups: Any) -> Comparison:
    """Return the comparison of the runs that names mean, with a warning for each that is damaged; see `compare`."""
    comparison = compare(runs_named(root, names, fewest=fewest, find=run_named), metric, **groups)
    for one in comparison.damaged:
        warn(f"{one.name} is damaged and left out: {one.reason}")
    return comparison


def failures(comparison: Comparison, condition: Filter) -> list[str]:
    """Return the runs that a condition matches, each with its values; groups, if it names nothing of single runs.

    Raises:
        UsageError: No run recorded such a metric.
    """
    reads = {name: _reader(name, comparison) for name in condition.names}
    if all(name == "solved_rate" or "(" in name for name in reads):
        heads = [(group.heading, group.results[0]) for group in comparison.groups]
    else:
        heads = [(comparison.headings[run.name], run) for run in comparison.results]
    failed = []
    for heading, run in heads:
        values = {name: read(run) for name, read in reads.items()}
        if condition.matches(values.get, not_finite=True):
            texts = [("" if len(values) == 1 else f"{name} ") + _text(value) for name, value in values.items()]
            failed.append(f"{heading} ({', '.join(texts)})")
    return failed


def _reader(name: str, comparison: Comparison) -> Callable[[Run], Value]:
    """Return the function from a run to the value that a name means; an unknown number is nan."""
    if name == "solved_rate":
        return _of_group(comparison.groups, _solved_rate)
    if "(" in name:
        kind, _, metric = name.rstrip(")").partition("(")
        if kind not in {"median", "iqm"}:
            raise UsageError(f"there is no {kind}(…)", where=_FAIL_IF, hint="known: median(METRIC), iqm(METRIC)")
        groups = groups_of(comparison.results, _metric(metric, comparison))
        return _of_group(groups, lambda group: group.median if kind == "median" else group.interquartile_mean)
    if name in {"steps", "sequences", "seconds", "solved"}:
        return lambda run: _known(getattr(run.summary, name))
    if any(name in run.config for run in comparison.results):
        return lambda run: run.config.get(name)
    full = _metric(name, comparison)
    return lambda run: _known(run.final(full))


def _of_group(groups: tuple[Group, ...], value: Callable[[Group], float]) -> Callable[[Run], Value]:
    of_run = {run.name: group for group in groups for run in group.results}
    return lambda run: value(of_run[run.name])


def _solved_rate(group: Group) -> float:
    return group.solved / len(group.results) if len(group.decided) == len(group.results) else nan


def _known(value: float | None) -> float:
    return nan if value is None else value


def _metric(name: str, comparison: Comparison) -> str:
    asked = f"validation/{name.removeprefix('val_')}" if name.startswith("val_") else name
    return resolve_metric(comparison.results, asked, option=_FAIL_IF)


def _text(value: Value) -> str:
    if isinstance(value, float):
        return "unknown" if isnan(value) else f"{value:.6g}"
    return value_text(value)
