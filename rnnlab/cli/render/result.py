"""The result of a training: a few lines to read, or one JSON object."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from rnnlab.cli.render.curves import Curve, Level, draw
from rnnlab.cli.render.output import console, plain_table, show, show_json
from rnnlab.core.text import visible
from rnnlab.storage import RunFolder
from rnnlab.training.events import Finished


def show_result(finished: Finished, *, json: bool) -> None:
    """Print the result on stdout."""
    summary = finished.summary
    if json:
        show_summary(finished.run)
        return
    table = plain_table("", "final", "best", "baseline", numbers=("final", "best", "baseline"))
    for name, value in summary["metrics"].items():
        baseline = summary["baseline"] if name == "loss" else None
        table.add_row(name, figure(value), figure(summary["best"]["metrics"].get(name)), figure(baseline))
    picture = loss_picture(finished.run.read_metrics().records, summary["baseline"])
    show(_verdict(summary), table, *picture, f"run  {visible(str(finished.run.path))}")


def show_summary(run: RunFolder) -> None:
    """Print a run's summary on stdout as one JSON object; `path` in it is that of the run."""
    show_json("train", {**run.read_summary(), "run": run.name, "path": run.path})


def _verdict(summary: dict[str, Any] | Any) -> str:
    rate = f"{summary['steps']:,} steps in {summary['seconds']:.1f} s"
    if summary["solved"]:
        at = summary["solved_at"]
        return f"SOLVED at step {at['step']:,}, after {at['sequences']:,} sequences and {at['seconds']:.1f} s ({rate})"
    reasons = {"budget": "the budget is spent", "plateau": "the validation loss stalled"}
    return f"not solved: {reasons[summary['stopped']]} ({rate}); solved when {summary['solved_rule']}"


def loss_picture(records: Sequence[Mapping[str, Any]], baseline: float | None) -> list[Text]:
    """Return the validation loss over the whole training, drawn beside the baseline; nothing where none is known."""
    points = [(one["step"], one["validation/loss"]) for one in records if "validation/loss" in one]
    screen = console()
    return draw(
        [Curve("validation loss", points)],
        y_label="validation loss",
        levels=[] if baseline is None else [Level("baseline", baseline)],
        width=min(screen.width, 80),
        height=8,
        braille=screen.encoding.startswith("utf"),
        may_log=True,
    )


def figure(value: float | None) -> str:
    """Return a number in four digits, or a dash."""
    return "—" if value is None else f"{value:.4g}"
