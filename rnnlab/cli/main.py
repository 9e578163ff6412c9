"""The `rnnlab` program: finds its commands, and turns every error into one message and one exit code.

A command is a file in this folder that exports `command`, or `app` where it has commands of its own; the file's stem is
its name. Command files are imported for their help alone, so they import nothing but Typer at the top.
"""

import errno
import importlib
import io
import os
import pkgutil
import sys
from pathlib import Path
from typing import Annotated, NoReturn, cast

import typer
from typer.core import TyperGroup

from rnnlab import __version__
from rnnlab.cli import __path__ as _folder
from rnnlab.cli._errors import report, report_bug
from rnnlab.cli._output import forget_stdout
from rnnlab.core.errors import EnvironmentFault, RnnlabError, UsageError

# The base of all that Typer refuses; where it stands depends on the version.
ClickException = cast("type[Exception]", typer.BadParameter.__mro__[2])


class _InOrder(TyperGroup):
    """Lists the commands by name, those with commands of their own among them."""

    def list_commands(self, _: object) -> list[str]:
        return sorted(self.commands)


app = typer.Typer(
    name="rnnlab",
    cls=_InOrder,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: it comes at once and reads the same in a log
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rnnlab {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and stop.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Train, evaluate and compare small recurrent networks on published tasks, from one YAML file.

    Exit codes: 0 done, 1 a bug in rnnlab, 2 bad command line or config (nothing was created), 3 no such run,
    4 stored data failed verification, 5 the machine says no (space, permission, memory), 6 the run is locked,
    7 training diverged, 8 some trials of a sweep failed, 9 a condition of --fail-if holds, 75 training was asked to
    stop and can be resumed, 130 stopped by Ctrl-C.
    """


def _commands() -> list[str]:
    names = [module.name for module in pkgutil.iter_modules(_folder)]
    return [name for name in names if name != "main" and not name.startswith("_")]


for _name in _commands():
    _module = importlib.import_module(f"rnnlab.cli.{_name}")
    if hasattr(_module, "app"):  # commands of its own
        app.add_typer(_module.app, name=_name)
    else:
        app.command(_name)(_module.command)


def main() -> NoReturn:
    """Run the program and exit; the one place where errors become exit codes."""
    _settle_streams()
    code = 0
    try:
        code = app(prog_name="rnnlab", standalone_mode=False) or 0
    except ClickException as error:
        _refuse_command_line(error)
    except typer.Abort:
        sys.exit(130)
    except RnnlabError as error:
        _fail(error)
    except (MemoryError, SystemError) as error:
        _fail(_out_of_memory(error))
    except SystemExit as stop:
        # The reader of the help has gone (`| head`): Click calls that 1, and 1 is a bug.
        sys.exit(0 if isinstance(stop.__context__, BrokenPipeError) else stop.code)
    except OSError as error:
        if error.errno not in _MACHINE_SAYS_NO:
            _report_bug(error)
        _fail(EnvironmentFault(error.strerror or str(error), where=str(error.filename or "stdout")))
    except Exception as error:  # whatever else comes is a bug, and says so in one line
        _report_bug(error)
    sys.exit(code)


_MACHINE_SAYS_NO = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def _settle_streams() -> None:
    """See to it that no output can end a training, whatever the streams are."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us: the next file opened, a run's, would stand in its place
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and name != "stdin":
            stream.reconfigure(errors="backslashreplace")  # where the locale has no such character


def _refuse_command_line(error: Exception) -> NoReturn:
    """Tell what Typer refuses in one line, like every other error; the help that was asked for by no word at all."""
    message, context = error.format_message(), getattr(error, "ctx", None)  # type: ignore[attr-defined]
    if message.startswith("Usage: "):
        error.show()  # type: ignore[attr-defined]
        sys.exit(2)
    command = context.command_path if context is not None else "rnnlab"
    # Typer has its values checked by pydantic, which starts so what it has to say.
    problem = " ".join(message.replace("Value error, ", "").split()).removesuffix(".")
    _fail(UsageError(problem, hint=f"`{command} --help` tells more"))


def _fail(error: RnnlabError) -> NoReturn:
    report(error)
    _leave(error.exit_code)


def _report_bug(error: Exception) -> NoReturn:
    report_bug(error)
    _leave(1)


def _leave(code: int) -> NoReturn:
    """Exit; a stdout that cannot be flushed must not change the code."""
    try:
        sys.stdout.flush()
    except OSError:
        forget_stdout()
    sys.exit(code)


def _out_of_memory(error: Exception) -> RnnlabError:
    if isinstance(error, SystemError):  # where memory ends while Python itself works, it can say no more than that
        return EnvironmentFault(f"Python itself failed, as where memory runs out: {error}", hint="allow more memory")
    return EnvironmentFault(
        "out of memory", hint="lower training.batch_size, shape.timesteps or cell.units, or set training.bptt_steps"
    )
