"""Whether a stored run is as it was when it began: its config, the data of its task, its checkpoints."""

from collections.abc import Mapping
from typing import Any

from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import VerificationError
from rnnlab.runs.run import Run
from rnnlab.storage import RunFolder, Status, provenance
from rnnlab.storage.checkpoint import Checkpoint
from rnnlab.tasks.base import AbstractTask


def verified_experiment(run: RunFolder) -> Experiment:
    """Return what a run trains, as it was when the run began.

    Raises:
        VerificationError: Its config is missing, damaged, or not the one in the provenance.
    """
    experiment = Run(run).experiment()
    if experiment.sha256() not in provenance.known_configs(Run(run).provenance):
        raise VerificationError(
            "was changed since the run began: provenance.json has the hash of another config",
            where=str(run.path / "resolved.yaml"),
            hint="bring the old file back; to train with other values, start a new run",
        )
    return experiment


def require_config_as_given(run: RunFolder) -> None:
    """Pass if `config.yaml` is what the run was started with; nothing is trained from it.

    Raises:
        VerificationError: It is not, or is missing.
    """
    data = run.read_config()
    try:
        recorded = run.read_provenance().config_yaml_sha256
    except VerificationError:  # reported by its own reader
        return
    if provenance.hash_of(data) != recorded:
        raise VerificationError(
            "was changed since the run began; what is trained is in resolved.yaml",
            where=str(run.path / "config.yaml"),
        )


def require_same_data(run: Run, task: AbstractTask) -> None:
    """Pass if a task reads the data that a run was trained on: changed data would score it on another scale.

    Raises:
        VerificationError: It does not.
    """
    stored = run.provenance.task
    # The hash says all; means of the same file may differ in their last bit between versions of NumPy.
    changed = [name for name, value in task.facts().items() if name != "columns" and stored.get(name, value) != value]
    if changed:
        raise VerificationError(
            f"the data that this run was trained on have changed: {', '.join(changed)}",
            where=str(run.path / "provenance.json"),
            hint="bring the old file back, or train a new run",
        )


def require_own(checkpoint: Checkpoint, status: Status, description: Mapping[str, Any] | None) -> None:
    """Pass if a checkpoint is of this run and, if that is known, of this network and task.

    Raises:
        VerificationError: It is not.
    """
    if checkpoint.id != status.id:
        raise VerificationError("is of another run")
    if description is not None and any(checkpoint.about.get(key) != description[key] for key in ("network", "task")):
        raise VerificationError("is of another network or task")
