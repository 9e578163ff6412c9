"""`rnnlab sweep CONFIG`: a group of commands that takes anything else for a config."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, final

from typer.core import TyperGroup

from rnnlab.cli.help import first_line, write_commands, write_parameters
from rnnlab.core.errors import UsageError


@final
class ConfigOrCommand(TyperGroup):
    """Takes anything that is not a command for a config to run."""

    def parse_args(self, context: Any, arguments: list[str]) -> list[str]:
        if arguments and arguments[0] not in {*self.commands, *context.help_option_names}:
            _require_config(arguments, self.commands)
            arguments = ["run", *arguments]
        return super().parse_args(context, arguments)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["CONFIG|COMMAND", "..."]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_commands({"Commands": {name: first_line(one.help) for name, one in self.commands.items()}}, formatter)
        write_parameters(self.get_params(ctx), ctx, formatter)

    def shell_complete(self, context: Any, incomplete: str) -> list[Any]:
        """Offer configs beside the commands."""
        config, *_ = self.commands["run"].params
        return [*super().shell_complete(context, incomplete), *config.shell_complete(context, incomplete)]


def _require_config(arguments: Sequence[str], commands: Iterable[str]) -> None:
    """Pass if the first argument can be a config, not a mistyped command, which has no ending and a name after it.

    Raises:
        UsageError: It is like one of the commands.
    """
    match arguments:
        case [name, argument] if "." not in name and not argument.startswith("-"):
            for close in difflib.get_close_matches(name, commands, n=1):
                hint = f"did you mean `rnnlab sweep {close} {argument}`?"
                raise UsageError(f"there is no command '{name}'", hint=hint)
