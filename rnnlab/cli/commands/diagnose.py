"""Look inside a trained RUN: gradient, gates, states, memory.

The network is computed step by step through its cell's own definition in float64, whichever backend trained it, on
sequences drawn for this. Nothing is written.
"""

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Annotated, Literal

import typer
from rich.console import RenderableType

from rnnlab.cli.errors import warn
from rnnlab.cli.named import run_named
from rnnlab.cli.options import JsonOption, RunArgument, RunsOption, whole_number
from rnnlab.cli.render.curves import Curve, Level, draw
from rnnlab.cli.render.output import can_show, console, show, show_json
from rnnlab.cli.render.tables import table_lines
from rnnlab.core.batch import range_text
from rnnlab.core.figure import Panel
from rnnlab.inspection.diagnoses import Diagnosis, diagnose, diagnoses
from rnnlab.runs import runs_root

_EXTRA = [name for name, one in diagnoses().items() if not one.is_default]


def command(
    run: RunArgument,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="NAMES",
            help=f"Of {', '.join(diagnoses())}, separated by commas.",
            show_default=f"all but {', '.join(_EXTRA)}",
        ),
    ] = None,
    also: Annotated[
        str | None, typer.Option("--also", metavar="NAMES", help="Further ones, in addition to the default.")
    ] = None,
    timesteps: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="T", help="Length of the sequences.", show_default="as in training"),
    ] = None,
    sequences: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="How many sequences.", show_default="64")
    ] = None,
    weights: Annotated[
        Literal["best", "last"] | None,
        typer.Option(
            help="The best weights by validation loss, or the last.", show_default="best, or last where none are stored"
        ),
    ] = None,
    at_step: Annotated[
        int | None,
        typer.Option("--at-step", parser=whole_number, metavar="N", help="The weights of this checkpoint instead."),
    ] = None,
    runs: RunsOption = None,
    json: JsonOption = False,
) -> None:
    default = [name for name, one in diagnoses().items() if one.is_default]
    names = None if only is None and not also else [*(default if only is None else _split(only)), *_split(also or "")]
    found = diagnose(
        run_named(runs_root(runs), run),
        names,
        weights=weights,
        at_step=at_step,
        timesteps=timesteps,
        sequences=max(2, sequences or 64),
    )
    if json:
        show_json("diagnose", found)
    else:
        show(*_parts(found))
    for name in names or ():
        if name not in found.results and (why := diagnoses()[name].lacks):
            warn(f"{name}: {why}")
    if names is None and all(not diagnoses()[name].needs_sequences for name in found.results):
        warn("the data of this run are not there: diagnoses on sequences are left out; `--only gates` shows why")


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")] if names else []


def _parts(found: Diagnosis) -> Iterator[RenderableType]:
    sequences = f"{found.sequences:,} sequences of T={range_text(found.timesteps)}"
    yield f"{found.run}: {found.weights} weights (step {found.step:,}), {sequences}"
    for name, result in found.results.items():
        one = diagnoses()[name]
        yield ""
        if one.is_plotted_in_terminal:
            yield one.title
            yield from _curves(one.panels({"": result})[0])
        elif table := one.table(result):
            yield from table_lines(table)
        yield from one.sentences(result)


def _curves(panel: Panel) -> Iterable[RenderableType]:
    curves = [
        Curve(
            line.name.removeprefix(": "),
            [(int(x), float(y) if isfinite(y) else None) for x, y in zip(line.x, line.y, strict=True)],
        )
        for line in panel.lines
    ]
    return draw(
        curves,
        y_label=panel.y.label,
        levels=[Level(level.label, level.value) for level in panel.levels],
        x_label="lag",
        width=console().width,
        braille=can_show("⣿"),
        may_log=panel.y.log,
    )
