"""The reference pages, written from the code: what is not described there is not described here."""

from collections.abc import Callable
from pathlib import Path

from generator import commands, config, members, python, stored

PAGES: dict[str, Callable[[], str]] = {
    "config": config.page,
    "commands": commands.page,
    "exit_codes": stored.exit_codes,
    "json": stored.json_formats,
    "run_folder": stored.run_folder,
    "tasks": members.tasks,
    "cells": members.cells,
    "training_rules": members.rules,
    "python": python.python,
    "contracts": python.contracts,
    "keras_layers": python.keras_layers,
}


def write_reference(folder: Path) -> None:
    """Write every page into `folder`; one without changes keeps its time, so that Sphinx does not read it again."""
    folder.mkdir(exist_ok=True)
    for name, text_of in PAGES.items():
        path, text = folder / f"{name}.md", text_of()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
