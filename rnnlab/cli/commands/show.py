"""Show one run: its result, its curve, its files.

The result is beside the task's reference scores. A damaged part is named on stderr and left out, and the exit code is
then 4.
"""

import stat
from collections.abc import Callable
from contextlib import suppress
from shlex import quote
from typing import Any

import typer

from rnnlab.cli.errors import warn
from rnnlab.cli.named import run_named
from rnnlab.cli.options import RUNS, JsonOption, RunArgument, RunsOption
from rnnlab.cli.render.card import facts
from rnnlab.cli.render.output import show, show_json
from rnnlab.cli.render.run import Parts, evaluation_table, loss_picture, origin, outline, reference_table, scores
from rnnlab.cli.render.tables import show_table
from rnnlab.core.errors import VerificationError
from rnnlab.core.table import Table, table
from rnnlab.runs.run import Run
from rnnlab.storage.metrics import CUT, TORN
from rnnlab.storage.provenance import backends

_READ: dict[str, Callable[[Run], Any]] = {
    "summary": lambda run: run.stored_summary if run.has_ended else None,
    "provenance": lambda run: run.provenance,
    "config": lambda run: run.config,
    "metrics": lambda run: run.records,
    "evaluations": lambda run: run.evaluations,
}


def command(run: RunArgument, runs: RunsOption = RUNS, json: JsonOption = False) -> None:
    found = run_named(runs, run)
    status = found.status
    parts: dict[str, Any] = {}
    for name, read in _READ.items():
        try:
            parts[name] = read(found)
        except VerificationError as fault:
            warn(str(fault))
    if "metrics" in parts and found.is_torn:
        warn(f"{found.path / 'metrics.jsonl'}: {CUT if status.state == 'completed' else TORN}")
    if json:
        of_run = {"run": found.name, "path": found.path, "status": status.model_dump() | {"state": found.state}}
        if "provenance" in parts:
            parts["provenance"] = parts["provenance"].document()
        show_json("show", of_run | {name: parts.get(name) for name in _READ})
    else:
        _show(Parts(found, **parts))
    if len(parts) < len(_READ) and status.state != "running":
        raise typer.Exit(4)


def _show(parts: Parts) -> None:
    run, summary = parts.run, parts.summary
    show(run.name, facts(outline(parts)), "")
    for one in (*scores(parts), *reference_table(parts), *evaluation_table(parts.evaluations)):
        show_table(one)
        show("")
    if picture := loss_picture(parts.metrics, summary.baseline if summary else None):
        show(*picture, "")
    show(facts(origin(parts.provenance)), "")
    show_table(_files(run))
    show("")
    if run.state in {"stale", "interrupted", "failed"}:
        show(f"to resume it:  rnnlab train --resume {quote(str(run.path))}")
    many = parts.provenance is not None and len(backends(parts.provenance)) > 1
    within = "   (within rounding: several backends computed this run)" if many else ""
    show(f"to repeat it:  rnnlab train {quote(str(run.path / 'resolved.yaml'))}{within}")


def _files(run: Run) -> Table:
    rows = []
    for path in sorted(run.path.rglob("*")):
        with suppress(FileNotFoundError):  # a run that is training replaces its files
            if stat.S_ISREG((state := path.lstat()).st_mode):
                rows.append((str(path.relative_to(run.path)), state.st_size))
    return table(["file", "bytes"], rows)
