"""Optuna's side of a search: its study, kept in a file, and what it is asked for."""

import json
import warnings
from pathlib import Path
from typing import Any

from rnnlab.config.sweep import Range, SweepOptions
from rnnlab.core.errors import EnvironmentFault, VerificationError
from rnnlab.core.text import visible
from rnnlab.storage.files import write_atomic
from rnnlab.storage.reading import kind, read_bytes
from rnnlab.sweeps.axes import exact, is_whole
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.plan import Plan

_LARGEST = 1 << 30  # bytes


def require_optuna() -> None:
    """Pass if combinations can be proposed.

    Raises:
        EnvironmentFault: Optuna is not installed.
    """
    optuna_itself()


def optuna_itself() -> Any:
    """Return the package, quiet.

    Raises:
        EnvironmentFault: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        problem = "method: tpe needs the package optuna"
        raise EnvironmentFault(problem, hint="pip install 'rnnlab[optuna]', or method: random") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def open_study(sweep: SweepFolder, plan: Plan) -> Any:
    """Return Optuna's study, new or as it was left.

    Raises:
        VerificationError: Its record is damaged.
    """
    optuna, path = optuna_itself(), sweep.study / "journal.log"
    _cut_half_a_line(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's notes on what it may change
        try:
            # Its own lock outlives a process that is killed; ours, which does not, keeps all others out.
            backend = optuna.storages.journal.JournalFileBackend(str(path), lock_obj=_NoLock())
            return optuna.create_study(
                storage=optuna.storages.JournalStorage(backend),
                study_name=plan.name,
                direction=plan.metric.goal,
                load_if_exists=True,
                pruner=_pruner(plan.search.pruner if plan.search else None),
            )
        except (ValueError, KeyError) as fault:
            hint = "bring it back from a copy, or begin a new sweep with --into DIR; the runs are as they were"
            raise VerificationError(f"is damaged: {fault}", where=visible(str(path)), hint=hint) from fault


def _pruner(name: str | None) -> Any:
    pruners = optuna_itself().pruners
    return {None: pruners.NopPruner, "median": pruners.MedianPruner, "hyperband": pruners.HyperbandPruner}[name]()


class _NoLock:
    """What Optuna takes for a lock."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _cut_half_a_line(path: Path) -> None:
    """Cut off what a killed process left of its last line."""
    if kind(path) != "file":
        return
    data = read_bytes(path, _LARGEST)
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        write_atomic(path, whole)


def suggest_number(asked: Any, name: str, axis: Range) -> int | float:
    """Return a number of an open range, as the study proposes it."""
    log = axis.scale == "log"
    if is_whole(axis):
        return int(asked.suggest_int(name, int(axis.from_), int(axis.to), log=log))
    return exact(axis, float(asked.suggest_float(name, axis.from_, axis.to, log=log)), digits=6)


def suggest_place(asked: Any, name: str, count: int, *, ordered: bool) -> int:
    """Return a place in a list, or in a range, whose places have an order."""
    if ordered:  # on the axis' own scale its values are evenly spaced
        return int(asked.suggest_int(name, 0, count - 1))
    return int(asked.suggest_categorical(name, list(range(count))))


def bounds(options: SweepOptions) -> str:
    """Return what is proposed from, in words."""
    told = []
    for key, axis in options.axes.items():
        if isinstance(axis, Range):
            told.append(f"{key} from {axis.from_} to {axis.to}{' (log)' if axis.scale == 'log' else ''}")
        else:
            told.append(f"{key} of {json.dumps(axis)}")
    return "; ".join(told)
