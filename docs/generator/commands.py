"""The page of all commands, from the program's own help."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from generator.markdown import block, code, definitions, escaped, paragraphs
from rnnlab.cli.help import described
from rnnlab.cli.main import app, load_command

_START = """\
# Commands

Each command prints its result on stdout and everything else on stderr; `--json` makes the result one JSON object of a
[documented format](json.md). How a command ended is in its [exit code](exit_codes.md). `-h` and `--help` print what
is on this page.
"""

_DEFAULT = r" *\[(env var: [^;\]]+; )?default: \(?([^\])]+)\)?\]$"


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with its full name, `rnnlab sweep status`; a group before its commands."""
    for name in sorted(typer.main.get_command(app).commands):  # type: ignore[attr-defined]
        command = load_command(name)
        yield f"rnnlab {name}", command
        for inner in getattr(command, "commands", {}).values():
            yield f"rnnlab {name} {inner.name}", inner


def page() -> str:
    """Return the page."""
    parts = [_START]
    for name, command in commands():
        context = typer.Context(command, info_name=name)
        parts += [
            f"{'#' * name.count(' ')}# `{name}`\n",
            block(" ".join([name, *command.collect_usage_pieces(context)])),
        ]
        parts.append(paragraphs(inspect.cleandoc(command.help or "").replace("\b\n", "")))
        for title, records in described(command.params, context).items():
            parts += [paragraphs(f"{title}:")] if title not in {"Arguments", "Options"} else []
            parts.append(
                definitions(
                    (code(term), escaped(re.sub(_DEFAULT, r" \1Default: \2.", about))) for term, about in records
                )
            )
    return "\n".join(parts)
