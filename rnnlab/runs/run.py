"""A stored run, read back: config, state, results, weights. Everything that reads a run reads it here."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, final

from pydantic import ValidationError

from rnnlab.core.errors import RnnlabError, VerificationError
from rnnlab.core.own_classes import is_known
from rnnlab.runs.index import Ended, Index
from rnnlab.storage.folder import RunFolder
from rnnlab.storage.holder import is_held
from rnnlab.storage.jsonfile import flatten
from rnnlab.storage.metrics import Metrics
from rnnlab.storage.status import RunState, Status
from rnnlab.storage.summary import Summary, best_record

if TYPE_CHECKING:  # NumPy is imported only by what builds a network: `rnnlab list` does not wait for it
    from rnnlab.backends.base import AbstractModel, Network
    from rnnlab.config.experiment import Experiment
    from rnnlab.config.overrides import Overrides
    from rnnlab.runs.rebuild import Weights
    from rnnlab.storage.provenance import Provenance

Which = Literal["best", "last"]
Record = Mapping[str, Any]
Points = list[tuple[int, float | None]]

_NOT_METRICS = {"step", "sequences", "seconds", "nonfinite"}


@final
class Run:
    """A run on disk: trained, training, or failed.

    Each part is read when it is first asked for, and kept. Reading raises `VerificationError` where a file is missing
    or damaged, and `EnvironmentFault` where the system does not let it be read.

    Args:
        folder: The run folder.
        index: What is remembered of the runs beside it, where many are read.
        name: What to call it among others; the folder's name when left out.
    """

    def __init__(self, folder: RunFolder, *, index: Index | None = None, name: str = "") -> None:
        self.folder = folder
        self.name = name or folder.name
        self._index = index
        self._remembered = index.ended(folder.name) if index else None

    def __repr__(self) -> str:
        try:
            return f"<Run {self.name!r}: {self._in_words()}>"
        except Exception:  # nothing may be raised while an error or a list is shown
            return f"<Run {self.name!r}: cannot be read>"

    def _in_words(self) -> str:
        summary = self.stored_summary
        loss = [] if summary.loss is None else [f"loss={summary.loss:.4g}"]
        return ", ".join([self.state, f"{summary.steps:,} steps", *loss, *(["solved"] if summary.solved else [])])

    def _repr_html_(self) -> str:
        """Show the run in a notebook, with its curve where matplotlib is installed."""
        from rnnlab.figures.notebook import as_html, run_html

        try:
            return run_html(self)
        except Exception:
            return as_html(repr(self))

    def called(self, name: str) -> Self:
        """Return this run under another name, as where two folders of one name are compared."""
        (other := copy(self)).name = name
        return other

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def label(self) -> str:
        """The name the user gave."""
        return self.folder.label

    @property
    def is_remembered(self) -> bool:
        """Whether the run has ended and the index knows its result: no file has to be opened for it."""
        return self._remembered is not None

    @cached_property
    def status(self) -> Status:
        """State, step and process as last written by the process that trains the run."""
        return self.folder.read_status()

    @property
    def id(self) -> str:
        """The run's id, which is in each of its documents."""
        return self._remembered.summary.id if self._remembered else self.status.id

    @property
    def state(self) -> RunState:
        """`running`, `completed`, `interrupted`, `failed`, `diverged`; `stale`: running, but its process has died."""
        return self._remembered.state if self._remembered else self._state

    @cached_property
    def _state(self) -> RunState:
        state = self.status.state
        return "stale" if state == "running" and not is_held(self.path) else state

    @property
    def message(self) -> str:
        """Why the run is in this state, in one sentence, where there is a reason."""
        return self._remembered.message if self._remembered else self.status.message

    @property
    def started(self) -> str:
        """When the run began: UTC, ISO 8601 with microseconds."""
        moment = self._remembered.started if self._remembered else self.status.started
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    @cached_property
    def has_ended(self) -> bool:
        """Whether there is a result: not of a run that is training, nor of one that ended before its first step."""
        if self._remembered:
            return True
        state = self.status.state
        return state != "running" and (state == "completed" or self.folder.has_summary())

    @cached_property
    def summary(self) -> Summary:
        """The result as figures; of a run that has not ended, what its config and its newest record show."""
        if self.has_ended:
            return self.stored_summary
        figures: dict[str, Any] = {}
        with suppress(RnnlabError):  # a task that this rnnlab cannot build, e.g. because its file is gone
            experiment = self.experiment()
            if is_known(experiment.task):
                figures["baseline"] = experiment.build_task().baseline(experiment.timesteps)
            if experiment.is_complete:
                sizes = (parameter.size for parameter in experiment.network().parameters().values())
                figures["parameters"] = sum(sizes)
        return self.stored_summary.model_copy(update=figures)

    @property
    def stored_summary(self) -> Summary:
        """As `summary`, but nothing is computed: the parameters and the baseline are None until the run has ended."""
        return self._remembered.summary if self._remembered else self._read_summary

    @cached_property
    def _read_summary(self) -> Summary:
        if not self.has_ended:
            return self._summary_so_far()
        summary, status = self.folder.read_summary(self.id), self.status
        if summary.attempt < status.attempt and status.state in {"failed", "interrupted"}:
            return self._summary_so_far()  # the newest process left none
        if status.state != "failed" and (summary.state, summary.steps) != (status.state, status.step):
            found = f"is of state {summary.state} at step {summary.steps:,}"
            problem = f"{found}, but the status is {status.state} at step {status.step:,}"
            raise VerificationError(problem, where=str(self.path / "summary.json"))
        if self._index and status.state != "running":
            ended = Ended(status.state, self.message, status.started, summary)
            self._index.learn_ended(self.folder.name, ended)
        return summary

    def _summary_so_far(self) -> Summary:
        config: Mapping[str, Any] = {}
        record: Record = {}
        # A run can fail before it has either; and what is damaged is reported when it is read.
        with suppress(VerificationError):
            config = self.config
        with suppress(VerificationError):
            record = self.records[-1] if self.records else {}
        with suppress(ValidationError):
            return Summary.so_far(self.label, self.state, self.status, config=config, record=record)
        return Summary.so_far(self.label, self.state, self.status, config={}, record={})

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The complete config, dotted key to value, in the order of the file; a list is one value."""
        index = self._index if self.has_ended else None
        if index and (known := index.config(self.folder.name)) and known[0] == self.id:
            return known[1]
        config = dict(flatten(self.folder.read_resolved(self.id)))
        if index:
            index.learn_config(self.folder.name, (self.id, config))
        return config

    def experiment(self, overrides: "Overrides" = ()) -> "Experiment":
        """Return what was trained, complete; with overrides such as `{"shape.timesteps": 400}`, what they make of it.

        Raises:
            VerificationError: The stored config is missing or damaged.
            EnvironmentFault: It names a cell or another part that is not known here: its package is not installed.
            ConfigError: An override cannot be applied.
        """
        from rnnlab.runs.rebuild import stored_experiment

        return stored_experiment(self.folder, overrides, of=self.id)

    @cached_property
    def provenance(self) -> "Provenance":
        """Where the run comes from: command, versions, machine, repository, and each attempt to resume."""
        return self.folder.read_provenance(self.id)

    @cached_property
    def _metrics(self) -> Metrics:
        if not self._is_one_of_many:
            return self.folder.read_metrics(self.id)
        with suppress(VerificationError):
            return self.folder.read_metrics(self.id)
        return Metrics([], torn=False)

    @property
    def _is_one_of_many(self) -> bool:
        """Whether its record is read only to be drawn: one damaged record of thousands must not stop the others."""
        return self._index is not None and self.has_ended

    @property
    def records(self) -> Sequence[Record]:
        """The training record: `step`, `sequences`, `seconds`, `validation/loss` and more per evaluation."""
        return self._metrics.records

    @property
    def is_torn(self) -> bool:
        """Whether the record ends in half a line, which is not counted."""
        if self._is_one_of_many or self.state == "running":  # not known; the line is being written
            return False
        return self._metrics.torn

    @property
    def evaluations(self) -> Sequence[Record]:
        """One record per evaluation made after training."""
        return self.folder.read_evaluations(self.id).records

    def metrics(self) -> list[str]:
        """Return the full names of all recorded metrics, in the order they first appear."""
        items = (item for record in self.records for item in record.items())
        names = dict.fromkeys(name for name, value in items if not isinstance(value, str | bool | list))
        return [name for name in names if name not in _NOT_METRICS]

    def curve(self, metric: str) -> Points:
        """Return (step, value) of each record that has the metric; None for a value that was not finite."""
        return [(record["step"], _number(record[metric])) for record in self.records if metric in record]

    def final(self, metric: str) -> float | None:
        """Return the metric's last value."""
        name = metric.removeprefix("validation/")
        if name != metric and name in self.stored_summary.metrics:
            return self.stored_summary.metrics[name]
        curve = self.curve(metric)
        return curve[-1][1] if curve else None

    def best(self, metric: str) -> float | None:
        """Return the metric's value at the best evaluation: that of the lowest validation loss, the first of equals."""
        record = self._best_record
        return _number(record.get(metric)) if record else None

    @property
    def best_step(self) -> int | None:
        """The step of the best evaluation, whose weights are stored as the best."""
        return self._best_record["step"] if self._best_record else None

    @cached_property
    def _best_record(self) -> Record | None:
        return best_record(self.records)

    def weights(self, which: Which = "best", *, allow_nonfinite: bool = False) -> "Weights":
        """Return the parameters by full name; with NaN and infinity only where that is allowed.

        Raises:
            VerificationError: They are missing, damaged, or of another network.
        """
        from rnnlab.runs.rebuild import load_weights

        return load_weights(self.folder, self.network(), which, of=self.id, allow_nonfinite=allow_nonfinite)

    def network(self) -> "Network":
        """Return the network that was trained, without its weights."""
        experiment = self.experiment()
        return experiment.network()

    def model(self, which: Which = "best") -> "AbstractModel":
        """Return the trained network, ready to predict: `run.model().predict(inputs, states=True)`."""
        return self.experiment().build_backend().build(self.network(), parameters=self.weights(which))


def _number(value: Any) -> float | None:
    """Return a record's value if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
