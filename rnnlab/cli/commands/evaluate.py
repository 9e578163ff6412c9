"""Score a trained RUN again, also at other lengths: --set shape.timesteps=400."""

from typing import Annotated, Literal

import typer

from rnnlab.cli.options import JsonOption, RunArgument, RunsOption, SetOption, VerboseOption, whole_number


def command(
    run: RunArgument,
    overrides: SetOption = None,
    weights: Annotated[Literal["best", "last"], typer.Option(help="Best by validation loss, or last.")] = "best",
    sequences: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="INTEGER", help="How many; the run's own number when left out."),
    ] = None,
    backend: Annotated[str | None, typer.Option(help="Which engine computes; the run's own when left out.")] = None,
    runs: RunsOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    from rnnlab.cli.render.output import plain_table, show, show_json
    from rnnlab.cli.render.result import figure
    from rnnlab.core.text import visible
    from rnnlab.inspection.evaluate import evaluate
    from rnnlab.runs import find_run, runs_root

    found = find_run(runs_root(runs), run)
    result = evaluate(
        found,
        overrides=[*(overrides or []), *([f"backend={backend}"] if backend else [])],
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
    table = plain_table("", "score", "baseline", numbers=("score", "baseline"))
    for name, value in result.metrics.items():
        table.add_row(name, figure(value), figure(result.baseline if name == "loss" else None))
    lengths = f"T={low}" if low == high else f"T={low}…{high}"
    head = (
        f"{visible(found.name)}: {result.weights} weights (step {result.step:,}) "
        f"on {experiment.evaluation.sequences:,} sequences of {experiment.task.type}, {lengths}"
    )
    show(head, table, "meets the success rule" if result.solved else "does not meet the success rule")
