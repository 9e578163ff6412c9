"""Options that several commands share, so that they read and behave the same everywhere."""

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rnnlab.cli.completion import complete_config, complete_run, complete_run_or_sweep, complete_setting


def _verbose(wanted: bool) -> bool:
    """Let this process and those that it starts show the messages of an engine."""
    if wanted:
        os.environ["RNNLAB_VERBOSE"] = "1"
    return wanted


ConfigArgument = Annotated[
    Path,
    typer.Argument(metavar="CONFIG", help="The YAML file.", show_default=False, autocompletion=complete_config),
]
OptionalConfigArgument = Annotated[
    Path | None,
    typer.Argument(metavar="CONFIG", help="The YAML file.", show_default=False, autocompletion=complete_config),
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
        autocompletion=complete_run_or_sweep,
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
        autocompletion=complete_setting,
    ),
]
VerboseOption = Annotated[
    bool,
    typer.Option(
        "--verbose", envvar="RNNLAB_VERBOSE", help="Show the messages of the engine as it starts.", callback=_verbose
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, everything else on stderr.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show only errors and the result.")]


class Format(StrEnum):
    """How a comparison is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


def whole_number(given: str | int) -> int:
    """Return a number given on the command line, written as in a config: Python also accepts 1_000 and ٣.

    Raises:
        typer.BadParameter: It is not a whole number of at least 1.
    """
    text = str(given)  # Typer parses a default too
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise typer.BadParameter(f"got {text[:60]!r}, expected a whole number of at least 1")
    return int(text)
