"""Draw RUNs: one picture, for a screen, a paper or a slide.

Runs that differ in their seed alone are one line with a band. Of a sweep, what is inside is drawn for one network
of each kind at its hardest. An older picture at the same place is replaced.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rnnlab.cli.options import RunsArgument, RunsOption


def command(
    names: RunsArgument,
    kind: Annotated[
        Literal["curves", "gradient", "flow", "states", "gates", "spectrum", "lengths", "sample"],
        typer.Option(
            "--kind",
            help="The metric's curves, the gradient by lag, the same over the training where it was recorded, states, "
            "gates, eigenvalues, other lengths, one sequence.",
        ),
    ] = "curves",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="PATH", help="A .png, .pdf or .svg.", show_default="plots/KIND.png of the run, or KIND.png"
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="Of the curves.", show_default="loss")
    ] = None,
    x: Annotated[
        Literal["step", "sequences", "seconds"], typer.Option("--x", help="What the curves run over.")
    ] = "step",
    runs: RunsOption = None,
) -> None:
    from rnnlab.cli.commands._plot import plot

    plot(names, kind=kind, out=out, metric=metric, x=x, runs=runs)
