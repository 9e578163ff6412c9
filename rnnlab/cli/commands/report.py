"""Tell RUNs in one HTML page: numbers, curves, what the networks do inside, and how to repeat all that.

The page is one file that loads nothing: it opens from disk, without a network, and may be sent round. An older
report at the same place is replaced.
"""

from pathlib import Path
from typing import Annotated

import typer

from rnnlab.cli.options import RunsArgument, RunsOption


def command(
    names: RunsArgument,
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="Where to write the page.")] = Path("report.html"),
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="The page's heading.", show_default="the names given")
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="What to draw and order by.", show_default="loss")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="KEY", help="As of `rnnlab compare`.", show_default=False)
    ] = None,
    over: Annotated[
        str | None, typer.Option("--over", metavar="KEY", help="As of `rnnlab compare`.", show_default=False)
    ] = None,
    diagnose: Annotated[
        bool, typer.Option("--diagnose/--no-diagnose", help="Look into one network of each group, or not.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is not a report.")] = False,
    runs: RunsOption = None,
) -> None:
    from rnnlab.cli.commands._report import report

    report(
        names,
        out=out,
        title=title,
        metric=metric,
        by=by,
        over=over,
        look_inside=diagnose,
        force=force,
        runs=runs,
    )
