"""A folder of many runs, and what is told of it with and without its index."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from rnnlab.runs import index
from rnnlab.runs.choosing import choose
from rnnlab.runs.filter import parse
from rnnlab.runs.rows import read_table
from tests.stored_runs import START

NOW = START + timedelta(hours=1)
COUNT = 2 * index.WORTH + 1


def path_of(root: Path, n: int) -> Path:
    return root / f"20261122T102531Z-run-{n:06}"


def told(root: Path) -> Any:
    """Return all there is to know; the texts are there for the order of the keys."""
    table = read_table(root, now=NOW)
    return [(row.values, str(row.values), str(row.config)) for row in table.rows], table.broken


def remember(root: Path) -> None:
    table = read_table(root, now=NOW)
    choose(table.rows, [parse("cell.units=16")])
    table.remember()


def without_index(root: Path) -> Any:
    for path in root.glob(".index.*"):
        path.unlink()
    return told(root)
