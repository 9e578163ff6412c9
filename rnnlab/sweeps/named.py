"""The runs that names mean: runs, sweeps, whole folders of runs."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rnnlab.core.errors import RnnlabError, RunNotFoundError, UsageError, VerificationError
from rnnlab.core.named_files import home_expanded
from rnnlab.core.text import counted
from rnnlab.runs.find import Damaged, find_run, run_names
from rnnlab.runs.run import Run
from rnnlab.storage import RunFolder
from rnnlab.sweeps.folder import trials_of

Find = Callable[[Path, str], Run]


def runs_named(
    root: Path, names: Sequence[str], *, fewest: int = 2, find: Find = find_run
) -> list[RunFolder | Damaged]:
    """Return the runs that some names mean, in order: a run, or all of a sweep or of a folder.

    Args:
        root: The folder of the runs.
        names: Paths, or parts of names below `root`.
        fewest: How many runs are needed.
        find: Finds one run.

    Raises:
        RunNotFoundError: A name means none, or several.
        UsageError: They are too few.
    """
    found = [run for name in names for run in _meant(root, name, find)]
    if len(found) < fewest:
        problem = f"expected at least {counted(fewest, 'run')}, got {len(found)}"
        raise UsageError(problem, hint="`rnnlab list` shows the runs")
    return found


def _meant(root: Path, name: str, find: Find) -> list[RunFolder | Damaged]:
    if (trials := trials_of(root, name)) is not None:
        return [*trials]
    try:
        return [find(root, name).folder]
    except VerificationError as fault:
        return [Damaged(name, f"{fault.where}: {fault.problem}")]
    except RunNotFoundError:
        inside = _inside(name) if name else []
        if not inside:
            raise
        return [*inside]


def _inside(name: str) -> list[RunFolder]:
    """Return the runs in a folder."""
    try:
        folder = home_expanded(name)
        found = [RunFolder(folder / name) for name in run_names(folder)]
    except RnnlabError:
        return []
    return [run for run in found if run.is_run()]
