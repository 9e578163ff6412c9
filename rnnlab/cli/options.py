"""Options that several commands share, so that they read and behave the same everywhere."""

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


def _speak_up(wanted: bool) -> bool:
    """Tell whoever starts an engine in this process, or in one that it starts."""
    if wanted:
        os.environ["RNNLAB_VERBOSE"] = "1"
    return wanted


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Return what a shell may offer for a run: `latest`, and names and their last six letters, the newest first."""
    from rnnlab.core.errors import RnnlabError
    from rnnlab.runs.find import run_names, runs_root
    from rnnlab.storage.naming import FOLDER_NAME

    given = context.params.get("runs")
    try:
        names = run_names(runs_root(Path(given) if given else None))
    except RnnlabError:
        return []
    known = ["latest"]
    for name in reversed(names):
        if (match := FOLDER_NAME.fullmatch(name)) and name.isprintable():
            known += [match["token"], name] if incomplete else [match["token"]]
    return [name for name in known if name.startswith(incomplete)][:_OFFERED]


_OFFERED = 50
ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="The YAML file.", show_default=False)]
OptionalConfigArgument = Annotated[
    Path | None, typer.Argument(metavar="[CONFIG]", help="The YAML file.", show_default=False)
]
IntoOption = Annotated[
    Path | None, typer.Option("--into", metavar="DIR", help="The run's own folder: begin, go on, or find it complete.")
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run: its path, any unique part of its name, or `latest`.",
        show_default=False,
        autocompletion=complete_run,
    ),
]
RunsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        help="Runs: each its path, any unique part of its name, or `latest`; a sweep or a folder for all in it.",
        show_default=False,
        autocompletion=complete_run,
    ),
]
RunsOption = Annotated[
    Path | None,
    typer.Option(
        "--runs", envvar="RNNLAB_RUNS", help="The folder that holds the runs.", show_default="runs", metavar="DIR"
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a config value: training.steps=500. Repeatable.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="PATH", help="Where to write.", show_default="RUN-WEIGHTS.ENDING in the current folder"
    ),
]
VerboseOption = Annotated[
    bool,
    typer.Option(
        "--verbose", envvar="RNNLAB_VERBOSE", help="Let the engine say what it says as it starts.", callback=_speak_up
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, all else on stderr.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but errors and the result.")]


class Format(StrEnum):
    """How a comparison is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


def whole_number(given: str | int) -> int:
    """Return a number given on the command line, written as a config would have it: Python also takes 1_000 and ٣.

    Raises:
        typer.BadParameter: It is no such number.
    """
    text = str(given)  # Typer parses a default too
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise typer.BadParameter(f"{text[:60]!r} is no whole number from 1 on")
    return int(text)
