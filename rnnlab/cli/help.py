"""The text of `--help`: plain and in sections.

Rich, which Typer would use, takes longer to import than all else that is needed here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

from typer.core import TyperCommand

# An option or argument, a context, and what lays out text are of a library that is in another place in each version of
# Typer: so their types are not named.
Parameter = Any


@final
class Command(TyperCommand):
    """A command whose help lists its options by section."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return usage(self.get_params(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_parameters(self.get_params(ctx), ctx, formatter)


def usage(parameters: Sequence[Parameter]) -> list[str]:
    """Return what follows the name of a command: [OPTIONS] [CONFIG], or RUN..."""
    arguments = [one for one in parameters if one.param_type_name == "argument"]
    names = [_name(one) + ("..." if one.nargs != 1 else "") for one in arguments]
    return ["[OPTIONS]", *(name if one.required else f"[{name}]" for name, one in zip(names, arguments, strict=True))]


def described(parameters: Sequence[Parameter], ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """Return how each parameter is written and what it does: the arguments, then each section of options."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for one in parameters:
        is_argument = one.param_type_name == "argument"
        record = (_name(one), one.help) if is_argument else one.get_help_record(ctx)
        if record is not None:
            title = "Arguments" if is_argument else one.rich_help_panel or "Options"
            sections.setdefault(title, []).append(record)
    return sections


def write_parameters(parameters: Sequence[Parameter], ctx: Any, formatter: Any) -> None:
    """Write what `described` returns."""
    for title, records in described(parameters, ctx).items():
        with formatter.section(title):
            formatter.write_dl(records)


def write_commands(sections: Mapping[str, Mapping[str, str]], formatter: Any) -> None:
    """Write names of commands and what each does, by section."""
    widest = max(len(name) for commands in sections.values() for name in commands)
    for title, commands in sections.items():
        if commands:
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), text) for name, text in commands.items()])


def first_line(text: str | None) -> str:
    """Return the first line of a docstring, which says what a command does."""
    return (text or "").strip().partition("\n")[0]


def _name(argument: Parameter) -> str:
    return str(argument.metavar or argument.name.upper())
