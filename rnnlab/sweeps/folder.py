"""The sweep's folder: one class that owns every file name in it.

    sweep.yaml             the config as given, byte for byte
    plan.json              the trials (see `plan`); from it on, the folder is a sweep
    configs/<trial>.yaml   one complete, plain config a trial: what `rnnlab train` takes
    trials/<trial>/        an ordinary run folder, as `rnnlab train configs/<trial>.yaml --into trials/<trial>` makes it
    failures/<trial>.json  what became of a trial whose run folder cannot tell it: killed, refused before it began
    study/                 of a search, what Optuna remembers and what all its trials share (see `proposals`)
    cancel.json            the newest wish that whoever trains these trials stop
    slurm/                 scripts, submission records and logs of jobs

Everything is found by name from the plan, and nothing holds a path: a sweep may be moved.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, final

from rnnlab.config.experiment import Experiment
from rnnlab.config.yaml_writer import dump_yaml
from rnnlab.core.errors import RnnlabError, RunNotFoundError, UsageError
from rnnlab.core.naming import check_name
from rnnlab.core.text import visible
from rnnlab.storage import RunFolder, disk
from rnnlab.storage.faults import reported, shown
from rnnlab.storage.files import ensure_folder, is_leftover, write_atomic
from rnnlab.storage.jsonfile import LIMIT, read_json, write_json
from rnnlab.storage.reading import kind, read_text
from rnnlab.sweeps.plan import Plan, Trial, read_plan

# What a folder holds before it is a sweep: another process may be making it at this moment.
_BEGUN = ("sweep.yaml", "configs", "study")


@final
@dataclass(frozen=True)
class SweepFolder:
    """A sweep's folder; make one with `create`, or take an existing one with `open`.

    Reading raises `VerificationError` where a file is missing or not what it should be; reading and writing raise
    `EnvironmentFault` where the system refuses.

    Args:
        path: The folder.
    """

    path: Path

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the sweep at `path`.

        Raises:
            RunNotFoundError: `path` is no sweep.
        """
        sweep = cls(path)
        if not sweep.is_sweep():
            hint = "`rnnlab sweep CONFIG` makes one; a sweep is named by its path, or by its name below the runs"
            raise RunNotFoundError("is not a sweep", where=shown(path), hint=hint)
        return sweep

    @classmethod
    def create(cls, path: Path, plan: Plan, *, config: bytes, configs: Mapping[str, str], base: str = "") -> Self:
        """Make the sweep at `path`, or find it there already; any number of processes may do so at once.

        Args:
            path: Where, made if missing.
            plan: The trials.
            config: The sweep's config, bytes as given.
            configs: The complete config of each trial, by the trial's name.
            base: Of a search, what all trials share, as YAML.

        Raises:
            UsageError: The folder holds another sweep, or something else than a sweep.
        """
        check_name(path.absolute().name)
        sweep = cls(path)
        if not sweep.is_sweep():
            sweep._require_empty()
            sweep._write(plan, config, configs, base)
        elif not (there := sweep.read_plan()).same_as(plan):
            hint = "name another folder with --into DIR, or go on with what is there: `rnnlab sweep resume SWEEP`"
            raise UsageError(f"holds another sweep: {_difference(there, plan)}", where=shown(path), hint=hint)
        return sweep

    def is_sweep(self) -> bool:
        """Say whether this folder is a sweep."""
        return kind(self.path) == "folder" and kind(self.path / "plan.json") == "file"

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    def read_plan(self) -> Plan:
        """Return the trials."""
        return read_plan(self.path / "plan.json")

    def config(self, trial: Trial) -> Path:
        """Return the file that `rnnlab train` takes for this trial."""
        return self.path / "configs" / f"{trial.name}.yaml"

    def run(self, trial: Trial) -> RunFolder:
        """Return the trial's run, which need not exist yet."""
        return RunFolder(self.trials / trial.name)

    @property
    def trials(self) -> Path:
        """The folder that holds the runs, a runs root like any other; it need not exist yet."""
        return self.path / "trials"

    @property
    def slurm(self) -> Path:
        """The folder for scripts, submission records and logs of jobs; it need not exist yet."""
        return self.path / "slurm"

    def write_failure(self, trial: Trial, reason: str, *, exit_code: int | None = None, pruned: bool = False) -> None:
        """Note what became of a trial that could not tell it itself; one that was pruned is not tried again."""
        ensure_folder(self.path / "failures")
        told = {"trial": trial.name, "reason": reason, "exit_code": exit_code}
        write_json(self._failure(trial), {**told, "pruned": True} if pruned else told)

    def read_failures(self) -> dict[str, dict[str, Any]]:
        """Return what was noted of trials, by their names."""
        folder = self.path / "failures"
        if kind(folder) == "missing":
            return {}
        with reported("look at", folder):
            paths = sorted(path for path in folder.iterdir() if path.suffix == ".json" and not is_leftover(path.name))
        return {path.stem: read_json(path) for path in paths}

    def forget_failure(self, trial: Trial) -> None:
        """Drop what was noted of a trial that is to be trained again."""
        with reported("delete", self._failure(trial)), suppress(FileNotFoundError):
            disk.unlink(self._failure(trial))

    def _failure(self, trial: Trial) -> Path:
        return self.path / "failures" / f"{trial.name}.json"

    def write_cancel(self, wish: Mapping[str, Any]) -> None:
        """Ask whoever trains these trials to stop."""
        write_json(self.path / "cancel.json", wish)

    def read_cancel(self) -> dict[str, Any]:
        """Return the newest wish that whoever trains these trials stop; empty if there was none."""
        path = self.path / "cancel.json"
        return {} if kind(path) == "missing" else read_json(path)

    def _require_empty(self) -> None:
        if kind(self.path) == "missing":
            return
        with reported("look at", self.path):
            names = sorted(path.name for path in self.path.iterdir())
        if strangers := [name for name in names if name not in _BEGUN and not is_leftover(name)]:
            told = visible(", ".join(strangers[:3]) + ("…" if len(strangers) > 3 else ""))
            problem = f"is not a sweep, and not empty: it holds {told}"
            raise UsageError(problem, where=shown(self.path), hint="name another folder with --into DIR")

    def _write(self, plan: Plan, config: bytes, configs: Mapping[str, str], base: str) -> None:
        ensure_folder(self.path / "configs")
        write_atomic(self.path / "sweep.yaml", config)
        for trial in plan.trials:
            write_atomic(self.config(trial), configs[trial.name].encode())
        if base:
            ensure_folder(self.study)
            write_atomic(self.study / "base.yaml", base.encode())
        self.write_plan(plan)

    def write_plan(self, plan: Plan) -> None:
        """Store the trials, of which a search has ever more."""
        told = plan.model_dump(mode="json", by_alias=True)
        if plan.search is None:  # then there is nothing to say of it
            told = {key: value for key, value in told.items() if key != "search"}
            told["trials"] = [{key: one[key] for key in one if key != "proposal"} for one in told["trials"]]
        write_json(self.path / "plan.json", told)

    def write_config(self, trial: Trial, experiment: Experiment) -> None:
        """Store what a trial trains."""
        write_atomic(self.config(trial), dump_yaml(experiment.resolved()).encode())

    @property
    def study(self) -> Path:
        """The folder of a search; it need not exist."""
        return self.path / "study"

    def read_base(self) -> str:
        """Return what all trials of a search share, as YAML."""
        return read_text(self.study / "base.yaml", LIMIT)


