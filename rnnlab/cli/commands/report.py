"""Write an HTML report of RUNs: results, curves, diagnoses.

It also shows how to repeat all that. The report is one file that loads nothing: it opens from disk and without a
network. An older report at the same place is replaced.
"""

from collections.abc import Sequence
from pathlib import Path
from shlex import join, quote
from typing import Annotated

import typer

from rnnlab.cli.commands.compare import compared
from rnnlab.cli.errors import warn
from rnnlab.cli.options import RUNS, RunsArgument, RunsOption, flag, option, path_option
from rnnlab.cli.out_file import require_own
from rnnlab.cli.render.output import show
from rnnlab.core.errors import RnnlabError
from rnnlab.core.text import counted
from rnnlab.figures import Representatives, diagnose_representatives
from rnnlab.figures.page import GENERATOR, write_page
from rnnlab.inspection.diagnoses import diagnoses
from rnnlab.storage.files import write_atomic
from rnnlab.sweeps.folder import find_sweep

_MARK = f'name="generator" content="{GENERATOR} '


def command(
    names: RunsArgument,
    out: Annotated[Path, path_option("PATH", "Where to write the report.")] = Path("report.html"),
    title: Annotated[str | None, option("TEXT", "The report's heading.", "the names given")] = None,
    metric: Annotated[str | None, option("NAME", "The metric to draw and to order by.", "loss")] = None,
    by: Annotated[str | None, option("KEY", "As in `rnnlab compare`.")] = None,
    over: Annotated[str | None, option("KEY", "As in `rnnlab compare`.")] = None,
    diagnose: Annotated[bool, flag("--diagnose/--no-diagnose", "Diagnose one network of each group.")] = True,
    force: Annotated[bool, flag("--force", "Overwrite a file that is not a report.")] = False,
    runs: RunsOption = RUNS,
) -> None:
    if not force:
        hint = "choose another place, or add --force to overwrite a file"
        require_own(out, _MARK, option="--out", what="a report", hint=hint)
    comparison = compared(runs, names, metric, by=by, over=over)
    chosen = [name for name, one in diagnoses().items() if one.is_in_report]
    inside = diagnose_representatives(comparison, chosen) if diagnose else Representatives({}, {}, "")
    notes = [f"{name} was not diagnosed: {fault}" for name, fault in inside.faults.items()]
    heading = title or ", ".join(Path(name).name or name for name in names)
    commands = _sweeps(runs, names)
    page = write_page(comparison, inside.found, title=heading, notes=notes, commands=commands).encode()
    write_atomic(out, page, elsewhere="--out PATH")
    for note in notes:
        warn(note)
    show(f"{out}: {counted(len(comparison.results), 'run')}, {len(page) / 1e6:.2f} MB", comparison.conclusion)
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
