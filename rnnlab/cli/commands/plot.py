"""Draw RUNs: one figure as PNG, PDF or SVG.

Runs that differ in their seed alone are one line with a band. Of up to six runs the inside of each network is drawn; of
more, and of a sweep, that of one network of each group, which the picture names. The weights are the best, or the last
where no best are stored, as in `diagnose`. An older picture at the same place is replaced.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from rnnlab.cli.commands.compare import compared
from rnnlab.cli.errors import warn
from rnnlab.cli.options import RUNS, RunsArgument, RunsOption, offering, option, path_option
from rnnlab.cli.out_file import ending_of
from rnnlab.cli.render.output import show
from rnnlab.comparison import Comparison, compare
from rnnlab.core.errors import RnnlabError, UsageError
from rnnlab.core.figure import Figure
from rnnlab.core.registry import nearest
from rnnlab.figures import OF_COMPARISONS, diagnose_representatives, figure_of
from rnnlab.figures.curves import curves
from rnnlab.figures.picture import ENDINGS, picture
from rnnlab.inspection.diagnoses import diagnoses
from rnnlab.storage import RunFolder
from rnnlab.storage.files import write_atomic

_KINDS = [*OF_COMPARISONS, *(name for name, one in diagnoses().items() if one.title)]


def command(
    names: RunsArgument,
    kind: Annotated[
        str, option("KIND", f"One of {', '.join(_KINDS)}.", autocompletion=offering(lambda: _KINDS))
    ] = "curves",
    out: Annotated[
        Path | None, path_option("PATH", "A .png, .pdf or .svg.", "plots/KIND.png of the run, or KIND.png")
    ] = None,
    metric: Annotated[str | None, option("NAME", "The metric of the curves.", "loss")] = None,
    x: Annotated[Literal["step", "sequences", "seconds"], option(None, "The x axis of the curves.")] = "step",
    runs: RunsOption = RUNS,
) -> None:
    if kind not in _KINDS:
        hint = nearest(kind, _KINDS)
        if kind in diagnoses():
            hint = f"`rnnlab diagnose RUN --only {kind}` prints it"
        raise UsageError(f"'{kind[:60]}' is not a kind of figure", where="--kind", hint=hint)
    ending = ending_of(out, ENDINGS) if out else "png"
    comparison = compared(runs, names, metric)
    data = picture(_figure(comparison, kind, x), ending)
    if out is None and len(comparison.results) == 1:
        path = comparison.results[0].folder.write_plot(f"{kind}.png", data)
    else:
        path = out or Path(f"{kind}.png")
        write_atomic(path, data, elsewhere="--out PATH")
    show(str(path))


def draw_ended(run: RunFolder) -> None:
    """Draw the curves of a run that has ended into its folder; if that fails, it is a warning and no more."""
    try:
        run.write_plot("curves.png", picture(_figure(compare([run]), "curves", "step"), "png"))
    except (RnnlabError, OSError) as error:
        warn(f"the curves were not drawn: {error}")


def _figure(comparison: Comparison, kind: str, x: str) -> Figure:
    faults: Mapping[str, RnnlabError] = {}
    if kind in diagnoses():
        chosen = diagnose_representatives(comparison, [kind], is_each=True)
        faults = chosen.faults
        for name, fault in faults.items() if chosen.found else ():  # with nothing to draw, the first is the error
            warn(f"{name} is left out: {fault}")
        figure = figure_of(kind, chosen.found, note=chosen.note)
    else:
        figure = curves(comparison, x) if kind == "curves" else OF_COMPARISONS[kind](comparison)
    if figure is None:
        many = "it needs many groups that differ in two config keys, such as a sweep over cells and lengths"
        hint = diagnoses()[kind].lacks if kind in diagnoses() else many
        nothing = UsageError(f"there is nothing to draw as '{kind}' for these runs", where="--kind", hint=hint)
        raise next(iter(faults.values()), nothing)
    return figure
