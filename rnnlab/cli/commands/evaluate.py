"""Score a trained RUN on test sequences.

Also at other lengths: `--set shape.timesteps=400`.
"""

from typing import Annotated

from rnnlab.cli.named import run_named
from rnnlab.cli.options import (
    RUNS,
    JsonOption,
    RunArgument,
    RunsOption,
    SetOption,
    VerboseOption,
    WeightsOption,
    option,
    whole_number,
)
from rnnlab.cli.render.output import show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.core.table import table
from rnnlab.inspection.evaluate import Stream, evaluate


def command(
    run: RunArgument,
    overrides: SetOption = None,
    on: Annotated[
        Stream, option(None, "Test: sequences that played no part in training; validation: those that chose the best.")
    ] = "test",
    weights: WeightsOption = "best",
    sequences: Annotated[
        int | None, option("INTEGER", "How many sequences; as in the run when left out.", parser=whole_number)
    ] = None,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    found = run_named(runs, run)
    result = evaluate(found, overrides or [], weights=weights, sequences=sequences, on=on)
    experiment, (low, high) = result.experiment, result.experiment.timesteps
    if json:
        document = {
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
        }
        show_json("evaluate", document)
        return
    rows = [(name, value, result.baseline if name == "loss" else None) for name, value in result.metrics.items()]
    show(f"{found.name}: {result.weights} weights (step {result.step:,}) on {result.sequences_in_words}", "")
    show_table(table(["", "score", "baseline"], rows))
    if result.solved is not None:
        show("", "meets the success rule" if result.solved else "does not meet the success rule")
