"""What a run was set up to do: its resolved config by dotted key, and what follows from it before any result."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, final

from rnnlab.config.document import Document
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import check_document
from rnnlab.config.marks import Mark
from rnnlab.config.yaml_reader import Tree, read_yaml
from rnnlab.core.batch import Lengths
from rnnlab.core.errors import RnnlabError, VerificationError
from rnnlab.core.text import visible
from rnnlab.storage import RunFolder
from rnnlab.tasks.base import AbstractTask


@final
@dataclass(frozen=True)
class Configured:
    """The config of a run.

    Attributes:
        values: Dotted key -> value, in the order of the file; a list is one value.
        facts: What the run recorded of its task when it began.
        tree: The config as read.
    """

    values: Mapping[str, Any]
    facts: Mapping[str, Any]
    tree: Tree

    def baseline(self) -> float | None:
        """Return the task's baseline; None where this rnnlab cannot build the task, e.g. its file is gone."""
        built = self.task()
        return built[0].baseline(built[1]) if built else None

    def task(self) -> tuple[AbstractTask, Lengths] | None:
        """Return the task and its lengths; None where this rnnlab cannot build it, e.g. its file is gone."""
        with suppress(RnnlabError):
            experiment = self._experiment()
            return experiment.build_task(), experiment.timesteps
        return None

    def parameters(self) -> int | None:
        """Return how many numbers are trained; None where this rnnlab cannot build the network."""
        with suppress(RnnlabError):
            experiment = self._experiment()
            network = experiment.network(experiment.build_task())
            return sum(parameter.size for parameter in network.parameters().values())
        return None

    def _experiment(self) -> Experiment:
        document = Document(self.tree.data, self.tree.marks, self.tree.key_marks, b"", ())
        return check_document(document, default_name="run")


def read_configured(run: RunFolder) -> Configured:
    """Return the config of a run.

    Raises:
        VerificationError: `resolved.yaml` is missing or damaged.
        EnvironmentFault: The system refused to read.
    """
    tree = read_yaml(run.read_resolved(), Mark("resolved.yaml", 1, 1))
    if tree.faults or not isinstance(tree.data, dict):
        problem = str(tree.faults[0]) if tree.faults else "resolved.yaml: holds no mapping"
        raise VerificationError(f"is not the config of a run: {problem}", where=visible(str(run.path)))
    return Configured(dict(flatten(tree.data)), _facts(run), tree)


def flatten(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value with its dotted key.

    Example:
        >>> dict(flatten({"cell": {"type": "carry", "units": 8}, "shape": {"timesteps": [20, 24]}}))
        {'cell.type': 'carry', 'cell.units': 8, 'shape.timesteps': [20, 24]}
    """
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _facts(run: RunFolder) -> Mapping[str, Any]:
    # The numbers stand without their provenance, so a damaged one does not damage the run.
    with suppress(VerificationError):
        facts = run.read_provenance().get("task")
        return facts if isinstance(facts, dict) else {}
    return {}
