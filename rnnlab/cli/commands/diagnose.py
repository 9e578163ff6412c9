"""Look into a trained RUN: the gradient by lag, Jacobians, spectra, gates, states, other lengths, memory.

The network is run step by step through its cell's own definition in float64, whichever backend trained it, on
sequences drawn for this. Nothing is written.
"""

from typing import Annotated, Literal

import typer

from rnnlab.cli.options import JsonOption, RunArgument, RunsOption, whole_number


def command(
    run: RunArgument,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="KINDS",
            help="Of flow, jacobian, spectrum, gates, states, lengths, capacity, fixed-points, with commas.",
            show_default="all but fixed-points",
        ),
    ] = None,
    fixed_points: Annotated[
        bool, typer.Option("--fixed-points", help="Search for states that stay as they are without input, too.")
    ] = False,
    timesteps: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="T", help="Length of the sequences.", show_default="longest trained"),
    ] = None,
    sequences: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="How many.", show_default="64")
    ] = None,
    weights: Annotated[Literal["best", "last"], typer.Option(help="Best by validation loss, or last.")] = "best",
    at_step: Annotated[
        int | None,
        typer.Option("--at-step", parser=whole_number, metavar="N", help="The weights of this checkpoint instead."),
    ] = None,
    runs: RunsOption = None,
    json: JsonOption = False,
) -> None:
    from rnnlab.cli.render.diagnosis import kinds_of, show_diagnosis
    from rnnlab.cli.render.diagnosis_json import as_json
    from rnnlab.cli.render.output import show_json
    from rnnlab.inspection.diagnose import diagnose
    from rnnlab.runs import find_run, runs_root

    kinds = kinds_of(only, fixed_points=fixed_points)
    folder = find_run(runs_root(runs), run)
    found = diagnose(
        folder, kinds, weights=weights, at_step=at_step, timesteps=timesteps, sequences=max(2, sequences or 64)
    )
    if json:
        show_json("diagnose", as_json(found))
    else:
        show_diagnosis(found)
