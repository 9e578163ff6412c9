"""List the tasks, or print the card of one: definition, sources, reference scores, an example, a config."""

from typing import Annotated, Any

import typer

from rnnlab.cli.options import JsonOption


def _complete(incomplete: str) -> list[str]:
    from rnnlab.tasks import TASKS, task_names

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
    from rnnlab.cli.errors import warn_of_broken
    from rnnlab.cli.render.output import show_json
    from rnnlab.tasks import TASKS, task_class, task_names

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


def _built(kind: Any) -> Any:
    """Return the task, or None, with a warning, where it cannot be shown: it may be anybody's."""
    from rnnlab.cli.errors import warn

    try:
        task = _build(kind)
        _summary(task)
    except Exception as error:
        warn(f"left out: the task {kind.name!r} cannot be shown: {type(error).__name__}: {error}")
        return None
    return task


def _build(kind: Any) -> Any:
    return kind(kind.Options(type=kind.name))


def _show_all(tasks: list[Any]) -> None:
    from rich.text import Text

    from rnnlab.cli.render.output import plain_table, show
    from rnnlab.core.text import visible

    table = plain_table("task", "what is learned", "loss", "baseline", "steps", numbers=("baseline", "steps"))
    table.padding = (0, 1, 0, 0)
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    for task in tasks:
        figure = f"{task.baseline(task.default_timesteps):.4g}"
        steps = _range(task.default_timesteps)
        table.add_row(visible(task.name), visible(task.card.title), _SHORT[task.loss], figure, steps)
    show(table, "", Text(_LEGEND))


_SHORT = {"mse": "mse", "cross_entropy": "ce", "binary_cross_entropy": "bce"}
_LEGEND = (
    "loss: mean squared error (mse), cross-entropy (ce) or binary cross-entropy (bce) in nats; baseline: what the "
    "best predictor without memory scores. Before @ is the task, after it the definition; a task without @ means the "
    "first of its definitions here. `rnnlab tasks NAME` shows a card."
)


def _show_card(task: Any) -> None:
    from rnnlab.cli.render.card import facts, option_rows, option_table
    from rnnlab.cli.render.example import draw_example
    from rnnlab.cli.render.output import console, show

    options = option_rows(type(task).Options)
    show(f"{task.name}: {task.card.title}", "", facts(_facts(task)), "")
    if options:
        show(option_table(options), "")
    show(_reference_table(task), "")
    example = draw_example(task, min(console().width, 100) - 2)
    show(
        "An example, at a length that fits here (bars: each row's least to greatest):",
        *(f"  {line}" for line in example),
        "",
    )
    show("In a config:", *(f"  {line}" for line in _snippet(task).splitlines()))
    others = [f"{other.name} ({other.card.title})" for other in _siblings(task)]
    if others:
        show("", f"Other definitions: {'; '.join(others)}")


def _facts(task: Any) -> list[tuple[str, str]]:
    from rnnlab.core.losses import LOSSES

    card, inputs, outputs = task.card, task.input_features, task.output_features
    scored = "scored at the steps marked in the example" if task.return_sequences else "scored at the last step"
    return [
        ("definition", card.definition),
        ("source", card.source),
        ("differs", card.differs),
        ("shape", f"{_counted(inputs, 'input')} and {_counted(outputs, 'output')} a step, {scored}"),
        ("steps", f"{_range(task.default_timesteps)}, unless shape.timesteps says otherwise"),
        ("loss", LOSSES[task.loss].title),
        ("solved", str(task.solved)),
        *(("published", f"{one.result} [{one.source}]") for one in card.published),
    ]


def _reference_table(task: Any) -> Any:
    from rnnlab.cli.render.output import plain_table
    from rnnlab.core.text import visible
    from rnnlab.tasks.base import reference_scores

    table = plain_table(f"reference predictor ({_range(task.default_timesteps)} steps)", "loss", numbers=("loss",))
    table.padding = (0, 1, 0, 0)
    for name, loss in reference_scores(task, task.default_timesteps):
        table.add_row(visible(name), f"{loss:.4g}")
    return table


def _snippet(task: Any) -> str:
    from rnnlab.config.yaml import dump_yaml

    low, high = task.default_timesteps
    return dump_yaml({"task": task.options.model_dump(), "shape": {"timesteps": low if low == high else [low, high]}})


def _siblings(task: Any) -> list[Any]:
    from rnnlab.tasks import task_class, task_names

    stem = task.name.partition("@")[0]
    return [task_class(name) for name in task_names() if name.partition("@")[0] == stem and name != task.name]


def _summary(task: Any) -> dict[str, Any]:
    return {
        "name": task.name,
        "title": task.card.title,
        "loss": task.loss,
        "baseline": task.baseline(task.default_timesteps),
        "timesteps": list(task.default_timesteps),
    }


def _as_json(task: Any) -> dict[str, Any]:
    from rnnlab.cli.render.card import option_rows

    card, timesteps = task.card, task.default_timesteps
    return {
        **_summary(task),
        "definition": card.definition,
        "source": card.source,
        "differs": card.differs,
        "input_features": task.input_features,
        "output_features": task.output_features,
        "return_sequences": task.return_sequences,
        "solved_rule": str(task.solved),
        "references": [
            {"name": one.name, "loss": one.loss, "needs_memory": one.needs_memory} for one in task.references(timesteps)
        ],
        "oracle_loss": task.oracle_loss(timesteps),
        "published": [{"result": one.result, "source": one.source} for one in card.published],
        "options": option_rows(type(task).Options),
        "config": _snippet(task),
        "other_definitions": [other.name for other in _siblings(task)],
    }


def _range(timesteps: tuple[int, int]) -> str:
    low, high = timesteps
    return f"{low}" if low == high else f"{low}…{high}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
