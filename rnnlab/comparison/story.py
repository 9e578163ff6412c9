"""What groups of runs show, in words: no more than the runs support, and how sure that is."""

from collections.abc import Sequence
from typing import Any

from rnnlab.comparison.contrasts import Contrast
from rnnlab.comparison.groups import Group, told_key, told_value
from rnnlab.comparison.metric import higher_is_better, short_name
from rnnlab.comparison.pivot import Overall, Pivot
from rnnlab.comparison.statistics.differences import smallest_p
from rnnlab.comparison.verdict import task_of

_SURE = 0.05
_ENOUGH = 5  # runs a group, below which no test can show much
_MOST_TOLD = 4


def story(groups: Sequence[Group], contrasts: Sequence[Contrast], table: Pivot | None) -> str:
    """Return what the groups show.

    Args:
        groups: Of which one at least has several runs.
        contrasts: Those that may be held against each other.
        table: The groups in rows and columns, where that suits them.
    """
    if table:
        return _sentences(_of_table(table))
    if len(groups) == 1:
        return _sentences(_of_one(groups[0]))
    if not contrasts:
        return "The groups did not do one task at one length, so their numbers cannot say which is better."
    return _sentences([*_of_counts(groups, contrasts), *_of_values(contrasts), *_caveat(contrasts)])


def told_p(p: float) -> str:
    """Return a p value in words.

    Example:
        >>> told_p(0.0004), told_p(0.0079), told_p(1.0)
        ('p < 0.001', 'p = 0.0079', 'p = 1')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _sentences(parts: Sequence[str]) -> str:
    return " ".join(f"{part}." for part in parts if part)


def _of_one(group: Group) -> list[str]:
    solved = f"{group.solved} of {len(group.decided)} runs solved {task_of(group.results[0])}"
    interval = group.solved_interval
    share = f"; the share that does is {interval.low:.0%} to {interval.high:.0%} (95 %, Wilson)" if interval else ""
    if len(set(group.seeds)) == 1:
        return [solved, "The configs are the same"]
    return [solved + share, "The configs differ in the seed alone, so the differences between runs are chance"]


def _of_table(table: Pivot) -> list[str]:
    counted = [(value, *table.solved(place)) for place, value in enumerate(table.columns)]
    first = "; ".join(f"{_told(table.by, value)} solves {k}/{n}" for value, k, n in counted[:_MOST_TOLD] if n)
    sure = [one for one in table.overall if one.p < _SURE]
    parts = [f"{first}{_overall(table, sure)}"]
    reach = [(place, table.solves_up_to(place)) for place in range(len(table.columns)) if table.solved(place)[1]]
    if table.is_ascending and any(last is not None for _, last in reach):
        parts.append("; ".join(_reach(table, place, last) for place, last in reach[:_MOST_TOLD]))
    if table.overall and not sure:
        parts.append("Over all rows the columns do not differ by more than chance in how often they solve the task")
    return parts


def _overall(table: Pivot, sure: Sequence[Overall]) -> str:
    if not sure:
        return ""
    surest = min(sure, key=lambda one: one.p)
    which = (
        "" if len(table.columns) == 2 else f"{_told(table.by, surest.one)} against {_told(table.by, surest.other)}: "
    )
    pairs = f"{surest.pairs} pairs of equal {told_key(table.over)} and seed"
    return f"; {which}{told_p(surest.p)} (McNemar's exact test, {pairs})"


def _reach(table: Pivot, place: int, last: Any) -> str:
    name, lost = _told(table.by, table.columns[place]), table.solves_none_from(place)
    none = "" if lost is None else f" and with none from {_told(table.over, lost)} on"
    if last is None:
        return f"{name} never with every seed{none}"
    if last == table.rows[-1]:
        return f"{name} solves it with every seed at all of {_told(table.over, table.rows[0])} … {last}"
    return f"{name} with every seed up to {_told(table.over, last)}{none}"


def _told(key: str, value: Any) -> str:
    return "the rest" if value is None else told_value(key, value)


def _of_counts(groups: Sequence[Group], contrasts: Sequence[Contrast]) -> list[str]:
    met = [group for group in groups if any(group in (one.one, one.other) for one in contrasts) and group.decided]
    if not met:
        return []
    ranked = sorted(met, key=lambda group: -group.solved / len(group.decided))
    counted = ", ".join(f"{group.heading} {_solves(group, rank)}" for rank, group in enumerate(ranked[:_MOST_TOLD]))
    more = f" and {len(ranked) - _MOST_TOLD} more groups less" if len(ranked) > _MOST_TOLD else ""
    tested = [one for one in contrasts if "solved" in one.corrected]
    surest = min(tested, key=lambda one: one.corrected["solved"], default=None)
    if surest is None or surest.corrected["solved"] >= _SURE:
        return [f"{counted}{more}: no difference in that beyond chance"]
    return [f"{counted}{more}; {_between(surest, contrasts)}{told_p(surest.corrected['solved'])} (Fisher's exact test)"]


def _solves(group: Group, rank: int) -> str:
    return f"{'solves ' if rank == 0 else ''}{group.solved}/{len(group.decided)}"


def _between(contrast: Contrast, contrasts: Sequence[Contrast]) -> str:
    """Return which two are meant, where that is not clear."""
    return "" if len(contrasts) == 1 else f"{contrast.one.heading} against {contrast.other.heading}: "


def _of_values(contrasts: Sequence[Contrast]) -> list[str]:
    tested = [one for one in contrasts if one.values and "values" in one.corrected]
    surest = min(tested, key=lambda one: one.corrected["values"], default=None)
    if surest is None:
        return []
    metric = surest.one.metric
    p, name = surest.corrected["values"], short_name(metric)
    if p >= _SURE or surest.values is None:
        return [f"The final {name} differs no more than by chance ({_between(surest, contrasts)}{told_p(p)})"]
    first = (surest.values.superiority >= 0.5) == higher_is_better(metric)
    better, worse = (surest.one, surest.other) if first else (surest.other, surest.one)
    chance = max(surest.values.superiority, 1 - surest.values.superiority)
    return [
        f"The final {name} of {better.heading} is the better: median {better.median:.3g} against {worse.median:.3g} of "
        f"{worse.heading}, in {chance:.0%} of pairs, {told_p(p)} ({surest.values.test})"
    ]


def _caveat(contrasts: Sequence[Contrast]) -> list[str]:
    least = min((min(len(one.one.results), len(one.other.results)) for one in contrasts), default=_ENOUGH)
    smallest = min(smallest_p(len(one.one.results), len(one.other.results), paired=one.paired) for one in contrasts)
    if least >= _ENOUGH and smallest < _SURE:
        return []
    runs = "one run" if least == 1 else f"{least} runs"
    limit = f"no test of final values here can give a p below {smallest:.2g}"
    return [f"With {runs} in a group little can be concluded: {limit}"]
