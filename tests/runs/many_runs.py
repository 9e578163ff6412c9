"""A folder of many runs, and what is read of it with and without its index."""

from pathlib import Path
from typing import Any

from rnnlab.core.errors import VerificationError
from rnnlab.runs import index
from rnnlab.runs.columns import row, value_of
from rnnlab.runs.find import read_runs
from rnnlab.runs.run import Run

COUNT = 2 * index.WORTH + 1


def path_of(root: Path, n: int) -> Path:
    return root / f"20261122T102531Z-run-{n:06}"


def contents(root: Path) -> Any:
    """Return all there is to know of the runs; the texts are there for the order of the keys."""
    table = read_runs(root)
    values = [{**row(run), "age": None} for run in table.runs]
    return [(one, str(one), str(_config(run))) for one, run in zip(values, table.runs, strict=True)], table.damaged


def _config(run: Run) -> Any:
    try:
        return run.config
    except VerificationError as fault:
        return str(fault)


def remember(root: Path) -> None:
    table = read_runs(root)
    for run in table.runs:
        row(run), value_of(run, "cell.units")
    table.save_index()


def without_index(root: Path) -> Any:
    (root / ".index").unlink(missing_ok=True)
    return contents(root)
