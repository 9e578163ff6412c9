"""Options that several commands share, and what a shell offers for them: runs, sweeps, config files, config keys."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rnnlab.config.shipped import config_path, shipped_configs
from rnnlab.config.spelling import right_key
from rnnlab.core.errors import RnnlabError
from rnnlab.core.named_files import home_expanded
from rnnlab.runs.find import run_names, runs_root
from rnnlab.runs.run import Which
from rnnlab.storage.status import FOLDER_NAME

_OFFERED = 50


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Return the completions of a run: `latest`, and names and their last six letters, the newest first."""
    try:
        names = run_names(_root(context))
    except RnnlabError:
        return []
    known = ["latest"]
    for name in reversed(names):
        if (match := FOLDER_NAME.fullmatch(name)) and name.isprintable():
            known += [match["token"], name] if incomplete else [match["token"]]
    return [name for name in known if name.startswith(incomplete)][:_OFFERED]


def complete_sweep(context: typer.Context, incomplete: str) -> list[str]:
    """Return the completions of a sweep: the names of those below the runs."""
    try:
        names = sorted(plan.parent.name for plan in _root(context).glob("*/plan.json"))
    except RnnlabError:
        return []
    return [name for name in names if name.startswith(incomplete) and name.isprintable()][:_OFFERED]


def complete_run_or_sweep(context: typer.Context, incomplete: str) -> list[str]:
    """Return the completions where a sweep means all of its runs."""
    return complete_run(context, incomplete) + complete_sweep(context, incomplete)


def offering(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Return the completions of an argument that is one of some names."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return complete


def complete_config(incomplete: str) -> list[str]:
    """Return the completions of a config: YAML files that begin so, those in folders that begin so, shipped ones."""
    shipped = [name for name in shipped_configs() if name.startswith(incomplete)]
    start = Path(incomplete or ".")
    folder, begun = (start, "") if incomplete.endswith("/") or not incomplete else (start.parent, start.name)
    try:
        near = [path for path in folder.iterdir() if path.name.startswith(begun) and path.name[0] != "."]
        paths = sorted(near) + sorted(inner for path in near if path.is_dir() for inner in path.iterdir())
    except OSError:
        return shipped
    found = [str(path) for path in paths if path.suffix in {".yaml", ".yml"} and str(path).isprintable()]
    return (found + shipped)[:_OFFERED]


def complete_setting(incomplete: str) -> list[str]:
    """Return the completions of `--set`: the dotted keys of a config, those of every task and cell included."""
    return [f"{key}=" for key in _known_keys() if key.startswith(incomplete)]


def setting_for(option: str) -> str | None:
    """Return the key of a config that is meant by an option that does not exist: `--lr`, `--training.steps`."""
    known = _known_keys()
    return option if option in known else right_key(option, known)


def _known_keys() -> list[str]:
    from rnnlab.config.experiment import config_schema  # imports every task, cell and rule

    schema = config_schema()
    return list(dict.fromkeys(_keys(schema, schema["$defs"])))


def _keys(schema: Mapping[str, Any], known: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Return the dotted keys of the values in a schema; not those of blocks, which have keys of their own."""
    forms = [known[form["$ref"].rpartition("/")[2]] if "$ref" in form else form for form in _forms(schema)]
    if prefix and any("properties" not in form for form in forms):
        yield prefix.removesuffix(".")
    for form in forms:
        for name, inner in form.get("properties", {}).items():
            yield from _keys(inner, known, f"{prefix}{name}.")


def _forms(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the alternatives that a schema allows."""
    return [schema] if {"$ref", "properties"} & schema.keys() else schema.get("anyOf", [schema])


def _root(context: typer.Context) -> Path:
    given = context.params.get("runs")
    return runs_root(Path(given) if given else None)


def _verbose(wanted: bool) -> bool:
    """Let this process and those that it starts show the messages of an engine."""
    if wanted:
        os.environ["RNNLAB_VERBOSE"] = "1"
    return wanted


def argument(metavar: str, help: str, complete: Callable[..., list[str]], **more: Any) -> Any:
    """Return an argument for whose values a shell offers what `complete` returns."""
    return typer.Argument(metavar=metavar, help=help, show_default=False, autocompletion=complete, **more)


_CONFIG_HELP = "A YAML file, or the name of a shipped config: quickstart."
_CONFIG = argument("CONFIG", _CONFIG_HELP, complete_config, parser=config_path)
ConfigArgument = Annotated[Path, _CONFIG]
OptionalConfigArgument = Annotated[Path | None, _CONFIG]


def option(metavar: str | None, help: str, default: str | bool = True, **more: Any) -> Any:
    """Return an option with a value; the help has `default` for one that is left out, with True its own default."""
    return typer.Option(metavar=metavar, help=help, show_default=default, **more)


def path_option(metavar: str, help: str, default: str | bool = True, **more: Any) -> Any:
    """Return an option with the path of a file or folder, in which `~` is the home folder."""
    return option(metavar, help, default, parser=home_expanded, **more)


def flag(name: str, help: str, **more: Any) -> Any:
    """Return an option without a value."""
    return typer.Option(name, help=help, **more)


_RUN = "A run: its path, any unique part of its name, or `latest`."
_RUNS = "Runs: each its path, any unique part of its name, or `latest`; a sweep or a folder for all in it."
RunArgument = Annotated[str, argument("RUN", _RUN, complete_run)]
RunsArgument = Annotated[list[str], argument("RUN", _RUNS, complete_run_or_sweep)]
RunsOption = Annotated[Path, path_option("DIR", "The folder of the runs.", envvar="RNNLAB_RUNS")]
RUNS = Path("runs")
WeightsOption = Annotated[Which, option(None, "Best by validation loss, or last.")]
_SETTING = "Override a config value: training.steps=500. Repeatable."
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help=_SETTING, show_default=False, autocompletion=complete_setting),
]
_VERBOSE = "Show the messages of the engine as it starts."
VerboseOption = Annotated[bool, flag("--verbose", _VERBOSE, envvar="RNNLAB_VERBOSE", callback=_verbose)]
JsonOption = Annotated[bool, flag("--json", "Print one JSON object on stdout, everything else on stderr.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show only errors and the result.")]
Format = Literal["table", "json", "csv", "markdown", "latex"]


def whole_number_to(most: int) -> Callable[[str | int], int]:
    """Return a parser of a whole number from 1 to `most`, written as in a config: Python also accepts 1_000 and ٣."""

    def parse(given: str | int) -> int:
        text = str(given)  # Typer parses a default too
        if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
            raise typer.BadParameter(f"got {text[:60]!r}, expected a whole number of at least 1")
        if (number := int(text)) > most:
            raise typer.BadParameter(f"{number:,} is more than {most:,}")
        return number

    return parse


whole_number = whole_number_to(10**18 - 1)

_WORKERS: Any = {"metavar": "N", "help": "Worker processes.", "show_default": "one per available processor"}
WorkersOption = Annotated[int | None, typer.Option("--workers", "-j", parser=whole_number_to(999_999), **_WORKERS)]
