"""The reference pages, written from the code: what is not described there is not described here."""

from collections.abc import Callable
from pathlib import Path

PAGES: dict[str, Callable[[], str]] = {
    "config": lambda: "# Config keys\n",
    "commands": lambda: "# Commands\n",
    "exit_codes": lambda: "# Exit codes\n",
    "json": lambda: "# JSON formats\n",
    "run_folder": lambda: "# The run folder\n",
    "tasks": lambda: "# Tasks\n",
    "cells": lambda: "# Cells\n",
    "training_rules": lambda: "# Optimisers, schedules and initialisers\n",
    "python": lambda: "# The Python API\n",
    "keras_layer": lambda: "# The Keras layers\n",
}


def write_reference(folder: Path) -> None:
    """Write every page into `folder`; one without changes keeps its time, so that Sphinx does not read it."""
    folder.mkdir(exist_ok=True)
    for name, text_of in PAGES.items():
        path, text = folder / f"{name}.md", text_of()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
