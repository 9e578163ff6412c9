"""The gate of `compare --fail-if`: which runs, or groups, a filter matches.

Of each run: a metric, as `--metric` takes it, `val_` being short for `validation/`; `steps`, `sequences`, `seconds`,
`solved`; any config key. Of each group: `median(METRIC)`, `iqm(METRIC)`, `solved_rate`; a run has those of its group. A
number that is unknown or not finite fails the gate: every condition on it is met.
"""

from collections.abc import Callable
from math import nan

from rnnlab.comparison.compare import Comparison
from rnnlab.comparison.groups import Group, groups_of, resolve_metric
from rnnlab.comparison.tables import value_text
from rnnlab.core.errors import UsageError
from rnnlab.runs.filter import Filter, Value
from rnnlab.runs.run import Run

OPTION = "--fail-if"
_FIGURES = ("steps", "sequences", "seconds", "solved")

Read = Callable[[Run], Value]


def failures(comparison: Comparison, condition: Filter) -> list[str]:
    """Return the runs that a condition matches, each with its values; groups, if it names nothing of single runs.

    Raises:
        UsageError: No run recorded such a metric.
    """
    reads = {name: _read(name, comparison) for name in condition.names}
    if all(map(_is_of_groups, reads)):
        heads = [(group.heading, group.results[0]) for group in comparison.groups]
    else:
        heads = [(comparison.headings[one.name], one) for one in comparison.results]
    return [
        f"{heading} ({', '.join(_text(name, read(one), alone=len(reads) == 1) for name, read in reads.items())})"
        for heading, one in heads
        if condition.matches(lambda name, one=one: reads[name](one), not_finite=True)  # type: ignore[misc]
    ]


def _is_of_groups(name: str) -> bool:
    return name == "solved_rate" or "(" in name


def _read(name: str, comparison: Comparison) -> Read:
    """Return the function from a run to the value that a name means."""
    if name == "solved_rate":
        return _of_group(comparison.groups, _solved_rate)
    if "(" in name:
        kind, _, metric = name.rstrip(")").partition("(")
        if kind not in {"median", "iqm"}:
            raise UsageError(f"there is no {kind}(…)", where=OPTION, hint="known: median(METRIC), iqm(METRIC)")
        groups = groups_of(comparison.results, _metric(metric, comparison))
        return _of_group(groups, lambda group: group.median if kind == "median" else group.interquartile_mean)
    if name in _FIGURES:
        return lambda one: _known(getattr(one.summary, name))
    if any(name in one.config for one in comparison.results):
        return lambda one: one.config.get(name)
    full = _metric(name, comparison)
    return lambda one: _known(one.final(full))


def _of_group(groups: tuple[Group, ...], value: Callable[[Group], float]) -> Read:
    of_run = {one.name: group for group in groups for one in group.results}
    return lambda one: value(of_run[one.name])


def _solved_rate(group: Group) -> float:
    return group.solved / len(group.results) if len(group.decided) == len(group.results) else nan


def _known(value: float | None) -> float:
    return nan if value is None else value


def _metric(name: str, comparison: Comparison) -> str:
    asked = f"validation/{name.removeprefix('val_')}" if name.startswith("val_") else name
    return resolve_metric(comparison.results, asked, option=OPTION)


def _text(name: str, value: Value, *, alone: bool) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else value_text(value)
    text = "unknown" if text == "nan" else text
    return text if alone else f"{name} {text}"
