"""Finding runs: one by its path or any part of its name, all of a folder, or many at once. No run is changed."""

import difflib
import gc
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from rnnlab.core.arguments import got
from rnnlab.core.errors import RnnlabError, RunNotFoundError, UsageError
from rnnlab.core.named_files import home_expanded
from rnnlab.core.system_errors import system_error
from rnnlab.runs.index import WORTH, Index
from rnnlab.runs.run import Run
from rnnlab.storage.folder import RunFolder
from rnnlab.storage.reading import kind
from rnnlab.storage.status import FOLDER_NAME, label_of

_SHOWN = 10  # candidates in a message
_LONGEST = 300  # characters of the message of a bug
_ALL_RUNS = "`rnnlab list` shows the runs"


def runs_root(flag: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the runs: the flag, else the variable RNNLAB_RUNS, else `runs` here.

    Example:
        >>> str(runs_root(None, {"RNNLAB_RUNS": "/data/runs"})), str(runs_root(Path("x"), {})), str(runs_root(None, {}))
        ('/data/runs', 'x', 'runs')
    """
    return home_expanded(flag or environment.get("RNNLAB_RUNS") or "runs")


def open_run(run: Run | str | Path, *, runs: str | Path | None = None) -> Run:
    """Return a run by its path, any unique part of its name, or `latest`; a run itself is returned as it is.

    Args:
        run: The run.
        runs: The folder of the runs; left out, `RNNLAB_RUNS` or `runs` here.

    Raises:
        RunNotFoundError: No run, or several, match; or the folder of a run itself is no longer there.
        UsageError: `run` is none of these.
    """
    if isinstance(run, Run):
        if kind(run.path, follow=True) != "folder":
            raise RunNotFoundError("the run's folder is no longer there", where=str(run.path), hint=_ALL_RUNS)
        return run
    if not isinstance(run, str | Path):
        raise UsageError(f"got {got(run)}, expected a run, its path or a part of its name")
    return find_run(runs_root(Path(runs) if runs is not None else None), str(run))


def find_run(root: Path, text: str) -> Run:
    """Return the run that `text` names: a path, a name or any part of one, or `latest`.

    Of several runs that the user gave this very name, the newest is meant.

    Raises:
        UsageError: `text` is empty.
        RunNotFoundError: No run fits, or several of other names do; the message lists up to ten.
        VerificationError: The run that fits has a damaged `status.json`.
    """
    if not text:
        raise UsageError("the name of the run is empty", hint="give a path, a part of a name, or latest")
    if text == "latest":
        return Run(_latest(root))
    if text in {".", ".."} or os.sep in text:
        return Run(RunFolder.open(_resolved(text)))
    return Run(_here(text) or _named(root, text))


def _named(root: Path, text: str) -> RunFolder:
    names = run_names(root)
    fitting = [text] if text in names else [name for name in names if text in name]
    fitting = [name for name in fitting if kind(root / name / "status.json") == "file"]
    same = [name for name in fitting if label_of(name) == text]  # a folder's name begins with the time
    if len(fitting) == 1 or same:
        return RunFolder.open(root / (same or fitting)[-1])
    if fitting:
        first = f"; the latest {_SHOWN}" if len(fitting) > _SHOWN else ""
        problem = f"'{text}' fits {len(fitting)} runs{first}: {', '.join(fitting[-_SHOWN:])}"
        raise RunNotFoundError(problem, where=str(root), hint="give more of the name, or latest")
    # The names that the user gave, and the newest folders.
    known = dict.fromkeys([*map(label_of, names), *names[-100:]])
    close = difflib.get_close_matches(text[:200], known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    for folder in (root / text, Path(text)):
        with suppress(OSError, ValueError):  # what cannot be a path is no folder
            if (folder / "plan.json").is_file():
                hint = f"`rnnlab list {text}` shows its runs"
                raise RunNotFoundError(f"'{text}' is a sweep, expected one run", hint=hint)
            if folder.is_dir():
                raise RunNotFoundError("is not a run: it has no status.json", where=str(folder), hint=_ALL_RUNS)
    problem = f"no run has a name with '{text[:200]}'"
    raise RunNotFoundError(problem, where=str(root), hint=f"{hint}{_ALL_RUNS}")


def run_names(root: Path) -> list[str]:
    """Return the names of the folders in `root`, and of links to folders, runs or not, in order.

    Raises:
        RunNotFoundError: `root` is not a folder.
        EnvironmentFault: It cannot be read.
    """
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if _is_folder(entry))
    except (FileNotFoundError, NotADirectoryError):
        raise _no_runs(root) from None
    except OSError as fault:
        raise system_error("list the runs", root, fault) from fault


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere
        return False


def sweep_path(root: Path, text: str) -> Path:
    """Return the folder of the sweep that `text` names: its path, or its name in `root`.

    Raises:
        RunNotFoundError: There is no such sweep.
    """
    for folder in (Path(), root) if text else ():
        with suppress(RnnlabError, ValueError):  # what cannot be a path is no sweep
            path = folder / home_expanded(text)
            if kind(path, follow=True) == "folder" and kind(path / "plan.json") == "file":
                return path
    hint = "`rnnlab sweep CONFIG` makes one; a sweep is given by its path, or by its name below the runs"
    raise RunNotFoundError(f"there is no sweep '{text[:200]}'", where=str(root), hint=hint)


def _latest(root: Path) -> RunFolder:
    names = run_names(root)
    # A folder the user renamed has no date to compare, so it comes last.
    for name in sorted(names, key=lambda name: (bool(FOLDER_NAME.fullmatch(name)), name), reverse=True):
        try:
            run = RunFolder.open(root / name)
            run.read_status()
        except Exception:  # noqa: S112  # see `damaged`
            continue
        return run
    raise _no_runs(root)


def _no_runs(root: Path) -> RunNotFoundError:
    return RunNotFoundError("there are no runs here", where=str(root), hint="start one with `rnnlab train CONFIG`")


def _here(text: str) -> RunFolder | None:
    """Return the run in the current folder that is called `text`, if there is one."""
    try:
        return RunFolder.open(_resolved(text))
    except RunNotFoundError:
        return None


def _resolved(text: str) -> Path:
    try:
        return home_expanded(text).resolve(strict=True)
    except (OSError, ValueError, RuntimeError, UsageError) as fault:
        problem = f"there is no run '{text[:200]}'"
        raise RunNotFoundError(problem, hint=_ALL_RUNS) from fault


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
        except Exception as fault:  # see `damaged`
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
    except Exception as fault:  # see `damaged`
        return damaged(folder, fault)
    return run


def damaged(folder: RunFolder, fault: Exception) -> Damaged:
    """Return the entry of a run that cannot be read, for whatever reason: one run must not hide all others.

    An error that is none of ours is a bug, but of the reading of this run only.
    """
    if not isinstance(fault, RnnlabError):
        return Damaged(folder.name, f"a bug in rnnlab: {type(fault).__name__}: {fault}"[:_LONGEST], folder.path)
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
