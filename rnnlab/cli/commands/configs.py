"""List the configs that come with rnnlab, or print one of them.

Every command that takes a CONFIG also takes their names: `rnnlab train quickstart`. To change one, save it:
`rnnlab configs quickstart > my.yaml`; or write `extends: quickstart` in a config of your own.
"""

import re
from pathlib import Path
from typing import Annotated, Any

from rnnlab.cli.options import JsonOption, argument, offering
from rnnlab.cli.render.card import facts
from rnnlab.cli.render.output import show, show_json, show_text
from rnnlab.config.reading import read_document
from rnnlab.config.shipped import shipped_configs
from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest


def command(
    name: Annotated[str | None, argument("NAME", "A shipped config: quickstart.", offering(shipped_configs))] = None,
    json: JsonOption = False,
) -> None:
    known = shipped_configs()
    if name is not None and name not in known:
        raise UsageError(f"there is no shipped config {name[:60]!r}", hint=nearest(name, known))
    if json:
        chosen = known if name is None else {name: known[name]}
        show_json("configs", {"configs": [{"name": one, **described(path)} for one, path in chosen.items()]})
    elif name is not None:
        # The schema for editors is beside the original only; `rnnlab init` writes one.
        show_text(known[name].read_text(encoding="utf-8").partition("\n")[2])
    else:
        show(facts([(one, _line(described(path))) for one, path in known.items()]))
        about = (
            "Times are for one core, of sweeps for two. `rnnlab train NAME` trains it, `rnnlab configs NAME` shows it."
        )
        show("", about)


def described(path: Path) -> dict[str, Any]:
    """Return what a shipped config shows, its task, its cells, its rough time, and where it is."""
    data, text = read_document(path).data, path.read_text(encoding="utf-8")
    axes = data.get("sweep", {}).get("axes", {})
    task, cell = (data[key] if isinstance(data[key], str) else data[key]["type"] for key in ("task", "cell"))
    _, comment, *_ = text.splitlines()
    time = re.search(r"^# Time: about (.+?)\.$", text, re.MULTILINE)
    return {
        "shows": comment.removeprefix("# ").removesuffix("."),
        "task": task,
        "cells": axes.get("cell.type", [cell]),
        "time": time[1] if time else None,
        "is_sweep": bool(axes),
        "path": path,
    }


def _line(config: dict[str, Any]) -> str:
    kind = "a sweep, " if config["is_sweep"] else ""
    return f"{config['shows']}\n{kind}{config['task']}, {', '.join(config['cells'])}, about {config['time']}"