def find_sweep(root: Path, text: str) -> SweepFolder:
    """Return the sweep that `text` names: a path, or the name of a folder in `root`.

    Raises:
        RunNotFoundError: There is no such sweep.
    """
    for path in (Path(text), root / text) if text else ():
        with suppress(RnnlabError, ValueError):
            return SweepFolder.open(path)
    hint = "`rnnlab sweep CONFIG` makes one; a sweep is named by its path, or by its name below the runs"
    raise RunNotFoundError(f"there is no sweep '{visible(text[:200])}'", where=shown(root), hint=hint)


def trials_of(root: Path, text: str) -> list[RunFolder] | None:
    """Return the runs there are of the sweep that `text` names, in order; None where it names no sweep.

    Raises:
        VerificationError: The sweep's plan is damaged.
    """
    try:
        sweep = find_sweep(root, text)
    except RunNotFoundError:
        return None
    runs = [sweep.run(trial) for trial in sweep.read_plan().trials]
    return [run for run in runs if run.is_run()]


def _difference(there: Plan, here: Plan) -> str:
    """Return in what two plans differ, in words."""
    if len(there.trials) != len(here.trials):
        return f"of {len(there.trials):,} trials, and this config has {len(here.trials):,}"
    for old, new in zip(there.trials, here.trials, strict=True):
        if old != new:
            return f"its trial {old.name} is not that of this config" + (f", {new.name}" * (old.name != new.name))
    return "its config was another, though the trials are the same"
