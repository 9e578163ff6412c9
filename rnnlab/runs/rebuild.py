"""A stored run rebuilt: its experiment and its weights, checked against each other."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rnnlab.backends.base import Network
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import check_document
from rnnlab.config.overrides import apply_overrides
from rnnlab.config.reading import document_of
from rnnlab.core.errors import ConfigError, VerificationError
from rnnlab.storage.folder import RunFolder


def stored_experiment(folder: RunFolder, overrides: Sequence[str] = ()) -> Experiment:
    """Return the experiment of a run, with changes; see `Run.experiment`."""
    path = folder.path / "resolved.yaml"
    text = folder.read_resolved()
    try:
        document = document_of(text, str(path))
        own = check_document(document, default_name=folder.label)
    except ConfigError as error:
        raise VerificationError(f"is damaged: {error.faults[0]}", where=str(path)) from error
    return check_document(apply_overrides(document, overrides), default_name=folder.label) if overrides else own


def load_weights(
    folder: RunFolder, network: Network, which: Literal["best", "last"], *, allow_nonfinite: bool = False
) -> tuple[dict[str, Any], int]:
    """Return a run's weights and the step they are of; see `Run.weights`."""
    path = folder.path / "weights" / f"{which}.safetensors"
    if which == "best" and not folder.has_weights("best") and folder.has_weights("last"):
        # As of a run that diverged before its first evaluation.
        raise VerificationError("is missing", where=str(path), hint="use the last weights: `--weights last`")
    expected = {name: (parameter.shape, network.dtype) for name, parameter in network.parameters().items()}
    arrays, description = folder.load_weights(which, expected, allow_nonfinite=allow_nonfinite)
    stored, wanted = flat_description(description.get("network", {})), flat_description(network.describe())
    differing = sorted(key for key in {*stored, *wanted} if stored.get(key) != wanted.get(key))
    if differing:
        pairs = "; ".join(f"{key}: stored {stored.get(key)}, expected {wanted.get(key)}" for key in differing)
        raise VerificationError(f"these weights are of another network: {pairs}", where=str(path))
    return arrays, int(description["step"])


def flat_description(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description of a network with the options of its cell as keys of their own."""
    cell = {f"cell.{key}": value for key, value in description.get("cell_options", {}).items()}
    return {key: value for key, value in description.items() if key != "cell_options"} | cell
