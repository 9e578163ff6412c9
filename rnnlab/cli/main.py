"""The `rnnlab` program: finds its commands, and turns every error into one message and one exit code.

A command is a file in `commands/` that exports `command`, or `app` where it has commands of its own; the file's stem is
its name, and its docstring the help. Only the command that is called is imported.
"""

import errno
import importlib
import io
import os
import pkgutil
import re
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperGroup

from rnnlab import __version__
from rnnlab.cli.errors import report, report_bug
from rnnlab.cli.render.output import forget_stdout
from rnnlab.core.errors import EnvironmentFault, RnnlabError, UsageError

# The base of all that Typer refuses; where it stands depends on the version.
ClickException = cast("type[Exception]", typer.BadParameter.__mro__[2])

_COMMANDS = Path(__file__).with_name("commands")


class _Commands(TyperGroup):
    """The files in `commands/`, each imported when its command is called."""

    def list_commands(self, _: object) -> list[str]:
        return sorted(module.name for module in pkgutil.iter_modules([str(_COMMANDS)]) if module.name[0] != "_")

    def get_command(self, context: Any, name: str) -> Any:
        return load_command(name) if name in self.list_commands(context) else None

    def format_commands(self, context: Any, formatter: Any) -> None:
        """List each command with the first sentence of its file, which is not imported for that."""
        names = self.list_commands(context)
        width = formatter.width - 6 - max(map(len, names))
        with formatter.section("Commands"):
            formatter.write_dl([(name, _shortened(_summary(name), width)) for name in names])


def load_command(name: str) -> Any:
    """Return the Click command of the file `commands/NAME.py`."""
    module = importlib.import_module(f"rnnlab.cli.commands.{name}")
    group: typer.Typer | None = getattr(module, "app", None)
    if group is None:
        group = typer.Typer(rich_markup_mode=None, add_completion=False, **_SETTINGS)
        group.command(name)(module.command)
    command = typer.main.get_command(group)
    command.name, command.help = name, module.__doc__
    return command


def _summary(name: str) -> str:
    start = re.match(r'r?"""(.+)', (_COMMANDS / f"{name}.py").read_text(encoding="utf-8"))
    return start[1].removesuffix('"""') if start else ""


def _shortened(text: str, width: int) -> str:
    text = text.removesuffix(".")
    return text if len(text) <= width else text[: text.rindex(" ", 0, width - 3)] + "..."


_SETTINGS: dict[str, Any] = {
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}

app = typer.Typer(
    name="rnnlab",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: it comes at once and reads the same in a log
    **_SETTINGS,
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
