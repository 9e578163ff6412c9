"""Write an HTML report of RUNs: results, curves, diagnoses.

It also shows how to repeat all that. The report is one file that loads nothing: it opens from disk and without a
network. An older report at the same place is replaced.
"""

from collections.abc import Sequence
from pathlib import Path
from shlex import join, quote
from typing import Annotated

import typer

from rnnlab.cli.errors import warn
from rnnlab.cli.named import run_named
from rnnlab.cli.options import RunsArgument, RunsOption, path_option
from rnnlab.cli.own_file import require_own
from rnnlab.cli.render.output import show
from rnnlab.comparison import compare
from rnnlab.core.errors import RnnlabError
from rnnlab.figures import Representatives, diagnose_representatives
from rnnlab.figures.page import GENERATOR, write_page
from rnnlab.inspection.diagnoses import diagnoses
from rnnlab.runs import runs_root
from rnnlab.storage.files import write_atomic
from rnnlab.sweeps.folder import find_sweep
from rnnlab.sweeps.named import runs_named

_MARK = f'name="generator" content="{GENERATOR} '


def command(
    names: RunsArgument,
    out: Annotated[Path, path_option("--out", "PATH", "Where to write the report.")] = Path("report.html"),
    title: Annotated[
        str | None,
        typer.Option("--title", metavar="TEXT", help="The report's heading.", show_default="the names given"),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", metavar="NAME", help="The metric to draw and to order by.", show_default="loss"),
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="KEY", help="As in `rnnlab compare`.", show_default=False)
    ] = None,
    over: Annotated[
        str | None, typer.Option("--over", metavar="KEY", help="As in `rnnlab compare`.", show_default=False)
    ] = None,
    diagnose: Annotated[
        bool, typer.Option("--diagnose/--no-diagnose", help="Diagnose one network of each group.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is not a report.")] = False,
    runs: RunsOption = None,
) -> None:
    if not force:
        hint = "choose another place, or add --force to overwrite a file"
        require_own(out, _MARK, option="--out", what="a report", hint=hint)
    comparison = compare(runs_named(runs_root(runs), names, fewest=1, find=run_named), metric, by=by, over=over)
    chosen = [name for name, one in diagnoses().items() if one.is_in_report]
    inside = diagnose_representatives(comparison, chosen) if diagnose else Representatives({}, {}, "")
    notes = [f"{name} was not diagnosed: {fault}" for name, fault in inside.faults.items()]
    heading = title or ", ".join(Path(name).name or name for name in names)
    commands = _sweeps(runs_root(runs), names)
    page = write_page(comparison, inside.found, title=heading, notes=notes, commands=commands).encode()
    write_atomic(out, page, elsewhere="--out PATH")
    for one in comparison.damaged:
        warn(f"{one.name} is damaged and left out: {one.reason}")
    for note in notes:
        warn(note)
    count = f"{len(comparison.results):,} run" + "s" * (len(comparison.results) != 1)
    show(f"{out}: {count}, {len(page) / 1e6:.2f} MB", comparison.conclusion)
    if comparison.damaged:
        raise typer.Exit(4)


def _sweeps(root: Path, names: Sequence[str]) -> list[str]:
    """Return what repeats the sweeps and shows them again, if all names are those of sweeps."""
    try:
        folders = [find_sweep(root, name).path for name in names]
    except RnnlabError:
        return []
    shown = [_shown(folder) for folder in folders]
    repeat = [f'for config in {quote(f"{one}/configs")}/*.yaml; do rnnlab train "$config"; done' for one in shown]
    return [*repeat, f"rnnlab compare {join(shown)}", f"rnnlab report {join(shown)}"]


def _shown(folder: Path) -> str:
    """Return a folder relative to the working directory, or its name: another machine has other folders above it."""
    path = folder.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name
