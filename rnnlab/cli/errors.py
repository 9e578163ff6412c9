"""The standard streams: errors, warnings and notes on stderr, one line each; streams that are closed or full."""

import io
import os
import sys
import tempfile
import traceback
from pathlib import Path

import typer

from rnnlab.cli.ascii import ASCII
from rnnlab.core.code_faults import code_fault
from rnnlab.core.errors import ConfigError, RnnlabError
from rnnlab.core.registry import Registry, plug_in_fault
from rnnlab.core.text import visible


def report(error: RnnlabError) -> None:
    """Print the error, one line per fault: `rnnlab: error[E_CONFIG]: x.yaml:7:3 training.steps: got …, expected …`."""
    faults = error.faults if isinstance(error, ConfigError) else [error]
    for fault in faults:
        _line(f"error[{error.code}]", _shortened(str(fault)))


def report_bug(error: Exception) -> int:
    """Print one line that names the error and the file with its traceback, and return the exit code.

    An error in a user's own file is no bug of rnnlab: its line is named, and no file is written.
    """
    if (own := code_fault(error)) is not None:
        report(own)
        return own.exit_code
    try:
        with tempfile.NamedTemporaryFile("w", prefix="rnnlab-bug-", suffix=".txt", delete=False) as file:
            traceback.print_exception(error, file=file)
        where = f"; the traceback is in {file.name}"
    except OSError:
        where = ""
    if (fault := plug_in_fault(error)) is not None:
        _line(f"error[{fault.code}]", _shortened(f"{fault}{where}"))
        return fault.exit_code
    text = f"{type(error).__name__}: {error}"[:300]
    _line("bug[E_BUG]", f"{text}{where} — this is a bug in rnnlab: please report it with that file")
    return 1


def warn(text: str) -> None:
    """Print a warning on stderr."""
    _line("warning", text)


def warn_of_broken(*registries: Registry) -> None:
    """Print a warning for each plug-in that cannot be imported and is therefore left out."""
    for registry in registries:
        for fault in registry.broken():
            warn(f"left out: {fault}")


def note(text: str) -> None:
    """Print a remark on stderr."""
    _print(text)


def _shortened(text: str) -> str:
    """Cut a line that repeats an argument of 128 KiB, in its middle: its end has the hint."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


_LONGEST = 4000


def _line(kind: str, text: str) -> None:
    if sys.stderr is not None and sys.stderr.isatty() and "NO_COLOR" not in os.environ:
        kind = typer.style(kind, fg=typer.colors.YELLOW if kind == "warning" else typer.colors.RED, bold=True)
    _print(text, head=f"rnnlab: {kind}: ")


def _print(text: str, *, head: str = "") -> None:
    if sys.stderr is None:  # where print would write to stdout
        return
    try:
        print(head + visible(text), file=sys.stderr, flush=True)
    except OSError:  # closed or full: this must cost neither a training nor the exit code
        sys.stderr = None


def settle_streams() -> None:
    """See to it that writing to a standard stream fails for no other reason than that it is closed or full."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # inherited closed: the next file opened, one of a run, would get its number
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and name != "stdin":
            stream.reconfigure(errors=ASCII)  # where the locale has no such character


def forget_stdout() -> None:
    """Send what is still buffered for stdout nowhere: Python would report a second error when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
