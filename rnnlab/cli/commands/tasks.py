"""List the tasks, or print the card of one: definition, sources, reference scores, an example, a config."""

from typing import Annotated, Any

import typer

from rnnlab.cli.errors import warn, warn_of_broken
from rnnlab.cli.options import JsonOption
from rnnlab.cli.render.card import draw_example, facts, option_rows, option_table
from rnnlab.cli.render.output import console, show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.config.yaml import dump_yaml
from rnnlab.core.batch import Lengths
from rnnlab.core.losses import LOSSES
from rnnlab.core.table import Column, table
from rnnlab.core.text import docstring_section
from rnnlab.tasks import TASKS, task_class, task_names
from rnnlab.tasks.base import AbstractTask, reference_scores

_SHORT = {"mse": "mse", "cross_entropy": "ce", "binary_cross_entropy": "bce"}
_LEGEND = (
    "loss: mean squared error (mse), cross-entropy (ce) or binary cross-entropy (bce) in nats; baseline: the loss of "
    "the best predictor without memory. A name is TASK@DEFINITION; TASK alone means its first definition here. "
    "`rnnlab tasks NAME` shows a card."
)


def _complete(incomplete: str) -> list[str]:
    return [name for name in sorted({*TASKS.names(), *task_names()}) if name.startswith(incomplete)]


def command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A task: adding, or adding@hs1997.",
            show_default=False,
            autocompletion=_complete,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    if name is None:
        warn_of_broken(TASKS)
        tasks = [task for known in task_names() if (task := _built(task_class(known)))]
        if json:
            show_json("tasks", {"tasks": [_summary(task) for task in tasks]})
        else:
            _show_all(tasks)
        return
    task = _build(task_class(name))
    if json:
        show_json("task", _as_json(task))
    else:
        _show_card(task)


def _built(kind: type[AbstractTask]) -> AbstractTask | None:
    """Return the task; None, with a warning, if it cannot be shown, since other packages provide tasks too."""
    try:
        task = _build(kind)
        _summary(task)
    except Exception as error:
        warn(f"left out: the task {kind.name!r} cannot be shown: {type(error).__name__}: {error}")
        return None
    return task


def _build(kind: type[AbstractTask]) -> AbstractTask:
    return kind(kind.Options(type=kind.name))


def _show_all(tasks: list[AbstractTask]) -> None:
    baseline = Column("baseline", is_number=True, form=".4g")
    rows = [
        (
            task.name,
            task.card.title,
            _SHORT[task.loss],
            task.baseline(task.default_timesteps),
            _range(task.default_timesteps),
        )
        for task in tasks
    ]
    show_table(table(["task", "what is learned", "loss", baseline, "steps"], rows, text=["what is learned", "loss"]))
    show("", _LEGEND)


def _show_card(task: AbstractTask) -> None:
    show(f"{task.name}: {task.card.title}", "", facts(_facts(task)), "")
    if options := option_rows(type(task).Options):
        show_table(option_table(options))
        show("")
    heading = f"reference predictor ({_range(task.default_timesteps)} steps)"
    loss = Column("loss", is_number=True, form=".4g")
    show_table(table([heading, loss], reference_scores(task, task.default_timesteps)))
    show("", "An example, of a length that fits here (bars: from the lowest to the highest value of a row):")
    show(*(f"  {line}" for line in draw_example(task, min(console().width, 100) - 2)), "")
    show("In a config:", *(f"  {line}" for line in _snippet(task).splitlines()))
    others = [f"{other.name} ({other.card.title})" for other in _siblings(task)]
    if others:
        show("", f"Other definitions: {'; '.join(others)}")


def _facts(task: AbstractTask) -> list[tuple[str, str]]:
    card, inputs, outputs = task.card, task.input_features, task.output_features
    scored = "scored at the steps marked in the example" if task.return_sequences else "scored at the last step"
    return [
        ("definition", card.definition),
        ("source", docstring_section(type(task), "Source")),
        ("differs", docstring_section(type(task), "Differs")),
        ("shape", f"{_counted(inputs, 'input')} and {_counted(outputs, 'output')} per step, {scored}"),
        ("steps", f"{_range(task.default_timesteps)}, unless the config sets shape.timesteps"),
        ("loss", LOSSES[task.loss].title),
        ("solved", str(task.solved)),
        *(("published", f"{one.result} [{one.source}]") for one in card.published),
    ]


def _snippet(task: AbstractTask) -> str:
    low, high = task.default_timesteps
    return dump_yaml({"task": task.options.model_dump(), "shape": {"timesteps": low if low == high else [low, high]}})


def _siblings(task: AbstractTask) -> list[type[AbstractTask]]:
    stem = task.name.partition("@")[0]
    return [task_class(name) for name in task_names() if name.partition("@")[0] == stem and name != task.name]


def _summary(task: AbstractTask) -> dict[str, Any]:
    return {
        "name": task.name,
        "title": task.card.title,
        "loss": task.loss,
        "baseline": task.baseline(task.default_timesteps),
        "timesteps": task.default_timesteps,
    }


def _as_json(task: AbstractTask) -> dict[str, Any]:
    card, timesteps = task.card, task.default_timesteps
    return {
        **_summary(task),
        "definition": card.definition,
        "source": docstring_section(type(task), "Source"),
        "differs": docstring_section(type(task), "Differs"),
        "input_features": task.input_features,
        "output_features": task.output_features,
        "return_sequences": task.return_sequences,
        "higher_is_better": sorted(task.maximised),
        "solved_rule": str(task.solved),
        "references": [
            {"name": one.name, "loss": one.loss, "needs_memory": one.needs_memory} for one in task.references(timesteps)
        ],
        "oracle_loss": task.oracle_loss(timesteps),
        "published": card.published,
        "options": option_rows(type(task).Options),
        "config": _snippet(task),
        "other_definitions": [other.name for other in _siblings(task)],
    }


def _range(timesteps: Lengths) -> str:
    low, high = timesteps
    return f"{low}" if low == high else f"{low}…{high}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
