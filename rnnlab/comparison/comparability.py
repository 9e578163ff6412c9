"""Which runs may be held together: a warning for everything that makes their numbers mean different things."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rnnlab.runs.run import Run
from rnnlab.storage.metrics import CUT, TORN

_MOST_NAMED = 4
_MOST_UNFINISHED = 20

_REASONS = {
    "task.type": "a loss means nothing outside its own task",
    "shape.timesteps": "the length sets how hard a task is",
    "shape.return_sequences": "they are scored on different steps of a sequence",
    "evaluation.sequences": "they were scored on different validation sets",
    "seed": "each was scored on a validation set of its own, so a small difference may be chance",
}
_TASK_OPTION = "the task's options are part of its definition"
_TASK_DATA = "they read different data"
GRAVE = ("task.", "shape.")  # keys by which runs do different things


def comparability_warnings(
    results: Sequence[Run], headings: Mapping[str, str], *, may_differ: Collection[str] = ()
) -> list[str]:
    """Return why the numbers of these runs are not comparable, one sentence a reason, the gravest first.

    Args:
        results: The runs.
        headings: Name of a run -> what to call it.
        may_differ: Keys that are meant to differ.
    """
    called = [headings[result.name] for result in results]
    warnings = [
        f"{_weight(key)}: {key} differs ({values}): {_REASONS.get(key, _TASK_OPTION)}"
        for key in _keys(results)
        if key not in may_differ and (values := _disagreement([result.config.get(key) for result in results], called))
    ]
    if values := _disagreement([_data(result) for result in results], called):
        warnings.append(f"{_weight('task.')}: the SHA-256 of the task's file differs ({values}): {_TASK_DATA}")
    return warnings


def unfinished_warnings(results: Sequence[Run], headings: Mapping[str, str]) -> list[str]:
    """Return which numbers are not final, or not all there, a sentence a run; of very many, the rest in one."""
    torn = [
        f"{headings[one.name]}: metrics.jsonl {CUT if one.state == 'completed' else TORN}"
        for one in results
        if one.is_torn
    ]
    unfinished = [result for result in results if result.state != "completed"]
    told = [_state(result, headings[result.name]) for result in unfinished[:_MOST_UNFINISHED]]
    rest = len(unfinished) - len(told)
    return [*torn, *told, *([f"{rest:,} more runs have not completed"] if rest else [])]


def one_definition(results: Sequence[Run]) -> bool:
    """Return whether all runs did the same task, options and lengths included."""
    keys = [key for key in _keys(results) if key.startswith(GRAVE)]
    return all(len({_canonical(result.config.get(key)) for result in results}) == 1 for key in keys)


def _keys(results: Sequence[Run]) -> list[str]:
    options = dict.fromkeys(key for result in results for key in result.config if key.startswith("task."))
    return ["task.type", *(key for key in options if key != "task.type"), *list(_REASONS)[1:]]


def _weight(key: str) -> str:
    return "not comparable" if key.startswith(GRAVE) else "compare with care"


def _disagreement(values: Sequence[Any], called: Sequence[str]) -> str:
    """Return who has which value, or nothing where all have the same."""
    holders: dict[str, list[str]] = {}
    for value, heading in zip(values, called, strict=True):
        names = holders.setdefault(_canonical(value), [])
        if heading not in names:
            names.append(heading)
    if len(holders) == 1:
        return ""
    parts = [f"{text.strip(chr(34))} in {_some(names)}" for text, names in list(holders.items())[:_MOST_NAMED]]
    rest = len(holders) - _MOST_NAMED
    return "; ".join(parts + ([f"{rest} more values"] if rest > 0 else []))


def _data(result: Run) -> str:
    return str(result.task_facts.get("csv_sha256", "none"))[:12]


def _canonical(value: Any) -> str:
    return "none" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _some(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _state(result: Run, heading: str) -> str:
    if result.state in {"running", "stale"}:
        return f"{heading} is still running, or was killed: its numbers are those up to step {result.summary.steps:,}"
    if result.message.startswith(result.state):
        return f"{heading} {result.message}"
    ended = "was interrupted" if result.state == "interrupted" else result.state
    why = f": {result.message}" if result.message else ""
    return f"{heading} {ended} at step {result.summary.steps:,}{why}"
