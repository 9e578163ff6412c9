"""What a stored run was set up to do, and its weights, checked against each other."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rnnlab.backends.base import Network
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import check_document
from rnnlab.config.overrides import apply_overrides
from rnnlab.config.reading import document_of
from rnnlab.core.errors import ConfigError, VerificationError
from rnnlab.storage import RunFolder
from rnnlab.tasks.base import AbstractTask

Which = Literal["best", "last"]


def experiment_of(run: RunFolder, overrides: Sequence[str] = ()) -> Experiment:
    """Return the experiment of a run, with changes.

    Raises:
        VerificationError: The run's own config is missing or damaged.
        ConfigError: An override cannot be.
    """
    path = run.path / "resolved.yaml"
    text = run.read_resolved()
    try:
        document = document_of(text, str(path))
        own = check_document(document, default_name=run.label)
    except ConfigError as error:
        raise VerificationError(f"is damaged: {error.faults[0]}", where=str(path)) from error
    return check_document(apply_overrides(document, overrides), default_name=run.label) if overrides else own


def load_weights(
    run: RunFolder, network: Network, which: Which, *, allow_nonfinite: bool = False
) -> tuple[dict[str, Any], int]:
    """Return a run's weights and the step they are of; with NaN and infinity only where that is allowed.

    Raises:
        VerificationError: They are damaged, or were made for another network.
    """
    if which == "best" and not run.has_weights("best") and run.has_weights("last"):
        # As of a run that diverged before any evaluation could count.
        where = str(run.path / "weights" / "best.safetensors")
        raise VerificationError("is missing", where=where, hint="use the last weights: `--weights last`")
    expected = {name: (parameter.shape, network.dtype) for name, parameter in network.parameters().items()}
    arrays, description = run.load_weights(which, expected, allow_nonfinite=allow_nonfinite)
    stored, wanted = flat_description(description.get("network", {})), flat_description(network.describe())
    differing = sorted(key for key in {*stored, *wanted} if stored.get(key) != wanted.get(key))
    if differing:
        shown = "; ".join(f"{key}: stored {stored.get(key)}, expected {wanted.get(key)}" for key in differing)
        raise VerificationError(
            f"these weights are of another network: {shown}", where=str(run.path / "weights" / f"{which}.safetensors")
        )
    return arrays, int(description["step"])


def require_same_data(run: RunFolder, task: AbstractTask) -> None:
    """Pass if the task finds what it found in training: a changed file would score the network on another scale.

    Raises:
        VerificationError: It does not.
    """
    stored = run.read_provenance().get("task", {})
    changed = [name for name, value in task.facts().items() if name in stored and stored[name] != value]
    if changed:
        raise VerificationError(
            f"the data that this run was trained on have changed: {', '.join(changed)}",
            where=str(run.path / "provenance.json"),
            hint="bring the old file back, or train a new run",
        )


def flat_description(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description of a network with the options of its cell as keys of their own."""
    cell = {f"cell.{key}": value for key, value in description.get("cell_options", {}).items()}
    return {key: value for key, value in description.items() if key != "cell_options"} | cell
