"""What a run was set up to do: its resolved config by dotted key, and what follows from it before any result."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, final

from rnnlab.config.document import Document
from rnnlab.config.errors import raise_all
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import check_document
from rnnlab.config.reading import document_of
from rnnlab.core.batch import Lengths
from rnnlab.core.errors import ConfigError, RnnlabError, VerificationError
from rnnlab.storage import RunFolder
from rnnlab.tasks.base import AbstractTask


@final
@dataclass(frozen=True)
class Configured:
    """The config of a run.

    Attributes:
        values: Dotted key -> value, in the order of the file; a list is one value.
        facts: What the run recorded of its task when it began.
        document: The config as read.
    """

    values: Mapping[str, Any]
    facts: Mapping[str, Any]
    document: Document

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
        return check_document(self.document, default_name="run")


def read_configured(run: RunFolder) -> Configured:
    """Return the config of a run.

    Raises:
        VerificationError: `resolved.yaml` is missing or damaged.
        EnvironmentFault: The system refused to read.
    """
    try:
        document = document_of(run.read_resolved(), "resolved.yaml")
        raise_all(document.errors)
    except ConfigError as error:
        problem = f"is not the config of a run: {error.faults[0]}"
        raise VerificationError(problem, where=str(run.path)) from error
    return Configured(dict(flatten(document.data)), _facts(run), document)


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
