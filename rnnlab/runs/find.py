"""Finding runs: by path, by any part of the name that fits only one, or `latest`. Nothing is ever written here."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

from rnnlab.core.errors import RnnlabError, RunNotFoundError, UsageError
from rnnlab.runs.run import Run
from rnnlab.storage.folder import RunFolder
from rnnlab.storage.naming import FOLDER_NAME
from rnnlab.storage.reading import kind
from rnnlab.storage.system_errors import system_error

_SHOWN = 10  # candidates in a message


def runs_root(flag: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the runs: the flag, else the variable RNNLAB_RUNS, else `runs` here.

    Example:
        >>> str(runs_root(None, {"RNNLAB_RUNS": "/data/runs"})), str(runs_root(Path("x"), {})), str(runs_root(None, {}))
        ('/data/runs', 'x', 'runs')
    """
    return flag or Path(environment.get("RNNLAB_RUNS") or "runs")


def find_run(root: Path, text: str) -> Run:
    """Return the one run that `text` names: a path, a name or any part of one, or `latest`.

    Raises:
        UsageError: `text` is empty.
        RunNotFoundError: No run fits, or several do; the message lists up to ten.
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
    fitting = [name for name in fitting if _has_status(root / name)]
    if not fitting:
        raise _unknown(root, text, names)
    if len(fitting) > 1:
        raise _ambiguous(root, text, fitting)
    return RunFolder.open(root / fitting[0])


def run_names(root: Path) -> list[str]:
    """Return the names of the real folders in `root`, runs or not, in order.

    Raises:
        RunNotFoundError: `root` is not a folder.
        EnvironmentFault: It cannot be read.
    """
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        raise _no_runs(root) from None
    except OSError as fault:
        raise system_error("list the runs", root, fault) from fault


def _has_status(path: Path) -> bool:
    return kind(path / "status.json") == "file"


def _latest(root: Path) -> RunFolder:
    names = run_names(root)
    # A folder the user renamed has no date to compare, so it comes last.
    for name in sorted(names, key=lambda name: (bool(FOLDER_NAME.fullmatch(name)), name), reverse=True):
        try:
            run = RunFolder.open(root / name)
            run.read_status()
        except RnnlabError:
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
        return Path(text).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as fault:
        problem = f"there is no run '{text[:200]}'"
        raise RunNotFoundError(problem, hint="`rnnlab list` shows the runs") from fault


def _ambiguous(root: Path, text: str, fitting: list[str]) -> RunNotFoundError:
    listed = ", ".join(fitting[-_SHOWN:])
    more = f"; the latest {_SHOWN}: {listed}" if len(fitting) > _SHOWN else f": {listed}"
    return RunNotFoundError(
        f"'{text}' fits {len(fitting)} runs{more}", where=str(root), hint="give more of the name, or latest"
    )


def _unknown(root: Path, text: str, names: list[str]) -> RunNotFoundError:
    close = _nearest(text, names)
    hint = f"did you mean '{close}'? `rnnlab list` shows the runs" if close else "`rnnlab list` shows the runs"
    return RunNotFoundError(f"no run has a name with '{text[:200]}'", where=str(root), hint=hint)


def _nearest(text: str, names: list[str]) -> str:
    """Return the run name (as the user gave it) or folder name that is most like `text`, "" if none is."""
    matches = [FOLDER_NAME.fullmatch(name) for name in names]
    labels = dict.fromkeys(match["name"] if match else name for match, name in zip(matches, names, strict=True))
    close = difflib.get_close_matches(text[:200], [*labels, *names[-100:]], n=1)
    return close[0] if close else ""
