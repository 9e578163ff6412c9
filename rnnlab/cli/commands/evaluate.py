"""Score a trained RUN again, also at other lengths: --set shape.timesteps=400."""

from typing import Annotated, Literal

import typer

from rnnlab.cli.named import run_named
from rnnlab.cli.options import JsonOption, RunArgument, RunsOption, SetOption, VerboseOption, whole_number
from rnnlab.cli.render.output import show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.core.table import table
from rnnlab.inspection.evaluate import evaluate
from rnnlab.runs import runs_root


def command(
    run: RunArgument,
    overrides: SetOption = None,
    weights: Annotated[Literal["best", "last"], typer.Option(help="Best by validation loss, or last.")] = "best",
    sequences: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="INTEGER", help="How many sequences; as in the run when left out."),
    ] = None,
    backend: Annotated[str | None, typer.Option(help="The backend; that of the run when left out.")] = None,
    runs: RunsOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    found = run_named(runs_root(runs), run)
    result = evaluate(
        found,
        [*(overrides or []), *([f"backend={backend}"] if backend else [])],
        weights=weights,
        sequences=sequences,
    )
    experiment, (low, high) = result.experiment, result.experiment.timesteps
    if json:
        show_json(
            "evaluate",
            {
                "run": found.name,
                "path": found.path,
                "state": found.status.state,
                "steps": result.step,
                "weights": result.weights,
                "task": experiment.task.type,
                "timesteps": [low, high],
                "sequences": experiment.evaluation.sequences,
                "loss": result.metrics["loss"],
                "baseline": result.baseline,
                "solved": result.solved,
                "metrics": result.metrics,
                "seconds": round(result.seconds, 3),
            },
        )
        return
    lengths = f"T={low}" if low == high else f"T={low}…{high}"
    count = experiment.evaluation.sequences
    of = f"{count:,} sequence{'s' * (count != 1)} of {experiment.task.type}, {lengths}"
    rows = [(name, value, result.baseline if name == "loss" else None) for name, value in result.metrics.items()]
    show(f"{found.name}: {result.weights} weights (step {result.step:,}) on {of}", "")
    show_table(table(["", "score", "baseline"], rows))
    show("", "meets the success rule" if result.solved else "does not meet the success rule")
