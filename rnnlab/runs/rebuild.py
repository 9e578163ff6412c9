"""A stored run rebuilt: its experiment and its weights, checked against each other."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, final

from numpy.typing import NDArray

from rnnlab.backends.base import Network
from rnnlab.config.errors import LocatedError
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import check_document
from rnnlab.config.overrides import Overrides, override_texts
from rnnlab.config.reading import apply_overrides, document_of
from rnnlab.core.arguments import require_one_of
from rnnlab.core.errors import ConfigError, EnvironmentFault, UsageError, VerificationError
from rnnlab.core.scaling import Scaling
from rnnlab.storage.folder import RunFolder
from rnnlab.storage.provenance import missing_plug_ins
from rnnlab.storage.run_id import require_id


@final
class Weights(dict[str, NDArray[Any]]):
    """Parameters by full name, `layers.0.W` (I, H), `layers.0.U` (H, H), … `head.b` (O,).

    Attributes:
        step: The training step they are of.
        scaling: How inputs and outputs relate to the columns of a file, as in training; None where there was no file.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], step: int, scaling: Scaling | None = None) -> None:
        super().__init__(arrays)
        self.step, self.scaling = step, scaling

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self.items())
        return f"<Weights of step {self.step:,}: {shapes}>"


def stored_experiment(folder: RunFolder, overrides: Overrides = (), *, of: str) -> Experiment:
    """Return the experiment of the run with the id `of`, with changes; see `Run.experiment`.

    The file is checked like a config that a user wrote: no aliases, no tags, no key twice; and errors name the line.
    """
    path = folder.path / "resolved.yaml"
    text = folder.read_resolved_text(of)
    try:
        document = document_of(text, str(path))
        own = check_document(document, default_name=folder.label, is_stored=True)
    except ConfigError as error:
        if unknown := next((fault for fault in error.faults if _is_of_a_name(fault)), None):
            raise EnvironmentFault(unknown.problem, where=unknown.where, hint=_where_from(folder, of)) from error
        raise VerificationError(f"is damaged: {error.faults[0]}", where=str(path)) from error
    for block, file in own.code_files.items():
        if not file.sha256:
            raise VerificationError(
                f"is damaged: it has no SHA-256 of the file that its {block} is in", where=str(path)
            )
    if not overrides:
        return own
    changed = apply_overrides(document, _in_full(override_texts(overrides), own))
    return check_document(changed, default_name=folder.label)


def _is_of_a_name(fault: UsageError) -> bool:
    """Return whether a part of the run is not known here, such as its cell: the config as stored was complete."""
    is_name = isinstance(fault, LocatedError) and (fault.path[-1:] == ("type",) or fault.path == ("backend",))
    return is_name and fault.problem.startswith("unknown ")


def _where_from(folder: RunFolder, of: str) -> str:
    """Return how to get what the run was trained with."""
    with suppress(VerificationError):  # reported by `rnnlab doctor`
        if packages := missing_plug_ins(folder.read_provenance(of)):
            return f"the run was trained with {', '.join(packages)}: install what is missing"
    return "it is of another version of rnnlab, or of a package that is not installed"


def _in_full(overrides: Sequence[str], own: Experiment) -> list[str]:
    """Return overrides of which one that gives a file of the task changes only the place, not how the file is read."""
    found = []
    for override in overrides:
        key, _, value = override.partition("=")
        is_place = key.removeprefix("task.") in own.task.files and key.startswith("task.") and value[:1] not in "{"
        found += [f"{key}.path={value}", f"{key}.sha256=null"] if is_place and value else [override]
    return found


def load_weights(
    folder: RunFolder, network: Network, which: Literal["best", "last"], *, of: str, allow_nonfinite: bool = False
) -> Weights:
    """Return the weights of the run with the id `of`, which must be of `network`; see `Run.weights`."""
    require_one_of("weights", which, ("best", "last"))
    path = folder.path / "weights" / f"{which}.safetensors"
    if which == "best" and not folder.has_weights("best") and folder.has_weights("last"):
        # As of a run that diverged before its first evaluation.
        raise VerificationError("is missing", where=str(path), hint="use the last weights: `--weights last`")
    arrays, description = folder.load_weights(which, network.shapes(), allow_nonfinite=allow_nonfinite)
    require_id(path, description["id"], of)
    stored, wanted = flat_description(description.get("network", {})), flat_description(network.describe())
    differing = sorted(key for key in {*stored, *wanted} if stored.get(key) != wanted.get(key))
    if differing:
        pairs = "; ".join(f"{key}: stored {stored.get(key)}, expected {wanted.get(key)}" for key in differing)
        raise VerificationError(f"these weights are of another network: {pairs}", where=str(path))
    scaling = Scaling.of(description["scaling"]) if description.get("scaling") else None
    return Weights(arrays, description["step"], scaling)


def flat_description(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description of a network with the options of its cell as keys of their own."""
    cell = {f"cell.{key}": value for key, value in description.get("cell_options", {}).items()}
    return {key: value for key, value in description.items() if key != "cell_options"} | cell
