"""The runs of a folder as a data frame, for notebooks."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rnnlab.core.errors import EnvironmentFault
from rnnlab.runs.columns import row
from rnnlab.runs.find import runs_root
from rnnlab.runs.many import read_runs
from rnnlab.runs.run import Run


def table(root: str | Path | None = None) -> Any:
    """Return a frame of pandas, or of polars where only that is installed, with one row per run, the oldest first.

    The columns are those of `rnnlab list --json`, final metrics as `metrics.NAME`, then the complete config as
    `config.KEY` with dotted keys; a list is one value, and what a run does not have is missing.

    Args:
        root: The folder of the runs; `RNNLAB_RUNS`, or `runs` here, when left out.

    Raises:
        RunNotFoundError: There is no such folder.
        EnvironmentFault: Neither library is installed.
    """
    library = next((name for name in ("pandas", "polars") if find_spec(name)), "")
    if not library:
        raise EnvironmentFault("a frame needs pandas or polars", hint="pip install 'rnnlab[pandas]'")
    found = read_runs(runs_root(Path(root) if root is not None else None))
    rows = [_row(run) for run in found.runs]
    found.save_index()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    data = {column: [row.get(column) for row in rows] for column in columns}
    if library == "pandas":
        import pandas as pd

        return pd.DataFrame(data, columns=columns)
    import polars as pl

    return pl.DataFrame(data, strict=False)


def _row(run: Run) -> dict[str, Any]:
    values = row(run)
    metrics = {f"metrics.{name}": value for name, value in values.pop("metrics").items()}
    return values | metrics | {f"config.{key}": value for key, value in run.config.items()}
