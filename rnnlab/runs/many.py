"""All runs of a folder, and many runs at once: each a `Run`, most of them from the index without opening a file."""

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from rnnlab.core.errors import EnvironmentFault, RnnlabError, RunNotFoundError, VerificationError
from rnnlab.runs.find import run_names
from rnnlab.runs.index import WORTH, Index
from rnnlab.runs.run import Run
from rnnlab.storage.folder import RunFolder
from rnnlab.storage.naming import FOLDER_NAME


@final
@dataclass(frozen=True)
class Damaged:
    """A run that cannot be read.

    Attributes:
        name: The folder's name, or what the user gave.
        reason: Why not: the file, and what is wrong with it.
        path: The folder, where there is one.
    """

    name: str
    reason: str
    path: Path | None = field(default=None, compare=False)


@final
@dataclass(frozen=True)
class RunTable:
    """The runs of a folder.

    Attributes:
        runs: Those that can be read, oldest first.
        damaged: Those that cannot.
        index: What is remembered of them.
    """

    runs: list[Run]
    damaged: list[Damaged]
    index: Index

    def save_index(self) -> None:
        """Remember what was read, for the next time; where that cannot be, do nothing."""
        self.index.save({run.folder.name for run in self.runs} | {one.name for one in self.damaged})


def read_runs(root: Path) -> RunTable:
    """Return all runs in `root`; other folders and files are ignored, and nothing is written.

    Raises:
        RunNotFoundError: `root` is not a folder.
        EnvironmentFault: It cannot be read.
    """
    table = RunTable([], [], Index(root))
    for name in run_names(root):
        run = Run(RunFolder(root / name), index=table.index)
        try:
            if not run.is_remembered:
                RunFolder.open(run.path)
                _ = run.state, run.stored_summary
            table.runs.append(run)
        except RnnlabError as fault:
            # A folder named like a run but without a status died in its first moment; any other is not ours.
            if FOLDER_NAME.fullmatch(name) or not isinstance(fault, RunNotFoundError):
                table.damaged.append(damaged(run.folder, fault))
    return table


def read_some(folders: Sequence[RunFolder | Damaged]) -> list[Run | Damaged]:
    """Return each run, or why it cannot be read, in the order given.

    Of a few runs the training record is read too; of many, only the results and configs, most of them from an index:
    a damaged record then counts as empty, and is reported by `rnnlab doctor`.
    """
    parents = Counter(one.path.parent for one in folders if isinstance(one, RunFolder))
    indexes = {root: Index(root) for root, runs in parents.items() if runs >= WORTH}
    found = [one if isinstance(one, Damaged) else _checked(one, indexes.get(one.path.parent)) for one in folders]
    for root, index in indexes.items():
        index.save(set(run_names(root)))
    return found


def _checked(folder: RunFolder, index: Index | None) -> Run | Damaged:
    run = Run(folder, index=index)
    try:
        _ = run.state, run.summary, run.config
        if index is None or not run.has_ended:
            _ = run.records
    except (VerificationError, EnvironmentFault) as fault:
        return damaged(folder, fault)
    return run


def damaged(folder: RunFolder, fault: RnnlabError) -> Damaged:
    """Return the entry of a run that cannot be read."""
    where = fault.where.removeprefix(str(folder.path)).lstrip("/")
    return Damaged(folder.name, f"{where}: {fault.problem}" if where else fault.problem, folder.path)


@contextmanager
def no_collection() -> Iterator[None]:
    """Collect no garbage in the block: for a list of 10,000 runs that would take a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
