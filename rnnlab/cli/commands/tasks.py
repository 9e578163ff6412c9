"""List the tasks, or describe one: definition, scores, an example."""

from typing import Annotated, Any

from pydantic import ValidationError

from rnnlab.cli.errors import warn, warn_of_broken
from rnnlab.cli.options import JsonOption, argument, offering
from rnnlab.cli.render.card import draw_example, facts, option_rows, option_table
from rnnlab.cli.render.output import console, show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.config.yaml import dump_yaml
from rnnlab.core.batch import range_text
from rnnlab.core.code_files import CodeFile, located
from rnnlab.core.errors import UsageError
from rnnlab.core.losses import LOSSES
from rnnlab.core.table import Column, table
from rnnlab.core.text import docstring_section
from rnnlab.reproduction.rows import rows_of_task
from rnnlab.tasks import TASKS, task_class, task_names
from rnnlab.tasks._contract import check_draws, new_task
from rnnlab.tasks.base import AbstractTask, reference_scores

_SHORT = {"mse": "mse", "sigmoid_mse_bits": "σ mse", "cross_entropy": "ce", "binary_cross_entropy": "bce"}
_LEGEND = (
    "loss: mean squared error (mse), also of sigmoids (σ mse), cross-entropy (ce) or binary cross-entropy (bce) in "
    "nats; baseline: the loss of the best predictor that sees nothing but the step it answers. A name is "
    "TASK@DEFINITION; TASK alone means its first definition here. `rnnlab tasks NAME` shows a card."
)


def _names() -> list[str]:
    return sorted({*TASKS.names(), *task_names()})


def command(
    name: Annotated[
        str | None, argument("NAME", "A task: adding, adding@hs1997, ./my_task.py:MyTask.", offering(_names))
    ] = None,
    json: JsonOption = False,
) -> None:
    if name is not None:
        task = _build(task_class(located(name)))
        if CodeFile.of(name):
            check_draws(task, task.default_timesteps)
        if json:
            show_json("task", described(task))
        else:
            _show_card(task, described(task), name if CodeFile.of(name) else task.name)
        return
    warn_of_broken(TASKS)
    tasks = [summary for known in task_names() if (summary := _summary_if_sound(task_class(known)))]
    if json:
        show_json("tasks", {"tasks": tasks})
        return
    baseline = Column("baseline", is_number=True, form=".4g")
    rows = [
        (one["name"], one["title"], _SHORT.get(one["loss"], one["loss"]), one["baseline"], range_text(one["timesteps"]))
        for one in tasks
    ]
    show_table(table(["task", "what is learned", "loss", baseline, "steps"], rows, text=["what is learned", "loss"]))
    show("", _LEGEND)


def _summary_if_sound(kind: type[AbstractTask]) -> dict[str, Any] | None:
    """Return the summary; None, with a warning, if there is an error, since other packages provide tasks too."""
    try:
        return _summary(_build(kind))
    except Exception as error:
        warn(f"left out: the task {kind.name!r} cannot be shown: {type(error).__name__}: {error}")
        return None


def _build(kind: type[AbstractTask]) -> AbstractTask:
    try:
        return new_task(kind, kind.Options.model_validate({}))
    except ValidationError as error:
        keys = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        raise UsageError(f"an option without a default: {keys}", hint="give it one") from error


def _show_card(task: AbstractTask, card: dict[str, Any], name: str) -> None:
    steps = range_text(task.default_timesteps)
    many = ("B, T", "the steps marked in the example") if task.return_sequences else ("B", "the last step")
    pairs = [
        *((label, card[label]) for label in ("definition", "source", "differs")),
        ("shape", f"inputs (B, T, {task.input_features}), outputs ({many[0]}, {task.output_features}) at {many[1]}"),
        ("steps", f"{steps}, unless the config sets shape.timesteps"),
        ("loss", LOSSES[task.loss].title),
        ("solved", card["solved_rule"]),
        *(("published", f"{one.result} [{one.source}]") for one in card["published"]),
        ("reproduce", "".join(f"rnnlab reproduce {row}\n" for row in card["rows"]).rstrip()),
    ]
    show(f"{name}: {card['title']}", "", facts(pairs), "")
    if card["options"]:
        show_table(option_table(card["options"]))
        show("")
    loss = Column("loss", is_number=True, form=".4g")
    show_table(table([f"reference predictor ({steps} steps)", loss], reference_scores(task, task.default_timesteps)))
    show("", "An example that fits here (bars: from the lowest to the highest value of a row):")
    show(*(f"  {line}" for line in draw_example(task, min(console().width, 100) - 2)), "")
    show("In a config:", *(f"  {line}" for line in card["config"].replace(task.options.type, name).splitlines()))
    others = [f"{name} ({task_class(name).title})" for name in card["other_definitions"]]
    if others:
        show("", f"Other definitions: {'; '.join(others)}")


def _summary(task: AbstractTask) -> dict[str, Any]:
    return {
        "name": task.name,
        "title": task.title,
        "loss": task.loss,
        "baseline": task.baseline(task.default_timesteps),
        "timesteps": task.default_timesteps,
    }


def described(task: AbstractTask) -> dict[str, Any]:
    """Return all that is known of a task, as plain data."""
    kind, (low, high) = type(task), task.default_timesteps
    shape = {"timesteps": low if low == high else [low, high]}
    return {
        **_summary(task),
        "definition": task.definition,
        "source": docstring_section(kind, "Source"),
        "differs": docstring_section(kind, "Differs"),
        "input_features": task.input_features,
        "output_features": task.output_features,
        "return_sequences": task.return_sequences,
        "higher_is_better": sorted(task.maximised),
        "solved_rule": str(task.solved),
        "references": [
            {"name": one.name, "loss": one.loss, "needs_memory": one.needs_memory}
            for one in task.references((low, high))
        ],
        "oracle_loss": task.oracle_loss((low, high)) if task.has_oracle else None,
        "published": task.published,
        "rows": rows_of_task(task.name),
        "options": option_rows(kind.Options),
        "config": dump_yaml({"task": task.options.model_dump(), "shape": shape}),
        "other_definitions": [
            name for name in task_names() if name.split("@")[0] == task.name.split("@")[0] and name != task.name
        ],
    }
