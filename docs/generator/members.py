"""The pages of what a config chooses by name: tasks, cells, optimisers, schedules, initialisers."""

from collections.abc import Iterable
from typing import Any, get_args

from generator.markdown import Docstring, block, code, definitions, docstring, escaped, options, table
from rnnlab.cells import CELLS
from rnnlab.cli.commands.cells import described as described_cell
from rnnlab.cli.commands.tasks import described as described_task
from rnnlab.cli.render.card import draw_example, option_rows
from rnnlab.core.batch import range_text
from rnnlab.core.losses import LOSSES
from rnnlab.core.parameters import Chrono, Initializer
from rnnlab.optim.rules import OPTIMIZERS
from rnnlab.optim.schedules import SCHEDULES
from rnnlab.tasks import TASKS, task_class, task_names
from rnnlab.tasks.base import reference_scores

_TASKS = """\
# Tasks

Definitions differ in the literature, and a loss means nothing without its definition. So each definition has a name
of its own, `TASK@SOURCE`; the plain name means the first one here. `rnnlab tasks NAME` prints the same card.

The *baseline* is the expected loss of the best predictor that sees nothing but the inputs of the step that it
answers. The other reference predictors know more; an oracle solves the task. Their losses are those at the default
length.
"""
_CELLS = """\
# Cells

B is the number of sequences in a batch, I the number of input features, H the number of units. Parameters have the
letters of their papers and are stored as `(in, out)`. `rnnlab cells NAME` prints the same card. Each cell is compared
with numbers from elsewhere in `tests/cells/test_outside.py`; a cell that is not here is [a class in a file of
yours](../tutorial/your_cell.md).
"""
_RULES = """\
# Optimisers, schedules and initialisers

Each is chosen by its name, alone or as the `type` of a mapping with options:
`training.optimizer: {type: sgd, learning_rate: 0.1}`.
"""


def tasks() -> str:
    """Return the page of the tasks."""
    parts = [_TASKS, _overview(("task", "what is learned", "steps", "baseline"), map(_task_row, task_names()))]
    for stem, members in TASKS.members().items():
        parts.append(f"## {stem}\n")
        parts += [_task(member.name) for member in members]
    return "\n".join(parts)


def _overview(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return table(heads, rows)


def _task_row(name: str) -> tuple[str, ...]:
    kind = task_class(name)
    task = kind(kind.Options(type=kind.name))
    steps = range_text(task.default_timesteps)
    return code(name), escaped(task.title), steps, f"{task.baseline(task.default_timesteps):.4g}"


def _task(name: str) -> str:
    kind = task_class(name)
    task = kind(kind.Options(type=kind.name))
    card = described_task(task)
    many = "every scored step" if task.return_sequences else "the last step"
    facts = [
        ("Definition", escaped(card["definition"])),
        ("Source", escaped(card["source"])),
        ("Differs", escaped(card["differs"])),
        ("Shape", f"{card['input_features']} inputs per step, {card['output_features']} outputs at {many}"),
        ("Steps", f"{range_text(task.default_timesteps)}, unless the config sets `shape.timesteps`"),
        ("Loss", LOSSES[task.loss].title),
        ("Solved", escaped(card["solved_rule"])),
        ("Published", "\n\n  ".join(f"{escaped(one.result)} ({escaped(one.source)})" for one in card["published"])),
    ]
    scores = [(escaped(who), f"{loss:.4g}") for who, loss in reference_scores(task, task.default_timesteps)]
    example = "\n".join(draw_example(task, 88))
    return "\n".join([
        f"### `{name}`\n",
        f"{escaped(card['title'])}.\n",
        definitions((term, text) for term, text in facts if text),
        table(("reference predictor", "loss"), scores),
        *(["Options:\n", options(card["options"])] if card["options"] else []),
        "An example; bars go from the lowest to the highest value of a row:\n",
        block(example),
    ])  # fmt: skip


def cells() -> str:
    """Return the page of the cells."""
    cards = {name: described_cell(kind) for name, kind in CELLS.members().items()}
    rows = [(code(name), escaped(card["title"]), code(card["parameter_count"])) for name, card in cards.items()]
    parts = [_CELLS, table(("cell", "what it is", "parameters per layer"), rows)]
    for name, card in cards.items():
        drawn = [
            (code(one["name"]), code(f"({', '.join(one['shape'])})"), code(one["initializer"]), f"{one['offset']:g}")
            for one in card["parameters"]
        ]
        facts = [(title.title(), escaped(card[title])) for title in ("memory", "source", "differs") if card[title]]
        facts.append(("State", f"{', '.join(map(code, card['states']))}; zero at the start of every sequence"))
        parts += [
            f"## `{name}`\n",
            f"{escaped(card['title'])}.\n",
            block("\n".join(card["equations"])),
            definitions(facts),
            table(("parameter", "shape", "drawn by", "plus"), drawn),
            "Options:\n",
            options(card["options"]),
        ]
    return "\n".join(parts)


def rules() -> str:
    """Return the page of the optimisers, schedules and initialisers."""
    parts = [_RULES, "## Optimisers\n"]
    parts += [_member(name, kind, "training.optimizer.") for name, kind in OPTIMIZERS.members().items()]
    parts.append("## Schedules\n")
    parts += [_member(name, kind, "training.schedule.") for name, kind in SCHEDULES.members().items()]
    parts.append("## Initialisers\n")
    kinds = [*get_args(get_args(Initializer)[0]), Chrono]
    return "\n".join([*parts, *(_member(kind.model_fields["type"].default, kind, "") for kind in kinds)])


def _member(name: str, kind: Any, prefix: str) -> str:
    text: Docstring = docstring(kind)
    facts = [
        (title, escaped(" ".join(text.sections[title].split())))
        for title in ("Source", "Differs")
        if title in text.sections
    ]
    rows = option_rows(getattr(kind, "Options", kind))
    return "\n".join([f"### `{name}`\n", text.text, definitions(facts), options(rows, prefix=prefix)])
