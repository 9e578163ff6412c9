"""Show one run: its state, its result beside the task's reference scores, its curve, where it comes from, its files.

A damaged part is named on stderr and left out, and the exit code is then 4.
"""

from typing import Any

import typer

from rnnlab.cli.options import JsonOption, RunArgument, RunsOption


def command(run: RunArgument, runs: RunsOption = None, json: JsonOption = False) -> None:
    from rnnlab.cli.render.output import show_json
    from rnnlab.runs import find_run, runs_root

    found = find_run(runs_root(runs), run)
    folder, status = found.folder, found.status
    parts, faults = _read(folder, status)
    if json:
        show_json("show", {"run": folder.name, "path": folder.path, "status": _told(folder, status), **parts})
    else:
        _show(folder, status, parts)
    if faults and status.state != "running":
        raise typer.Exit(4)


def _told(folder: Any, status: Any) -> dict[str, Any]:
    told: dict[str, Any] = status.model_dump(mode="json")
    return told | ({"state": "stale"} if folder.is_stale(status) else {})


def _read(folder: Any, status: Any) -> tuple[dict[str, Any], int]:
    """Return every part that can be read, None for the others, and how many those are."""
    from rnnlab.cli.errors import warn
    from rnnlab.core.errors import VerificationError
    from rnnlab.runs.run import Run

    ended = folder.has_result(status)  # else there is no summary, or that of an earlier part
    parts: dict[str, Any] = {}
    for name, read in {
        "summary": lambda: Run(folder).stored_summary.model_dump() if ended else None,
        "provenance": folder.read_provenance,
        "config": lambda: _config(folder),
        "metrics": lambda: _records(folder, status),
        "evaluations": lambda: folder.read_evaluations().records,
    }.items():
        try:
            parts[name] = read()
        except VerificationError as fault:
            parts[name] = None
            warn(str(fault))
    wanted = [name for name in parts if name != "summary" or ended]
    return parts, sum(parts[name] is None for name in wanted)


def _records(folder: Any, status: Any) -> list[dict[str, Any]]:
    from rnnlab.cli.errors import warn
    from rnnlab.storage.metrics import CUT, TORN

    metrics = folder.read_metrics()
    # A process that is writing now has its line cut for an instant.
    if metrics.torn and (status.state != "running" or folder.is_stale(status)):
        warn(f"{folder.path / 'metrics.jsonl'}: {CUT if status.state == 'completed' else TORN}")
    return list(metrics.records)


def _config(folder: Any) -> dict[str, Any]:
    from rnnlab.config.errors import raise_all
    from rnnlab.config.reading import document_of
    from rnnlab.core.errors import ConfigError, VerificationError

    try:
        document = document_of(folder.read_resolved(), f"{folder.path}: the resolved config")
        raise_all(document.errors)
    except ConfigError as error:
        raise VerificationError(str(error.faults[0])) from error
    return document.data


def _show(folder: Any, status: Any, parts: dict[str, Any]) -> None:
    from shlex import quote

    from rnnlab.cli.render.card import facts
    from rnnlab.cli.render.output import show
    from rnnlab.cli.render.result import loss_picture
    from rnnlab.cli.render.story import evaluations, origin, reference_table, scores, story
    from rnnlab.core.text import visible

    stale = folder.is_stale(status)
    show(visible(folder.name), facts(story(status, parts, stale=stale)), "")
    for table in (scores(parts), reference_table(parts), evaluations(parts["evaluations"] or [])):
        if table is not None:
            show(table, "")
    if picture := loss_picture(parts["metrics"] or [], (parts["summary"] or {}).get("baseline")):
        show(*picture, "")
    show(facts(origin(parts["provenance"] or {})), "", _files(folder), "")
    whole, config = visible(quote(str(folder.path))), visible(quote(str(folder.path / "resolved.yaml")))
    if stale or status.state in {"interrupted", "failed"}:
        show(f"to go on:      rnnlab train --resume {whole}")
    show(f"to repeat it:  rnnlab train {config}")


def _files(folder: Any) -> Any:
    import stat
    from contextlib import suppress

    from rnnlab.cli.render.output import plain_table
    from rnnlab.core.text import visible

    table = plain_table("file", "bytes", numbers=("bytes",))
    for path in sorted(folder.path.rglob("*")):
        with suppress(FileNotFoundError):  # a run under way replaces its files
            if stat.S_ISREG((state := path.lstat()).st_mode):
                table.add_row(visible(str(path.relative_to(folder.path))), f"{state.st_size:,}")
    return table
