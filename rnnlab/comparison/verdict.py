"""The difference in words: one sentence that claims no more than the runs show."""

from collections.abc import Mapping, Sequence

from rnnlab.comparison.comparability import one_definition
from rnnlab.runs.run import Run

_MOST_TOLD = 4
_LOSS, _ERROR_RATE = "validation/loss", "validation/error_rate"


def verdict(results: Sequence[Run], headings: Mapping[str, str]) -> str:
    """Return what runs of different configs show, and how far that carries; `story` tells of groups.

    Args:
        results: The runs.
        headings: Name of a run -> what to call it.
    """
    if not one_definition(results):
        return "The runs did not do one task at one length, so their numbers cannot say which is better."
    tell = _each if len(results) <= _MOST_TOLD else _counted
    sentence = f"{tell(_by_success(results), headings)}."
    return f"{sentence} One run each: an anecdote, not evidence." if len(results) > 1 else sentence


def _by_success(results: Sequence[Run]) -> list[Run]:
    """Return the runs that solved first, the fewest sequences before more; then the others by their loss."""

    def rank(result: Run) -> tuple[bool, float]:
        if result.summary.solved_at:
            return False, result.summary.solved_at.sequences
        loss = result.final(_LOSS)
        return True, float("inf") if loss is None else loss

    return sorted(results, key=rank)


def _each(results: Sequence[Run], headings: Mapping[str, str]) -> str:
    clauses = [f"{headings[result.name]} {_clause(result)}" for result in results]
    first = results[0]
    if first.summary.solved_at is None:
        return f"{_none(results)} solved {task_of(first)}: {'; '.join(clauses)}"
    clauses[0] = f"{headings[first.name]} solved {task_of(first)} {_after(first.summary.solved_at.sequences)}"
    return "; ".join(clauses)


def _none(results: Sequence[Run]) -> str:
    subject = "No run"
    # Whether the rule is met stands in the summary, which a run writes at its end.
    is_open = any(result.summary.solved is None for result in results)
    return f"{subject} is known to have" if is_open else f"{subject} has"


def _clause(result: Run) -> str:
    if result.summary.solved_at:
        return f"solved it {_after(result.summary.solved_at.sequences)}"
    after = _after(result.summary.sequences)
    return {
        "running": f"has not ended {after}{_score(result)}",
        "stale": f"has not ended {after}{_score(result)}",
        "interrupted": f"was interrupted {after}{_score(result)}",
        "diverged": f"diverged {after}",
        "failed": f"failed {after}",
    }.get(result.state, f"did not within {_sequences(result.summary.sequences)}{_score(result)}")


def _counted(results: Sequence[Run], headings: Mapping[str, str]) -> str:
    first = results[0]
    solved = [result.summary.solved_at.sequences for result in results if result.summary.solved_at]
    counted = f"{len(solved)} of {len(results)} runs solved {task_of(first)}"
    if not solved:
        return f"{counted}; the lowest final loss is that of {headings[first.name]}{_score(first)}"
    if len(solved) == 1:
        return f"{counted}: {headings[first.name]}, {_after(solved[0])}"
    last = headings[results[len(solved) - 1].name]
    return f"{counted}: {headings[first.name]} first, {_after(solved[0])}, {last} last, {_after(solved[-1])}"


def task_of(result: Run) -> str:
    """Return the task and its length in words."""
    steps = result.config.get("shape.timesteps")
    length = "…".join(map(str, steps)) if isinstance(steps, list) else steps
    return f"{result.config.get('task.type')} (T={length})"


def _after(sequences: int | None) -> str:
    return f"after {_sequences(sequences)}"


def _sequences(count: int | None) -> str:
    return "an unknown number of sequences" if count is None else f"{count:,} sequences"


def _score(result: Run) -> str:
    named = {"loss": result.final(_LOSS), "error rate": result.final(_ERROR_RATE)}
    known = [f"{name} {value:.3g}" for name, value in named.items() if value is not None]
    return f" ({', '.join(known)})" if known else ""
