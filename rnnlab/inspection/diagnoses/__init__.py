"""Diagnoses of a trained run: its network on fresh sequences, step by step, whichever backend trained it.

One file each computes a diagnosis, puts it into words and describes its figure.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rnnlab.backends.numpy.shard import below
from rnnlab.backends.numpy.unrolled import layers_of
from rnnlab.config.experiment import Experiment
from rnnlab.core.batch import Lengths
from rnnlab.core.errors import RnnlabError, UsageError, VerificationError
from rnnlab.core.registry import Registry, nearest
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Array, Inspected
from rnnlab.runs.find import open_run
from rnnlab.runs.run import Run, Which
from rnnlab.runs.unchanged import require_own
from rnnlab.storage.weights import list_differences
from rnnlab.training.resources import checkpoint_bytes

_SEQUENCES = 64


def _check(name: str, member: Any) -> None:
    """Pass if a package outside rnnlab exports what a file in this folder exports."""
    if not isinstance(member, AbstractDiagnosis):
        raise TypeError(f"{name} is not an AbstractDiagnosis")


_REGISTRY = Registry("rnnlab.inspection.diagnoses", "DIAGNOSIS", "diagnosis", _check)


def diagnoses() -> dict[str, AbstractDiagnosis[Any]]:
    """Return all diagnoses by name, in the order in which they are shown.

    Example:
        >>> list(diagnoses())[:3], [name for name, one in diagnoses().items() if not one.is_default]
        (['gradient', 'gradient-history', 'jacobian'], ['gradient-history', 'fixed-points', 'sample'])
    """
    members = {name.replace("_", "-"): member for name, member in _REGISTRY.members().items()}
    return dict(sorted(members.items(), key=lambda item: (item[1].position, item[0])))


@final
@dataclass(frozen=True, slots=True, repr=False)
class Diagnosis:
    """Results of diagnoses of one network.

    Attributes:
        run: The name of the run's folder.
        path: The folder.
        label: The name that the user gave.
        step: The training step of the weights.
        weights: `best`, `last`, or the checkpoint they are from.
        timesteps: The lengths of the sequences.
        sequences: How many.
        results: Name of a diagnosis -> its result, for those that have one; `found["gradient"]` is short for
            `found.results["gradient"]`.
    """

    run: str
    path: Path
    label: str
    step: int
    weights: str
    timesteps: Lengths
    sequences: int
    results: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.run!r}, {self.weights} weights of step {self.step:,}: {', '.join(self.results)}>"

    def __getitem__(self, name: str) -> Any:
        return self.results[name]


def diagnose(
    run: Run | str | Path,
    names: str | Collection[str] | None = None,
    *,
    weights: Which | None = None,
    at_step: int | None = None,
    timesteps: int | None = None,
    sequences: int = _SEQUENCES,
    for_figures: bool = False,
) -> Diagnosis:
    """Return the results of diagnoses of a run; nothing is written.

    Args:
        run: The run, or its path or name.
        names: Which diagnoses, or one; when left out all that are made by default or, where the data of the task are
            not there, those of them that need none.
        weights: `best` by validation loss, or `last`; when left out the best, or the last where none are stored, as of
            a run that was never evaluated.
        at_step: Weights of the checkpoint of this step instead.
        timesteps: The length of the sequences; those of training when left out.
        sequences: How many, at least 2.
        for_figures: Whether figures will be drawn of the results.

    Raises:
        UsageError: There is no such diagnosis or checkpoint, or the task has no such sequences.
        VerificationError: The weights are damaged, or the task's data file is needed and has changed.
    """
    run, known = open_run(run), diagnoses()
    names = [names] if isinstance(names, str) else names
    wanted = [name for name, one in known.items() if (one.is_default if names is None else name in names)]
    for name in names or ():
        if name not in known:
            hint = nearest(name, known)
            raise UsageError(f"'{name[:60]}' is not a diagnosis", hint=hint)
    experiment = run.experiment([] if timesteps is None else [f"shape.timesteps={timesteps}"])
    network = experiment.network()
    chosen: Which = weights or ("best" if run.folder.has_weights("best") else "last")
    if at_step is None:
        stored = run.weights(chosen)
        arrays, step = dict(stored), stored.step
    else:
        arrays, step = _arrays_at(run, experiment, at_step), at_step
    inspected = Inspected(run, experiment, network, arrays, layers_of(network, arrays), sequences)
    if names is None and experiment.task.files and _lacks_data(inspected):
        wanted = [name for name in wanted if not known[name].needs_sequences]
    results = {name: found for name in wanted if (found := known[name].compute(inspected)) is not None}
    if for_figures:
        results = {name: known[name].for_figure(found, inspected) for name, found in results.items()}
    used = chosen if at_step is None else f"checkpoint {at_step}"
    return Diagnosis(run.name, run.path, run.label, step, used, experiment.timesteps, sequences, results)


def _lacks_data(inspected: Inspected) -> bool:
    try:
        _ = inspected.task
    except RnnlabError:
        return True
    return False


def _arrays_at(run: Run, experiment: Experiment, at_step: int) -> dict[str, Array]:
    checkpoints = run.folder.checkpoints()
    steps = checkpoints.steps()
    if at_step not in steps:
        known = ", ".join(map(str, steps)) or "none"
        problem = f"{run.name} has no checkpoint of step {at_step:,}"
        raise UsageError(problem, where="--at-step", hint=f"checkpoints: {known}; the newest two are kept")
    network = experiment.network()
    checkpoint = checkpoints.load(at_step, most_bytes=checkpoint_bytes(experiment))
    require_own(checkpoint, run.folder.read_status(), {"network": network.describe(), "task": experiment.task_name})
    model: Mapping[str, Any] = checkpoint.state.get("model", {})
    arrays = below("parameters/", model)
    if differences := list_differences(arrays, network.shapes()):
        problem = f"does not fit this network: {'; '.join(differences)}"
        raise VerificationError(problem, where=str(checkpoints.path(at_step)))
    return arrays
