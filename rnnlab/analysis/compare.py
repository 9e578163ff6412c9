"""Comparing runs: what differs in their configs, what each came to, and whether the numbers may be held together.

Runs that differ in their seed alone are one group (`groups`); statistics over groups belong between the results and
the verdict, in a module of their own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from rnnlab.analysis.comparability import comparability_warnings
from rnnlab.analysis.differences import differences
from rnnlab.analysis.headings import headings
from rnnlab.analysis.metric import has_baseline, higher_is_better, resolve_metric
from rnnlab.analysis.result import Damaged, Result, read_result
from rnnlab.analysis.verdict import verdict
from rnnlab.core.errors import UsageError, VerificationError
from rnnlab.core.text import visible
from rnnlab.runs import RunFolder


@final
@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        results: One a run, best final value of `metric` first; runs without one come last.
        damaged: The runs that could not be read, each with the reason.
        metric: The metric by which they are ordered, by its full name.
        headings: Name of a run -> what to call it here: short, and different for every run.
        differences: Dotted config key -> name of a run -> value, for the keys that differ, the run's name left out; a
            run whose config lacks the key is not among the values.
        warnings: Why numbers are not comparable, or not final; one sentence each.
        verdict: The difference in words.
    """

    results: tuple[Result, ...]
    damaged: tuple[Damaged, ...]
    metric: str
    headings: Mapping[str, str]
    differences: Mapping[str, Mapping[str, Any]]
    warnings: tuple[str, ...]
    verdict: str

    def baseline(self, result: Result) -> float | None:
        """Return the task's baseline for the metric of this comparison; None where it has none."""
        return result.baseline if has_baseline(self.metric) else None


def compare(runs: Sequence[RunFolder | Damaged], metric: str | None = None) -> Comparison:
    """Compare runs; what is damaged is named and left out.

    Args:
        runs: The runs, or the reason why one could not be opened.
        metric: What to order and draw by: a full name (`train/loss`) or that of a validation metric (`error_rate`);
            the validation loss when left out.

    Raises:
        UsageError: No run recorded that metric, or a run is given twice.
        VerificationError: Not one of the runs can be read.
    """
    _refuse_repeats(runs)
    read = [read_result(run) if isinstance(run, RunFolder) else run for run in runs]
    damaged = tuple(one for one in read if isinstance(one, Damaged))
    results = _distinct([one for one in read if isinstance(one, Result)])
    if not results:
        raise VerificationError("; ".join(f"{one.name}: {one.reason}" for one in damaged), where="no run can be read")
    name = resolve_metric(results, metric)
    ordered = tuple(sorted(results, key=lambda result: _rank(result, name)))
    called = headings(ordered)
    return Comparison(
        results=ordered,
        damaged=damaged,
        metric=name,
        headings=called,
        differences=differences(ordered),
        warnings=tuple(comparability_warnings(ordered, called)),
        verdict=verdict(ordered, called),
    )


def _refuse_repeats(runs: Sequence[RunFolder | Damaged]) -> None:
    paths = Counter(run.path.resolve() for run in runs if isinstance(run, RunFolder))
    twice = next((path for path, times in paths.items() if times > 1), None)
    if twice:
        problem = f"the run {visible(twice.name)} is given {paths[twice]} times"
        raise UsageError(problem, hint="name each run once; `rnnlab list` shows the runs")


def _distinct(results: list[Result]) -> list[Result]:
    """Return the results under names that differ: a copied run folder keeps its name, so then the path is the name."""
    times = Counter(result.name for result in results)
    return [result if times[result.name] == 1 else replace(result, name=str(result.path)) for result in results]


def _rank(result: Result, metric: str) -> tuple[bool, float]:
    value = result.final(metric)
    if value is None:
        return True, 0.0
    return False, -value if higher_is_better(metric) else value
