"""Which runs can be compared: a warning for everything that makes their numbers mean different things."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rnnlab.runs.run import Run
from rnnlab.storage.metrics import CUT, TORN

_MOST_NAMED = 4
_MOST_UNFINISHED = 20

_DEFINITION = ("task.", "shape.")  # keys by which runs do different tasks
_REASONS = {
    "task.type": "losses of different tasks are not comparable",
    "shape.timesteps": "the sequence length sets how difficult a task is",
    "shape.return_sequences": "they are scored on different steps of a sequence",
    "evaluation.sequences": "they were scored on different validation sets",
    "seed": "each was scored on its own validation set, so a small difference may be chance",
}
_OPTION = "the task's options are part of its definition"


def comparability_warnings(
    runs: Sequence[Run], headings: Mapping[str, str], *, may_differ: Collection[str] = ()
) -> list[str]:
    """Return why the numbers of these runs are not comparable, one sentence per reason, the most important first.

    Args:
        runs: The runs.
        headings: Name of a run -> what to call it.
        may_differ: Keys that are meant to differ.
    """
    found, called = [], [headings[run.name] for run in runs]
    options = dict.fromkeys(key for run in runs for key in run.config if key.startswith("task."))
    for key in dict.fromkeys(["task.type", *options, *_REASONS]):
        values = _differing([run.config.get(key) for run in runs], called)
        if values and key not in may_differ:
            weight = "not comparable" if key.startswith(_DEFINITION) else "compare with care"
            found.append(f"{weight}: {key} differs ({values}): {_REASONS.get(key, _OPTION)}")
    if values := _differing([_data(run) for run in runs], called):
        found.append(f"not comparable: the SHA-256 of the task's file differs ({values}): they read different data")
    return found


def unfinished_warnings(runs: Sequence[Run], headings: Mapping[str, str]) -> list[str]:
    """Return which results are not final, or not complete, one sentence per run; of very many, the rest in one."""
    torn = [
        f"{headings[run.name]}: metrics.jsonl {CUT if run.state == 'completed' else TORN}"
        for run in runs
        if run.is_torn
    ]
    unfinished = [run for run in runs if run.state != "completed"]
    named = [_state(run, headings[run.name]) for run in unfinished[:_MOST_UNFINISHED]]
    rest = len(unfinished) - len(named)
    counted = f"{rest:,} more runs have" if rest > 1 else "1 more run has"
    return [*torn, *named, *([f"{counted} not completed"] if rest else [])]


def is_one_task(runs: Sequence[Run]) -> bool:
    """Return whether all runs did the same task, options and lengths included."""
    return len(set(map(definition, runs))) == 1


def definition(run: Run) -> str:
    """Return the task of a run, options and lengths included, as a text: runs are comparable where it is the same."""
    return json.dumps({key: value for key, value in run.config.items() if key.startswith(_DEFINITION)}, sort_keys=True)


def _differing(values: Sequence[Any], called: Sequence[str]) -> str:
    """Return which runs have which value, or nothing where all have the same."""
    if all(type(value) is type(values[0]) and value == values[0] for value in values):
        return ""
    names: dict[str, dict[str, None]] = {}
    for heading, value in zip(called, values, strict=True):
        names.setdefault(_canonical(value).strip('"'), {})[heading] = None
    parts = [f"{text} in {_some(list(having))}" for text, having in list(names.items())[:_MOST_NAMED]]
    rest = len(names) - _MOST_NAMED
    more = [f"{rest} more value{'s' * (rest > 1)}"] if rest > 0 else []
    return "; ".join(parts + more) if len(names) > 1 else ""


def _data(run: Run) -> str:
    return str(run.task_facts.get("csv_sha256", "none"))[:12]


def _canonical(value: Any) -> str:
    return "none" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _some(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _state(run: Run, heading: str) -> str:
    step = f"step {run.summary.steps:,}"
    if run.state in {"running", "stale"}:
        why = "is still running" if run.state == "running" else "was running, but its process is gone"
        return f"{heading} {why}: its results are those up to {step}"
    if run.message.startswith(run.state):
        return f"{heading} {run.message}"
    ended = "was interrupted" if run.state == "interrupted" else run.state
    return f"{heading} {ended} at {step}" + (f": {run.message}" if run.message else "")
