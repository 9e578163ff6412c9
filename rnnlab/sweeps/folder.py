"""The folder of a sweep: one class with all its file names.

    sweep.yaml             the config as given, byte for byte
    plan.json              the trials (see `plan`); the folder is a sweep once this file exists
    configs/<trial>.yaml   the complete config of each trial, which `rnnlab train` takes
    trials/<trial>/        its run folder, as `rnnlab train configs/<trial>.yaml --into trials/<trial>` makes it
    failures/<trial>.json  why a trial ended that its run folder does not explain: killed, timed out, pruned
    study/                 method tpe: Optuna's record (see `search`)
    cancel.json            the last request that the processes which train these trials stop
    slurm/                 scripts, records and logs of jobs

No file contains a path of another, so a sweep may be moved.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, final

from rnnlab.config.yaml import dump_yaml
from rnnlab.core.errors import RunLockedError, RunNotFoundError, UsageError, VerificationError
from rnnlab.core.options import check_name
from rnnlab.core.system_errors import reported
from rnnlab.runs.find import sweep_path
from rnnlab.storage import RunFolder, disk
from rnnlab.storage.fields import storable
from rnnlab.storage.files import ensure_folder, is_leftover, nearest_folder, probe, write_atomic
from rnnlab.storage.holder import Pause, wait_a_moment
from rnnlab.storage.jsonfile import LIMIT, read_model, sealed, write_json
from rnnlab.storage.lock import acquire
from rnnlab.storage.reading import kind
from rnnlab.sweeps.growth import grow
from rnnlab.sweeps.plan import CheckedSweep, Plan, Trial
from rnnlab.sweeps.records import CancelRequest, Failure

if TYPE_CHECKING:
    from rnnlab.config.experiment import Experiment

_FOLDERS = ("configs", "trials", "failures", "study", "slurm")
_PARTS = ("sweep.yaml", "configs", "study")  # written before plan.json


@final
@dataclass(frozen=True)
class SweepFolder:
    """The folder of a sweep; `create` makes one, `find_sweep` finds one.

    Reading raises `VerificationError` where a file is missing or invalid; reading and writing raise `EnvironmentFault`
    on a system error.

    Args:
        path: The folder.
    """

    path: Path

    @classmethod
    def create(cls, path: Path, checked: CheckedSweep) -> Self:
        """Make the sweep at `path`; one that is there gets the trials that it lacks. Several processes may do so.

        Raises:
            UsageError: The folder has a sweep with other trials, or other files.
            RunLockedError: Another process changes the sweep.
            EnvironmentFault: It takes no files; nothing was made.
        """
        check_name(path.absolute().name)
        sweep, plan = cls(path), checked.plan
        sweep.require_folders()
        if not sweep.is_sweep():
            probe(nearest_folder(path))
            data = _encoded(plan)
            sweep._require_empty()
            write_atomic(path / "sweep.yaml", checked.config)
            for trial in plan.trials:
                sweep.write_config(trial, checked.experiments[trial.name])
            write_atomic(path / "plan.json", data)
        elif not sweep.read_plan().same_as(plan):
            sweep._grow(checked)
        return sweep

    def is_sweep(self) -> bool:
        """Return whether this folder is a sweep."""
        return kind(self.path, follow=True) == "folder" and kind(self.path / "plan.json") == "file"

    def require_folders(self) -> None:
        """Pass if no folder of the sweep leads out of it.

        Raises:
            VerificationError: A link or a file has the name of one.
        """
        for name in _FOLDERS:
            if kind(self.path / name) not in {"missing", "folder"}:
                problem = "is not a folder of this sweep (a link, or a file)"
                raise VerificationError(problem, where=str(self.path / name))

    def read_plan(self) -> Plan:
        """Return the plan."""
        return read_model(self.path / "plan.json", Plan, what="the plan of a sweep of this version of rnnlab")

    def write_plan(self, plan: Plan) -> None:
        """Store the plan, which gets longer in a search.

        Raises:
            UsageError: It is larger than any that is read again.
        """
        write_atomic(self.path / "plan.json", _encoded(plan))

    def config(self, trial: Trial) -> Path:
        """Return the config file of a trial."""
        return self.path / "configs" / f"{trial.name}.yaml"

    def write_config(self, trial: Trial, experiment: "Experiment") -> None:
        """Store the config of a trial."""
        ensure_folder(self.path / "configs")
        write_atomic(self.config(trial), dump_yaml(experiment.resolved(self.path / "configs")).encode())

    def run(self, trial: Trial) -> RunFolder:
        """Return the run of a trial, which need not exist."""
        return RunFolder(self.trials / trial.name)

    @property
    def trials(self) -> Path:
        """The folder of the runs; it need not exist."""
        return self.path / "trials"

    @property
    def slurm(self) -> Path:
        """The folder for scripts, records and logs of jobs; it need not exist."""
        return self.path / "slurm"

    @property
    def study(self) -> Path:
        """The folder of a search; it need not exist."""
        return self.path / "study"

    def write_failure(self, plan: Plan, trial: Trial, reason: str, *, pruned: bool = False) -> None:
        """Store why a trial ended; one that was pruned is not trained again."""
        ensure_folder(self.path / "failures")
        failure = Failure(sweep=plan.id, trial=trial.name, reason=storable(reason), pruned=pruned)
        write_json(self._failure(trial), failure.model_dump(mode="json"))

    def read_failures(self, plan: Plan) -> dict[str, Failure | VerificationError]:
        """Return the stored failures, and in place of a damaged one why it is, by the name of the trial."""
        folder = self.path / "failures"
        if kind(folder) == "missing":
            return {}
        with reported("look at", folder):
            names = {path.name for path in folder.iterdir()}
        stored = [trial for trial in plan.trials if self._failure(trial).name in names]
        return {trial.name: self._read_failure(plan, trial) for trial in stored}

    def _read_failure(self, plan: Plan, trial: Trial) -> Failure | VerificationError:
        path = self._failure(trial)
        try:
            failure = read_model(path, Failure, what="why a trial of a sweep failed")
        except VerificationError as fault:
            return fault
        if (failure.sweep, failure.trial) != (plan.id, trial.name):
            return VerificationError("is of another sweep or trial", where=str(path), hint="delete it")
        return failure

    def delete_failure(self, trial: Trial) -> None:
        """Delete the stored failure of a trial that is trained again."""
        with reported("delete", self._failure(trial)), suppress(FileNotFoundError):
            disk.unlink(self._failure(trial))

    def _failure(self, trial: Trial) -> Path:
        return self.path / "failures" / f"{trial.name}.json"

    def request_cancel(self) -> None:
        """Request that the processes which train these trials stop."""
        request = CancelRequest.now(self.read_plan().id)
        write_json(self.path / "cancel.json", request.model_dump(mode="json"))

    def cancel_request(self, plan: Plan) -> str:
        """Return what identifies the last request to stop: empty if there was none, "damaged" if it cannot be read."""
        path = self.path / "cancel.json"
        if kind(path) == "missing":
            return ""
        try:
            request = read_model(path, CancelRequest, what="a request to stop a sweep")
        except VerificationError:
            return "damaged"
        return request.token if request.sweep == plan.id else ""

    def _grow(self, checked: CheckedSweep) -> None:
        """Add what the sweep lacks; the plan is written last, so that a process that is killed has changed nothing."""
        with locked(self.study if self.read_plan().is_search else self.path / "configs", "changed"):
            try:
                growth = grow(self.read_plan(), checked.plan)
            except UsageError as error:
                problem = f"already has another sweep: {error.problem}"
                hint = "choose another folder with --into DIR, or resume the one there: `rnnlab sweep resume SWEEP`"
                raise UsageError(problem, where=str(self.path), hint=hint) from None
            for trial, name in growth.added:
                experiment = checked.experiments[name].model_copy(update={"name": trial.name})
                self.write_config(trial, experiment)
            data = _encoded(growth.plan)
            write_atomic(self.path / "sweep.yaml", checked.config)
            write_atomic(self.path / "plan.json", data)

    def _require_empty(self) -> None:
        ensure_folder(self.path)
        with reported("look at", self.path):
            names = sorted(path.name for path in self.path.iterdir())
        if others := [name for name in names if name not in _PARTS and not is_leftover(name)]:
            listed = ", ".join(others[:3]) + ("…" if len(others) > 3 else "")
            problem = f"is not a sweep, and not empty: it contains {listed}"
            raise UsageError(problem, where=str(self.path), hint="choose another folder with --into DIR")


@contextmanager
def locked(folder: Path, activity: str, *, pause: Pause = wait_a_moment) -> Iterator[None]:
    """Make a folder if it is missing, and keep other processes from an activity in it, such as "searched".

    Args:
        folder: The folder.
        activity: What for, in the error.
        pause: See `acquire`.

    Raises:
        RunLockedError: Another process does it.
    """
    ensure_folder(folder)
    try:
        lock = acquire(folder, pause=pause)
    except RunLockedError as error:
        problem = error.problem.replace("trained", activity)
        raise RunLockedError(problem, where=str(folder.parent), hint="wait until it is done") from error
    try:
        yield
    finally:
        lock.release()


def find_sweep(root: Path, text: str) -> SweepFolder:
    """Return the sweep given by its path, or by its name in `root`.

    Raises:
        RunNotFoundError: There is no such sweep.
        VerificationError: One of its folders is a link.
    """
    sweep = SweepFolder(sweep_path(root, text))
    sweep.require_folders()
    return sweep


def trials_of(root: Path, text: str) -> list[RunFolder] | None:
    """Return the existing runs of a sweep given by path or name, in order; None if there is no such sweep.

    Raises:
        VerificationError: The sweep's plan is damaged.
    """
    try:
        sweep = find_sweep(root, text)
    except RunNotFoundError:
        return None
    runs = [sweep.run(trial) for trial in sweep.read_plan().trials]
    return [run for run in runs if run.is_run()]


def _encoded(plan: Plan) -> bytes:
    data = sealed(plan.model_dump(mode="json", by_alias=True))
    if len(data) > LIMIT:
        problem = f"the plan of {len(plan.trials):,} trials takes {len(data):,} bytes, expected at most {LIMIT:,}"
        raise UsageError(problem, hint="take fewer trials, or fewer axes")
    return data
