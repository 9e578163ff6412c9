"""Conditions on a comparison, for a gate in continuous integration: `loss > 0.01`, `solved_rate < 0.8`.

    CONDITION := NAME (< | <= | > | >= | == | !=) NUMBER
    NAME      := a metric, as --metric takes it, `val_` being short for `validation/`; steps, sequences, seconds,
                 solved (1 or 0): of each run
               | median(METRIC), iqm(METRIC), solved_rate: of each group

It holds if it holds for any run, or any group. A number that is unknown or not finite fails the gate: it holds for
every condition.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

from rnnlab.comparison.compare import Comparison
from rnnlab.comparison.groups import groups_of
from rnnlab.comparison.metric import resolve_metric
from rnnlab.core.errors import UsageError
from rnnlab.core.text import visible
from rnnlab.runs.run import Run

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_FORM = re.compile(
    rf"\s*(?P<name>[\w/]+|(?:median|iqm)\(\s*[\w/]+\s*\))\s*(?P<sign>[<>]=?|[=!]=)\s*(?P<number>{_NUMBER})\s*"
)
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_OF_RUNS: dict[str, Callable[[Run], float | None]] = {
    "steps": lambda one: float(one.summary.steps),
    "sequences": lambda one: one.summary.sequences,
    "seconds": lambda one: one.summary.seconds,
    "solved": lambda one: None if one.summary.solved is None else float(one.summary.solved),
}
_OPTION = "--fail-if"


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes:
        text: As given.
        name: Of what.
        sign: How it is compared.
        number: With what.
    """

    text: str
    name: str
    sign: str
    number: float

    def met(self, comparison: Comparison) -> list[str]:
        """Return for whom it holds, each with its value.

        Raises:
            UsageError: No run recorded such a metric.
        """
        is_met = _SIGNS[self.sign]
        return [
            f"{heading} ({'unknown' if value is None else f'{value:.6g}'})"
            for heading, value in _values(self.name, comparison)
            if value is None or not math.isfinite(value) or is_met(value, self.number)
        ]


def parse_condition(text: str) -> Condition:
    """Return the condition that a text states.

    Raises:
        UsageError: It states none.

    Example:
        >>> parse_condition("median(val_loss) > 1e-2").number
        0.01
    """
    match = _FORM.fullmatch(text)
    if match is None:
        hint = "write NAME, one of < <= > >= == !=, and a number: 'loss > 0.01', 'solved_rate < 0.8'"
        raise UsageError(f"'{visible(text[:100])}' is no condition", where=_OPTION, hint=hint)
    return Condition(text, match["name"].replace(" ", ""), match["sign"], float(match["number"]))


def _values(name: str, comparison: Comparison) -> Iterator[tuple[str, float | None]]:
    """Yield what each run, or each group, is called, and its value."""
    if name == "solved_rate":
        for group in comparison.groups:
            known = len(group.decided)
            yield group.heading, group.solved / known if known == len(group.results) else None
    elif "(" in name:
        kind, _, metric = name.rstrip(")").partition("(")
        for group in groups_of(comparison.results, _metric(metric, comparison)):
            yield group.heading, group.median if kind == "median" else group.interquartile_mean
    else:
        of_run = _OF_RUNS.get(name)
        full = "" if of_run else _metric(name, comparison)
        for one in comparison.results:
            yield comparison.headings[one.name], of_run(one) if of_run else one.final(full)


def _metric(name: str, comparison: Comparison) -> str:
    asked = f"validation/{name.removeprefix('val_')}" if name.startswith("val_") else name
    try:
        return resolve_metric(comparison.results, asked)
    except UsageError as error:
        raise UsageError(error.problem, where=_OPTION, hint=error.hint) from error
