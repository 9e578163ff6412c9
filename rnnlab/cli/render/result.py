"""The result of a training: a few lines to read, or one JSON document."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from rnnlab.cli.render.curves import Curve, Level, draw
from rnnlab.cli.render.output import can_show, console, show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.core.table import table
from rnnlab.storage import RunFolder
from rnnlab.training.events import Finished

_STOPPED = {"budget": "all training steps are done", "plateau": "the validation loss no longer improved"}


def show_result(finished: Finished, *, json: bool) -> None:
    """Print the result of a training on stdout."""
    if json:
        show_summary(finished.run)
        return
    summary = finished.summary
    best, baseline = summary["best"]["metrics"], summary["baseline"]
    rows = [
        (name, value, best.get(name), baseline if name == "loss" else None)
        for name, value in summary["metrics"].items()
    ]
    show(_conclusion(summary), "")
    show_table(table(["", "final", "best", "baseline"], rows))
    show("", *loss_picture(finished.run.read_metrics().records, baseline), f"run  {finished.run.path}")


def show_summary(run: RunFolder) -> None:
    """Print a run's summary on stdout as one JSON document."""
    show_json("train", {**run.read_summary(), "run": run.name, "path": run.path})


def _conclusion(summary: Mapping[str, Any]) -> str:
    rate = f"{summary['steps']:,} steps in {summary['seconds']:.1f} s"
    if summary["solved"]:
        at = summary["solved_at"]
        return f"SOLVED at step {at['step']:,}, after {at['sequences']:,} sequences and {at['seconds']:.1f} s ({rate})"
    return f"not solved: {_STOPPED[summary['stopped']]} ({rate}); solved when {summary['solved_rule']}"


def loss_picture(records: Sequence[Mapping[str, Any]], baseline: float | None) -> list[Text]:
    """Return the validation loss over the whole training, drawn beside the baseline; nothing where none is known."""
    points = [(one["step"], one["validation/loss"]) for one in records if "validation/loss" in one]
    return draw(
        [Curve("validation loss", points)],
        y_label="validation loss",
        levels=[] if baseline is None else [Level("baseline", baseline)],
        width=min(console().width, 80),
        height=8,
        braille=can_show("⣿"),
        may_log=True,
    )


def figure(value: float | None) -> str:
    """Return a number in four digits, or a dash."""
    return "—" if value is None else f"{value:.4g}"
