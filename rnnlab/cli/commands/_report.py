"""A report as it is asked for: the runs, the networks to look into, the file."""

from collections.abc import Sequence
from pathlib import Path
from shlex import join, quote

import typer

from rnnlab.cli.commands._runs import runs_named
from rnnlab.cli.errors import warn
from rnnlab.cli.render.output import show
from rnnlab.comparison import Comparison, compare
from rnnlab.comparison.representatives import representatives
from rnnlab.core.errors import RnnlabError, UsageError
from rnnlab.core.text import visible
from rnnlab.inspection.diagnose import Kind, diagnose
from rnnlab.inspection.diagnoses.findings import Diagnosis
from rnnlab.reports import GENERATOR, write_page
from rnnlab.runs import runs_root
from rnnlab.storage import RunFolder
from rnnlab.storage.files import write_atomic
from rnnlab.storage.reading import kind
from rnnlab.sweeps.folder import find_sweep

_KINDS: tuple[Kind, ...] = ("flow", "gates", "spectrum", "lengths")
_MARK = f'name="generator" content="{GENERATOR} '.encode()
_HEAD = 4096  # bytes of a page in which its generator is named


def report(
    names: Sequence[str],
    *,
    out: Path,
    title: str | None,
    metric: str | None,
    by: str | None,
    over: str | None,
    look_inside: bool,
    force: bool,
    runs: Path | None,
) -> None:
    """Write a report and say where."""
    if not force:
        _refuse_strangers(out)
    comparison = compare(runs_named(runs_root(runs), names, fewest=1), metric, by=by, over=over)
    diagnoses, notes = _looked_into(comparison) if look_inside else ({}, [])
    heading = title or ", ".join(map(_called, names))
    commands = _sweeps(runs_root(runs), names)
    page = write_page(comparison, diagnoses, title=heading, notes=notes, commands=commands).encode()
    write_atomic(out, page, elsewhere="--out PATH")
    for one in comparison.damaged:
        warn(f"{one.name} is damaged and left out: {one.reason}")
    for note in notes:
        warn(note)
    show(f"{visible(str(out))}: {len(comparison.results):,} runs, {len(page) / 1e6:.1f} MB", comparison.verdict)
    if comparison.damaged:
        raise typer.Exit(4)


def _sweeps(root: Path, names: Sequence[str]) -> list[str]:
    """Return what repeats the sweeps, and shows them again, where nothing but sweeps is told of."""
    try:
        folders = [find_sweep(root, name).path for name in names]
    except RnnlabError:
        return []
    repeat = [f'for config in {quote(str(one / "configs"))}/*.yaml; do rnnlab train "$config"; done' for one in folders]
    return [*repeat, f"rnnlab compare {join(map(str, folders))}", f"rnnlab report {join(map(str, folders))}"]


def _called(name: str) -> str:
    return Path(name).name or name


def _refuse_strangers(out: Path) -> None:
    if kind(out) == "missing":
        if kind(out.absolute().parent) != "folder":
            raise UsageError(f"there is no folder {visible(str(out.parent))}", where="--out", hint="make it first")
        return
    if kind(out) != "file":
        raise UsageError(f"{visible(str(out))} is no plain file", where="--out", hint="name another place")
    try:
        with out.open("rb") as file:
            is_ours = _MARK in file.read(_HEAD)
    except OSError:
        is_ours = False
    if not is_ours:
        problem = f"{visible(str(out))} is there, and is not a report of rnnlab"
        raise UsageError(problem, where="--out", hint="name another place, or add --force to overwrite it")


def _looked_into(comparison: Comparison) -> tuple[dict[str, Diagnosis], list[str]]:
    found: dict[str, Diagnosis] = {}
    notes: list[str] = []
    for heading, result in representatives(comparison).items():
        run = RunFolder(result.path)
        weights = "best" if run.has_weights("best") else "last"
        try:
            found[heading] = diagnose(run, _KINDS, weights=weights)  # type: ignore[arg-type]
        except RnnlabError as error:
            notes.append(f"{result.name} could not be looked into: {error}")
    return found, notes
