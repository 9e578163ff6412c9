"""The `rnnlab` program: finds its commands, and turns every error into one message and one exit code.

A command is a file in `commands/` that exports `command`, or `app` if it has subcommands. The file's stem is the name
of the command, its docstring the help. Only the command that is called is imported.
"""

import errno
import gc
import importlib
import os
import pkgutil
import re
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from rnnlab import __version__
from rnnlab.cli.errors import forget_stdout, note, report, report_bug, settle_streams
from rnnlab.cli.help import Command, write_commands, write_parameters
from rnnlab.core.errors import EnvironmentFault, RnnlabError, StoppedError, UsageError
from rnnlab.core.system_errors import limit_hint
from rnnlab.core.threads import MORE_PROCESSES, settle_threads

# The base of Typer's own errors, which is in another place in each version of Typer.
ClickException: Any = typer.BadParameter.__mro__[2]

_COMMANDS = Path(__file__).with_name("commands")


# The order in which a newcomer needs them; a command that is not here comes last.
_SECTIONS = {
    "Start": ["init", "configs", "tasks", "cells"],
    "Train": ["check", "train", "sweep", "reproduce"],
    "Look at runs": ["list", "show", "evaluate", "diagnose", "predict"],
    "Compare runs": ["compare", "plot", "report"],
    "Use elsewhere": ["export", "schema"],
    "Verify": ["verify", "doctor", "bench"],
}


