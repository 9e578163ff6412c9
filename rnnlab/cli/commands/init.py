"""Write a first config, a sweep and a Slurm script to FOLDER.

Nothing is overwritten. With the schema that is written too, an editor completes and checks the configs.
"""

from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from rnnlab.cli.render.card import facts
from rnnlab.cli.render.output import as_json, show
from rnnlab.config.experiment import config_schema
from rnnlab.config.shipped import shipped_configs
from rnnlab.core.errors import UsageError
from rnnlab.core.named_files import home_expanded
from rnnlab.storage.files import create_whole, ensure_folder

_SLURM = """\
#!/bin/bash
# Train all trials of sweep.yaml on a Slurm cluster: `bash slurm.sh`. To see the jobs first: `bash slurm.sh --dry-run`.
# A trial that reaches the time limit is saved, requeued and resumed. `rnnlab sweep status sweep` shows all of them, and
# the same command submits those that are missing or failed. Your cluster may need --partition and --account too.
rnnlab sweep sweep.yaml --slurm --time 0:30:00 --mem 1G --array-limit 20 "$@"
"""
_ELSEWHERE = "give another folder: `rnnlab init FOLDER`"
_NEXT = [
    ("rnnlab train first.yaml", "a first network, in some seconds"),
    ("rnnlab show latest", "its result and its curve"),
    ("rnnlab sweep sweep.yaml", "many networks, in about a minute"),
    ("rnnlab compare sweep", "which settings solve the task"),
    ("rnnlab report sweep", f"all that in an HTML file{'' if find_spec('jinja2') else '; needs rnnlab[plots]'}"),
]


def command(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Where to, created if missing; this folder when left out.", parser=home_expanded
        ),
    ] = Path(),
) -> None:
    files = starter_files()
    for name in files:
        if (path := folder / name).exists() or path.is_symlink():
            raise UsageError("already exists", where=str(path), hint="give another folder: `rnnlab init FOLDER`")
    ensure_folder(folder, elsewhere=_ELSEWHERE)
    for name, text in files.items():
        try:
            create_whole(folder / name, text.encode(), elsewhere=_ELSEWHERE)
        except FileExistsError:
            raise UsageError("was created by another program just now", where=str(folder / name)) from None
    show(f"{folder}: wrote {', '.join(files)}", "", "next:")
    start = "./" if str(folder).startswith("-") else ""  # or it is an option of cd
    enter = [] if folder == Path() else [(f"cd {quote(f'{start}{folder}')}", "")]
    show(facts([(f"  {line}", about or " ") for line, about in enter + _NEXT]))


def starter_files() -> dict[str, str]:
    """Return the text of each file by name: two shipped configs with names of their own, the schema, the script."""
    configs = {name: shipped_configs()[name].read_text(encoding="utf-8") for name in ("quickstart", "first_sweep")}
    return {
        "first.yaml": configs["quickstart"].replace("name: quickstart", "name: first"),
        "sweep.yaml": configs["first_sweep"]
        .replace("extends: quickstart", "extends: first.yaml")
        .replace("first-sweep", "sweep"),
        "slurm.sh": _SLURM,
        "schema.json": as_json(None, config_schema()),
    }
