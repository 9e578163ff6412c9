"""Look inside a trained RUN: gradient, gates, states, memory.

The network is computed step by step through its cell's own definition in float64, whichever backend trained it, on
sequences drawn for this. Nothing is written.
"""

from collections.abc import Iterator
from typing import Annotated

from rich.console import RenderableType

from rnnlab.cli.errors import warn
from rnnlab.cli.named import run_named
from rnnlab.cli.options import RUNS, JsonOption, RunArgument, RunsOption, option, whole_number
from rnnlab.cli.render.curves import draw
from rnnlab.cli.render.output import show, show_json
from rnnlab.cli.render.tables import table_lines
from rnnlab.core.batch import range_text
from rnnlab.inspection.diagnoses import Diagnosis, diagnose, diagnoses
from rnnlab.runs.run import Which

_EXTRA = ", ".join(name for name, one in diagnoses().items() if not one.is_default)


def command(
    run: RunArgument,
    only: Annotated[
        str | None, option("NAMES", f"Of {', '.join(diagnoses())}, separated by commas.", f"all but {_EXTRA}")
    ] = None,
    also: Annotated[str | None, option("NAMES", "Further ones, in addition to the default.")] = None,
    timesteps: Annotated[
        int | None, option("T", "Length of the sequences.", "as in training", parser=whole_number)
    ] = None,
    sequences: Annotated[int | None, option("N", "How many sequences.", "64", parser=whole_number)] = None,
    weights: Annotated[
        Which | None,
        option(None, "The best weights by validation loss, or the last.", "best, or last where none are stored"),
    ] = None,
    at_step: Annotated[int | None, option("N", "The weights of this checkpoint instead.", parser=whole_number)] = None,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    default = [name for name, one in diagnoses().items() if one.is_default]
    names = None if only is None and not also else [*(default if only is None else _split(only)), *_split(also or "")]
    found = diagnose(
        run_named(runs, run),
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
            yield from draw(one.panels({"": result})[0])
        elif table := one.table(result):
            yield from table_lines(table)
        yield from one.sentences(result)