class _Commands(TyperGroup):
    """The files in `commands/`: listed by name and first line, each imported when its command is called."""

    def __init__(self, **settings: Any) -> None:
        names = sorted(module.name for module in pkgutil.iter_modules([str(_COMMANDS)]) if module.name[0] != "_")
        stubs = {name: TyperCommand(name, help=_summary(name)) for name in names}
        super().__init__(**settings | {"commands": stubs})

    def format_options(self, ctx: Any, formatter: Any) -> None:
        named = [name for names in _SECTIONS.values() for name in names]
        sections = {**_SECTIONS, "Other commands": [name for name in self.commands if name not in named]}
        write_commands(
            {title: {name: _summary(name) for name in names} for title, names in sections.items()}, formatter
        )
        write_parameters(self.get_params(ctx), ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, load_command(str(name)), rest


def load_command(name: str) -> Any:
    """Return the Click command of the file `commands/NAME.py`."""
    path = f"rnnlab.cli.commands.{name}"
    if path not in sys.modules:  # what is imported stays: to look for garbage in it, also at exit, takes up to 100 ms
        gc.disable()
        importlib.import_module(path)
        gc.freeze()
        gc.enable()
    module = sys.modules[path]
    group: typer.Typer | None = getattr(module, "app", None)
    if group is None:
        group = typer.Typer(rich_markup_mode=None, add_completion=False, **_SETTINGS)
        group.command(name, cls=Command)(module.command)
    command = typer.main.get_command(group)
    command.name, command.help = name, module.__doc__
    return command


def _summary(name: str) -> str:
    start = re.match(r'r?"""(.+)', (_COMMANDS / f"{name}.py").read_text(encoding="utf-8"))
    return start[1].removesuffix('"""') if start else ""


_SETTINGS: dict[str, Any] = {
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}

_EXIT_CODES = """\
Exit codes: 0 done, 1 a bug in rnnlab, 2 bad command line or config (nothing was created), 3 no such run, 4 stored data
failed verification, 5 system error (disk full, permission, memory, a missing package), 6 the run is locked, 7 training
diverged, 8 some trials of a sweep failed, 9 --fail-if holds, 75 stopped with the state saved, 130 stopped by Ctrl-C."""

app = typer.Typer(
    name="rnnlab",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: it comes at once and reads the same in a log
    epilog=_EXIT_CODES,
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

    New here? `rnnlab train quickstart` trains a first network in some seconds; `rnnlab init` writes configs to start
    from. `rnnlab COMMAND --help` describes a command.
    """


def main() -> NoReturn:
    """Run the program and exit."""
    settle_streams()
    settle_threads()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # to find any it looks through all installed packages
    try:
        code = app(prog_name="rnnlab", standalone_mode=False) or 0
    except (Exception, SystemExit) as error:
        code = _reported(error)
    try:
        sys.stdout.flush()
    except OSError:  # this must not change the exit code
        forget_stdout()
    sys.exit(code)


def _reported(error: Exception | SystemExit) -> int:
    """Report what ended the program and return its exit code: the one place where errors become exit codes."""
    if isinstance(error, SystemExit):
        # If the reader of the help has gone (`| head`), Click calls that 1, which is the code of a bug here.
        return 0 if isinstance(error.__context__, BrokenPipeError) else int(error.code or 0)
    if isinstance(error, typer.Abort):
        return 130
    if isinstance(error, ClickException) and error.format_message().startswith("Usage: "):
        error.show()  # no command was given: the help
        return 2
    known = _as_known(error)
    if known is None:
        return report_bug(error)
    if isinstance(known, StoppedError):  # as asked: not an error
        note(str(known))
    else:
        report(known)
    return known.exit_code


def _as_known(error: Exception) -> RnnlabError | None:
    """Return an error as one that the user can do something about; None if it is a bug."""
    if isinstance(error, RnnlabError):
        return error
    if isinstance(error, ClickException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "rnnlab"
        # Typer lets pydantic check values, whose messages start with these words.
        problem = " ".join(error.format_message().replace("Value error, ", "").split()).removesuffix(".")
        return UsageError(problem, hint=_meant(problem, command) or f"see `{command} --help`")
    if isinstance(error, MemoryError):
        hint = "lower training.batch_size, shape.timesteps or cell.units, or set training.bptt_steps"
        return EnvironmentFault("out of memory", hint=hint)
    if isinstance(error, SystemError):  # all that Python reports when memory ends in its own work
        return EnvironmentFault(f"internal error of Python, probably out of memory: {error}", hint="allow more memory")
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return EnvironmentFault("cannot start a thread", hint=MORE_PROCESSES)
    return _of_system(error) if isinstance(error, OSError) and error.errno in _SYSTEM_ERRORS else None


def _meant(problem: str, command: str) -> str:
    """Return what to write in place of what other programs understand; nothing where that is not known."""
    if (match := re.search(r"extra arguments?(?:\(s\))? \(([\w.]+=\S*)", problem)) is not None:
        return f"write --set {match[1].removesuffix(')')}"
    if (match := re.match(r"No such command '([^' ]+)'", problem)) is not None:
        if match[1].endswith((".yaml", ".yml")):
            return f"write rnnlab train {match[1]}"
        return f"write {_COMMANDS_ELSEWHERE[match[1]]}" if match[1] in _COMMANDS_ELSEWHERE else ""
    if (match := re.match(r"No such option: -+([\w.-]+)", problem)) is not None:
        if match[1] in {"config", "c"}:
            return f"the config is no option: write {command} CONFIG"
        from rnnlab.cli.options import setting_for  # imports every task, cell and rule

        return f"write --set {key}=…" if (key := setting_for(match[1])) else ""
    return ""


_COMMANDS_ELSEWHERE = {
    "resume": "rnnlab train --resume RUN", "run": "rnnlab train CONFIG", "fit": "rnnlab train CONFIG",
    "ls": "rnnlab list", "test": "rnnlab evaluate RUN", "eval": "rnnlab evaluate RUN", "tune": "rnnlab sweep CONFIG",
    "benchmark": "rnnlab bench", "models": "rnnlab cells", "validate": "rnnlab check CONFIG",
}  # fmt: skip


def _of_system(error: OSError) -> EnvironmentFault:
    hint = limit_hint(error)  # writing to a stream runs into none
    return EnvironmentFault(
        error.strerror or str(error), where=str(error.filename or ("" if hint else "stdout")), hint=hint
    )


_SYSTEM_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN,
}  # fmt: skip
