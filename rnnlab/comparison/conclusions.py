"""What a comparison shows, in sentences: no more than the runs support, and how sure that is."""

from collections.abc import Mapping, Sequence
from typing import Any

from rnnlab.comparison.comparability import is_one_task
from rnnlab.comparison.contrasts import Contrast
from rnnlab.comparison.groups import Group, key_label, short_name, value_label
from rnnlab.comparison.pivot import Overall, Pivot
from rnnlab.comparison.statistics import p_text, smallest_p
from rnnlab.core.code_files import without_path
from rnnlab.core.text import counted
from rnnlab.runs.run import Run
from rnnlab.storage.summary import LOSS

_SIGNIFICANT = 0.05
_ENOUGH = 5  # runs per group, below which no test can show much
_MOST_NAMED = 4
_NOT_ONE_TASK = "The runs differ in their task or its sequence length, so their results cannot be compared"


def conclusion(
    runs: Sequence[Run],
    headings: Mapping[str, str],
    groups: Sequence[Group],
    contrasts: Sequence[Contrast],
    table: Pivot | None,
) -> str:
    """Return what a comparison shows; the arguments are what `Comparison` has under these names, `table` its pivot."""
    if table:
        parts = _of_table(table)
    elif len(groups) == len(runs):
        parts = _of_runs(runs, headings)
    elif len(groups) == 1:
        parts = _of_one(groups[0])
    elif contrasts:
        parts = [*_of_counts(groups, contrasts), *_of_values(contrasts), *_limits(contrasts)]
    else:
        parts = [_NOT_ONE_TASK]
    return " ".join(f"{part}." for part in parts if part)


def _p(p: float) -> str:
    return f"p {'' if p < 0.001 else '= '}{p_text(p)}"


def _of_runs(runs: Sequence[Run], headings: Mapping[str, str]) -> list[str]:
    if not is_one_task(runs):
        return [_NOT_ONE_TASK]
    ranked = sorted(runs, key=_by_success)
    many = len(runs) > _MOST_NAMED
    clauses = [f"{headings[run.name]} {_clause(run)}" for run in (ranked[:1] if many else ranked)]
    first, solved = ranked[0], [run for run in runs if run.summary.solved_at]
    if solved:
        clauses[0] = f"{headings[first.name]} solved {_task(first)} after {_sequences(first)}"
    else:
        # Whether the rule is met is in the summary, which a run writes at its end.
        is_known = all(run.summary.solved is not None for run in runs)
        clauses[0] = f"No run {'has' if is_known else 'is known to have'} solved {_task(first)}: {clauses[0]}"
    rest = f"; {len(solved):,} of {len(runs):,} runs solved it" if many and solved else ""
    caveat = "There is one run per config, so differences may be chance" if len(runs) > 1 else ""
    return ["; ".join(clauses) + rest, caveat]


def _by_success(run: Run) -> tuple[bool, float]:
    """Runs that solved the task come first, the fewest sequences before more; then the others by their loss."""
    if run.summary.solved_at:
        return False, run.summary.solved_at.sequences
    loss = run.final(LOSS)
    return True, float("inf") if loss is None else loss


def _clause(run: Run) -> str:
    if run.summary.solved_at:
        return f"solved it after {_sequences(run)}"
    if run.state in {"diverged", "failed"}:
        return f"{run.state} after {_sequences(run)}"
    unfinished = {"running": "has not ended", "stale": "has not ended", "interrupted": "was interrupted"}
    verb = f"{unfinished[run.state]} after" if run.state in unfinished else "did not solve it within"
    return f"{verb} {_sequences(run)}{_scores(run)}"


def _task(run: Run) -> str:
    """Return the task and its length."""
    steps = run.config.get("shape.timesteps")
    length = "…".join(map(str, steps)) if isinstance(steps, list) else steps
    return f"{without_path(run.config.get('task.type'))} (T={length})"


def _sequences(run: Run) -> str:
    """Return the sequences until the task was solved, or else until the end."""
    count = run.summary.solved_at.sequences if run.summary.solved_at else run.summary.sequences
    return "an unknown number of sequences" if count is None else counted(count, "sequence")


def _scores(run: Run) -> str:
    values = {"loss": run.final(LOSS), "error rate": run.final("validation/error_rate")}
    known = [f"{name} {value:.3g}" for name, value in values.items() if value is not None]
    return f" ({', '.join(known)})" if known else ""


def _of_one(group: Group) -> list[str]:
    solved = f"{group.solved} of {len(group.decided)} runs solved {_task(group.results[0])}"
    if len(set(group.seeds)) == 1:
        return [solved, "The configs are the same"]
    interval = group.solved_interval
    share = f"; 95 % interval of the share: {interval.low:.0%} to {interval.high:.0%} (Wilson)" if interval else ""
    return [solved + share, "The configs differ only in the seed, so the differences between runs are chance"]


