"""Score a trained RUN on test sequences.

Also at other lengths: `--set shape.timesteps=400`.
"""

from typing import Annotated, Literal

import typer

from rnnlab.cli.named import run_named
from rnnlab.cli.options import JsonOption, RunArgument, RunsOption, SetOption, VerboseOption, whole_number
from rnnlab.cli.render.output import show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.core.table import table
from rnnlab.inspection.evaluate import Stream, evaluate
from rnnlab.runs import runs_root


def command(
    run: RunArgument,
    overrides: SetOption = None,
    on: Annotated[
        Stream,
        typer.Option(help="Test: sequences that played no part in training; validation: those that chose the best."),
    ] = "test",
    weights: Annotated[Literal["best", "last"], typer.Option(help="Best by validation loss, or last.")] = "best",
    sequences: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="INTEGER", help="How many sequences; as in the run when left out."),
    ] = None,
    backend: Annotated[
        str | None, typer.Option(metavar="NAME", help="The backend; that of the run when left out.")
    ] = None,
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
        on=on,
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
                "task": experiment.task_name,
                "timesteps": [low, high],
                "stream": result.stream,
                "sequences": experiment.evaluation.sequences,
                "loss": result.metrics["loss"],
                "baseline": result.baseline,
                "solved": result.solved,
                "metrics": result.metrics,
                "seconds": round(result.seconds, 3),
            },
        )
        return
    rows = [(name, value, result.baseline if name == "loss" else None) for name, value in result.metrics.items()]
    show(f"{found.name}: {result.weights} weights (step {result.step:,}) on {result.sequences_in_words}", "")
    show_table(table(["", "score", "baseline"], rows))
    if result.solved is not None:
        show("", "meets the success rule" if result.solved else "does not meet the success rule")
