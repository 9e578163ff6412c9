"""The `rnnlab` program: finds its commands, and turns every error into one message and one exit code.

A command is a file in this folder that exports `command`; the file's stem is its name. Command files are imported for
their help alone, so they import nothing but Typer at the top.
"""

import importlib
import pkgutil
import sys
from typing import Annotated, NoReturn

import typer

from rnnlab import __version__
from rnnlab.cli import __path__ as _folder
from rnnlab.cli._errors import report, report_bug
from rnnlab.core.errors import RnnlabError

app = typer.Typer(
    name="rnnlab",
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
    7 training diverged, 130 stopped by Ctrl-C.
    """


def _commands() -> list[str]:
    names = [module.name for module in pkgutil.iter_modules(_folder)]
    return [name for name in names if name != "main" and not name.startswith("_")]


for _name in _commands():
    app.command(_name)(importlib.import_module(f"rnnlab.cli.{_name}").command)


def main() -> NoReturn:
    """Run the program and exit; the one place where errors become exit codes."""
    try:
        app(prog_name="rnnlab")
    except RnnlabError as error:
        report(error)
        sys.exit(error.exit_code)
    except MemoryError:
        report(_out_of_memory())
        sys.exit(5)
    except Exception as error:  # whatever else comes is a bug, and says so in one line
        report_bug(error)
        sys.exit(1)
    sys.exit(0)


def _out_of_memory() -> RnnlabError:
    from rnnlab.core.errors import EnvironmentFault

    return EnvironmentFault(
        "out of memory", hint="lower training.batch_size, shape.timesteps or cell.units, or set training.bptt_steps"
    )