def _of_table(table: Pivot) -> list[str]:
    counts = [(_column(table, value), *table.solved(place)) for place, value in enumerate(table.columns)]
    solved = ", ".join(f"{name} {k}/{n}" for name, k, n in counts[:_MOST_NAMED] if n)
    significant = [one for one in table.overall if one.p_holm < _SIGNIFICANT]
    parts = [f"Runs that solved the task: {solved}{_overall(table, significant)}"] if solved else []
    reach = [(place, table.solves_up_to(place)) for place, (_, _, n) in enumerate(counts) if n]
    if table.is_ascending and any(last is not None for _, last in reach):
        parts.append("; ".join(_reach(table, place, last) for place, last in reach[:_MOST_NAMED]))
    if table.overall and not significant:
        parts.append("Over all rows the columns do not differ significantly in how often they solve the task")
    return parts


def _column(table: Pivot, value: Any) -> str:
    return "the others" if value is None else value_label(table.by, value)


def _overall(table: Pivot, significant: Sequence[Overall]) -> str:
    if not significant:
        return ""
    best = min(significant, key=lambda one: one.p_holm)
    which = f"{_column(table, best.one)} and {_column(table, best.other)}: " if len(table.columns) > 2 else ""
    pairs = f"{counted(best.pairs, 'pair')} of equal {key_label(table.over)} and seed"
    return f"; {which}{_p(best.p_holm)} (McNemar's exact test, {pairs})"


def _reach(table: Pivot, place: int, last: Any) -> str:
    name, lost = _column(table, table.columns[place]), table.solves_none_from(place)
    if last is None and lost == table.rows[0]:
        return f"{name} solves none"
    if last == table.rows[-1]:
        return f"{name} solves {value_label(table.over, table.rows[0])} … {last} with every seed"
    which = "none" if last is None else f"up to {value_label(table.over, last)}"
    none = "" if lost is None else f", and with no seed from {value_label(table.over, lost)} on"
    return f"{name} solves {which} with every seed{none}"


def _of_counts(groups: Sequence[Group], contrasts: Sequence[Contrast]) -> list[str]:
    compared = {id(group) for one in contrasts for group in (one.one, one.other)}
    ranked = sorted(
        (group for group in groups if id(group) in compared and group.decided),
        key=lambda group: -group.solved / len(group.decided),
    )
    if not ranked:
        return []
    solved = ", ".join(f"{group.heading} {group.solved}/{len(group.decided)}" for group in ranked[:_MOST_NAMED])
    rest = len(ranked) - _MOST_NAMED
    more = f" and {counted(rest, 'more group')} with fewer" if rest > 0 else ""
    best = _most_significant(contrasts, "solved")
    found = f"{_which(best, contrasts)}{_p(best.p_holm['solved'])} (Fisher's exact test)" if best else ""
    return [f"Runs that solved the task: {solved}{more}; {found or 'no significant difference'}"]


def _of_values(contrasts: Sequence[Contrast]) -> list[str]:
    tested = [one for one in contrasts if one.values and "values" in one.p_holm]
    if not tested:
        return []
    name = short_name(tested[0].one.metric)
    best = _most_significant(tested, "values")
    if best is None or best.values is None:
        least = min(tested, key=lambda one: one.p_holm["values"])
        which = _which(least, contrasts)
        return [f"The final {name} does not differ significantly ({which}{_p(least.p_holm['values'])})"]
    is_first = (best.values.superiority >= 0.5) == best.one.higher_is_better
    better, worse = (best.one, best.other) if is_first else (best.other, best.one)
    share = max(best.values.superiority, 1 - best.values.superiority)
    return [
        f"The final {name} of {better.heading} is better than that of {worse.heading}: median {better.median:.3g} "
        f"against {worse.median:.3g}, better in {share:.0%} of pairs, {_p(best.p_holm['values'])} "
        f"({best.values.test})"
    ]


def _most_significant(contrasts: Sequence[Contrast], kind: str) -> Contrast | None:
    """Return the contrast with the lowest p value, if that is significant."""
    best = min((one for one in contrasts if kind in one.p_holm), key=lambda one: one.p_holm[kind], default=None)
    return best if best and best.p_holm[kind] < _SIGNIFICANT else None


def _which(contrast: Contrast, contrasts: Sequence[Contrast]) -> str:
    """Return which two groups are meant, where there are several contrasts."""
    return "" if len(contrasts) == 1 else f"{contrast.one.heading} and {contrast.other.heading}: "


def _limits(contrasts: Sequence[Contrast]) -> list[str]:
    """Return how little so few runs can show."""
    sizes = [len(group.results) for one in contrasts for group in (one.one, one.other)]
    fewest, most = min(sizes), max(sizes)
    smallest = min(smallest_p(len(one.one.results), len(one.other.results), paired=one.paired) for one in contrasts)
    if fewest >= _ENOUGH and smallest < _SIGNIFICANT:
        return []
    runs = counted(most, "run") if fewest == most else f"{fewest} to {counted(most, 'run')}"
    return [f"With {runs} per group, no test of final values can give a p below {smallest:.2g}"]
