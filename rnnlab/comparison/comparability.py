"""What runs were trained on, and a warning for everything that makes their numbers mean different things."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from rnnlab.cells import CELLS
from rnnlab.comparison.groups import varies
from rnnlab.core.code_files import with_code_labels
from rnnlab.core.data_file import is_place
from rnnlab.core.errors import RnnlabError
from rnnlab.core.losses import LOSSES
from rnnlab.core.own_classes import is_known, without_place
from rnnlab.core.text import counted, docstring_section, listed
from rnnlab.runs.run import Run
from rnnlab.storage.metrics import CUT, TORN
from rnnlab.tasks.base import AbstractTask

if TYPE_CHECKING:
    from rnnlab.cells.base import AbstractCell

_MOST_NAMED = 4
_MOST_UNFINISHED = 20

_DEFINITION = ("task.", "shape.")  # keys by which runs do different tasks
_REASONS = {
    "task.type": "losses of different tasks are not comparable",
    "shape.timesteps": "the sequence length sets how difficult a task is",
    "training.loss": "their losses have other units",
    "shape.return_sequences": "they are scored on different steps of a sequence",
    "evaluation.sequences": "they were scored on different validation sets",
    "seed": "each was scored on its own validation set, so a small difference may be chance",
}
_RULE = "training.success"
_OPTION = "the task's options are part of its definition"


def comparability_warnings(
    runs: Sequence[Run], headings: Mapping[str, str], *, may_differ: Collection[str] = ()
) -> list[str]:
    """Return why the numbers of these runs are not comparable, a sentence each; keys that are meant to differ may."""
    found, called = [], [headings[run.name] for run in runs]
    configs = with_code_labels(run.config for run in runs)
    own = dict.fromkeys(key for run in runs for key in run.config if key.startswith(("task.", _RULE)))
    for key in dict.fromkeys(["task.type", *own, *_REASONS]):
        if key in may_differ or any(is_place(key, run.config) for run in runs):
            continue
        is_content, values = key.endswith(".sha256"), [config.get(key) for config in configs]
        if differing := _differing([_short(one) for one in values] if is_content else values, called):
            weight = "not comparable" if key.startswith(_DEFINITION) else "compare with care"
            why = "they are solved by different rules" if key.startswith(_RULE) else _REASONS.get(key, _OPTION)
            why = "they read different data" if is_content else why
            found.append(f"{weight}: {key} differs ({differing}): {why}")
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
    config = run.config
    defining = [key for key in config if key.startswith(_DEFINITION) and not is_place(key, config)]
    return json.dumps(without_place({key: config[key] for key in defining}), sort_keys=True)


@final
@dataclass(frozen=True, slots=True)
class Description:
    """One task, and the cells that were trained on it.

    Attributes:
        source: Where the task was published.
        references: Name and loss of each reference predictor that needs memory; none where lengths or losses differ.
    """

    task: AbstractTask
    rule: str
    source: str
    loss: str
    references: tuple[tuple[str, float], ...]
    cells: "tuple[type[AbstractCell], ...]"


def describe(runs: Sequence[Run]) -> Description | None:
    """Return the description of runs; None for several tasks, and one that cannot be built or was not imported."""
    if len({run.config.get("task.type") for run in runs}) != 1:
        return None
    try:
        experiment = runs[0].experiment()
        if not is_known(experiment.task):
            return None
        task, lengths = experiment.build_task(), experiment.timesteps
    except RnnlabError:
        return None
    loss = "" if varies([run.config.get("training.loss") for run in runs]) else LOSSES[task.loss].title
    references = task.references(lengths) if is_one_task(runs) and loss and task.knows_scores else ()
    needing = tuple((one.name, one.loss) for one in references if one.needs_memory)
    names, known = {str(run.config.get("cell.type")) for run in runs}, CELLS.members()
    cells = tuple(known[name] for name in sorted(names & known.keys()))
    rules = [{key: run.config[key] for key in run.config if key.startswith(_RULE)} for run in runs]
    rule = "several" if varies(rules) else str(task.rule(lengths) if is_one_task(runs) else task.asked or task.solved)
    return Description(task, rule, docstring_section(type(task), "Source"), loss or "several losses", needing, cells)


def _differing(values: Sequence[Any], called: Sequence[str]) -> str:
    """Return which runs have which value, or nothing where all have the same."""
    if not varies(values):
        return ""
    names: dict[str, dict[str, None]] = {}
    for heading, value in zip(called, values, strict=True):
        text = "none" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False).strip('"')
        names.setdefault(text, {})[heading] = None
    parts = [f"{text} in {listed(list(having), _MOST_NAMED)}" for text, having in list(names.items())[:_MOST_NAMED]]
    if len(names) > _MOST_NAMED:
        parts.append(counted(len(names) - _MOST_NAMED, "more value"))
    return "; ".join(parts)


def _short(sha256: Any) -> str | None:
    return sha256[:12] if isinstance(sha256, str) else None


def _state(run: Run, heading: str) -> str:
    step = f"step {run.summary.steps:,}"
    if run.state in {"running", "stale"}:
        why = "is still running" if run.state == "running" else "was running, but its process is gone"
        return f"{heading} {why}: its results are those up to {step}"
    if run.message.startswith(run.state):
        return f"{heading} {run.message}"
    ended = "was interrupted" if run.state == "interrupted" else run.state
    return f"{heading} {ended} at {step}" + (f": {run.message}" if run.message else "")
