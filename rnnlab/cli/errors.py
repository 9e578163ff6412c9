"""Errors as a user reads them: one line each on stderr, no traceback."""

import sys
import tempfile
import traceback

import typer

from rnnlab.core.errors import ConfigError, RnnlabError
from rnnlab.core.registry import Registry
from rnnlab.core.text import visible


def report(error: RnnlabError) -> None:
    """Print the error, one line a fault: `rnnlab: error[E_CONFIG]: x.yaml:7:3 training.steps: got …, expected …`."""
    faults = error.faults if isinstance(error, ConfigError) else [error]
    for fault in faults:
        _line(f"error[{error.code}]", _shortened(visible(str(fault))))


def report_bug(error: Exception) -> None:
    """Print one line that names the error and the file with its traceback."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="rnnlab-bug-", suffix=".txt", delete=False) as file:
            traceback.print_exception(error, file=file)
        where = f"; the traceback is in {file.name}"
    except OSError:
        where = ""
    text = visible(f"{type(error).__name__}: {error}")[:300]
    _line("bug[E_BUG]", f"{text}{where} — this is a fault of rnnlab: please report it with that file")


def warn(text: str) -> None:
    """Print a warning on stderr."""
    _line("warning", visible(text))


def warn_of_broken(*registries: Registry) -> None:
    """Print a warning for each member that cannot be imported and is therefore left out."""
    for registry in registries:
        for fault in registry.broken():
            warn(f"left out: {fault}")


def note(text: str) -> None:
    """Print a remark on stderr."""
    _echo(visible(text))


def _shortened(text: str) -> str:
    """Cut a line that repeats a whole argument of 128 KiB, in its middle: the end tells what to do."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


_LONGEST = 4000


def _line(kind: str, text: str) -> None:
    head = typer.style(kind, fg=typer.colors.YELLOW if kind == "warning" else typer.colors.RED, bold=True)
    _echo(f"rnnlab: {head}: {text}")


def _echo(line: str) -> None:
    try:
        typer.echo(line, err=True)
    except OSError:  # stderr is closed or full: the exit code still tells
        sys.stderr = None
