"""The examination of a run: whether each file is whole, and all agree. Nothing is changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, final

from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import VerificationError
from rnnlab.runs.run import Run
from rnnlab.storage import RunFolder, Status
from rnnlab.storage.files import is_leftover
from rnnlab.storage.folder import OWN
from rnnlab.storage.lock import is_lock, read_holder
from rnnlab.storage.metrics import CUT, TORN
from rnnlab.storage.reading import kind
from rnnlab.training.resume import require_config_as_given, require_own, verified_experiment

Result = Literal["good", "note", "bad"]


@final
@dataclass(frozen=True)
class Finding:
    """What was found of one file.

    Attributes:
        file: Its path within the run.
        result: `good`; `note`: no fault, but worth knowing; `bad`: missing, damaged, or at odds with another file.
        detail: In words.
    """

    file: str
    result: Result
    detail: str


@final
@dataclass(frozen=True)
class Report:
    """The result of an examination.

    Attributes:
        run: The run.
        state: The status's own, `stale` where its process is gone, or `unknown` where it cannot be read.
        step: Steps done when the state was last saved.
        findings: One for each file, in the order in which they are best read.
    """

    run: RunFolder
    state: str
    step: int
    findings: Sequence[Finding]

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is bad."""
        return all(finding.result != "bad" for finding in self.findings)


def examine(run: RunFolder) -> Report:
    """Read everything in a run and return what was found.

    A run that was killed is healthy: what it left unfinished is noted, and it can be resumed from its checkpoint. One
    that is under way may change while it is read.

    Raises:
        EnvironmentFault: A file cannot be read.
    """
    examination = _Examination(run)
    examination.read_all()
    status = examination.status
    state = "unknown" if status is None else "stale" if run.is_stale(status) else status.state
    return Report(run, state, status.step if status else 0, examination.findings)


class _Examination:
    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.findings: list[Finding] = []
        self.status: Status | None = None
        self._experiment: Experiment | None = None
        self._steps: list[int] = []

    def read_all(self) -> None:
        self._check("status.json", self._read_status)
        if self.status is None:
            return
        self._check("config.yaml", self._read_config)
        self._check("provenance.json", self._read_provenance)
        self._check("resolved.yaml", self._read_experiment)
        self._check("metrics.jsonl", self._read_metrics)
        if kind(self.run.path / "evaluations.jsonl") != "missing":
            self._check("evaluations.jsonl", lambda: f"{len(self.run.read_evaluations().records):,} records")
        self._check("log.txt", self._read_log)
        self._check("checkpoints", self._list_checkpoints)
        for step in self._steps:
            self._check(f"checkpoints/{self.run.checkpoints().path(step).name}", partial(self._read_checkpoint, step))
        weights: tuple[Literal["best", "last"], ...] = ("best", "last")
        for which in weights:
            if self.status.state == "completed" or self.run.has_weights(which):
                self._check(f"weights/{which}.safetensors", partial(self._read_weights, which))
        if self.run.has_result(self.status):
            self._check("summary.json", self._read_summary)
        self._check("the lock", self._read_lock)
        for file, detail in _others(self.run):
            self._add(file, "note", detail)

    def _check(self, file: str, read: Callable[[], str]) -> None:
        try:
            self._add(file, "good", read())
        except VerificationError as fault:
            self._add(file, "bad", fault.problem)

    def _add(self, file: str, result: Result, detail: str) -> None:
        self.findings.append(Finding(file, result, detail))

    def _read_status(self) -> str:
        self.status = self.run.read_status()
        return f"{self.status.state} at step {self.status.step:,}, attempt {self.status.attempt}"

    def _read_config(self) -> str:
        require_config_as_given(self.run)
        return f"{len(self.run.read_config()):,} bytes, as given"

    def _read_provenance(self) -> str:
        attempts = self.run.read_provenance().get("attempts", [])
        return f"of the start and of {len(attempts)} more attempts" if attempts else "of the start"

    def _read_experiment(self) -> str:
        self._experiment = verified_experiment(self.run)
        return f"the config of the provenance, {self._experiment.sha256()[:12]}"

    def _read_metrics(self) -> str:
        metrics = self.run.read_metrics()
        _require_sequences(metrics.records, self._experiment)
        assert self.status is not None
        if metrics.torn and self.status.state == "completed":
            raise VerificationError(CUT)
        if metrics.torn:
            self._add("metrics.jsonl", "note", TORN)
        return f"{len(metrics.records):,} records, steps in order"

    def _read_log(self) -> str:
        if kind(self.run.path / "log.txt") != "file":
            raise VerificationError("is missing, or no plain file")
        return "there"

    def _list_checkpoints(self) -> str:
        assert self.status is not None
        self._steps = self.run.checkpoints().steps()
        if self.status.step and not self._steps:
            raise VerificationError(f"there is none, though the run got to step {self.status.step:,}")
        return f"{len(self._steps)}, the newest of step {self._steps[0]:,}" if self._steps else "none yet"

    def _read_checkpoint(self, step: int) -> str:
        assert self.status is not None
        checkpoint = self.run.checkpoints().load(step)
        require_own(checkpoint, self.status, None if self._experiment is None else _about(self._experiment))
        self.run.check_metrics(checkpoint.metrics_bytes)
        return f"whole, of attempt {checkpoint.attempt}; {checkpoint.metrics_bytes:,} bytes of metrics belong to it"

    def _read_weights(self, which: Literal["best", "last"]) -> str:
        assert self.status is not None
        expected = None
        if self._experiment is not None:
            network = self._experiment.network(self._experiment.build_task())
            expected = {name: (one.shape, network.dtype) for name, one in network.parameters().items()}
        _, about = self.run.load_weights(which, expected)
        step = about.get("step")
        if which == "last" and self.status.state == "completed" and step != self.status.step:
            raise VerificationError(f"are of step {step}, but the run ended at step {self.status.step:,}")
        return f"whole, of step {step:,}"

    def _read_summary(self) -> str:
        assert self.status is not None
        summary = Run(self.run).summary
        return f"{summary.stopped} at step {summary.steps:,}"

    def _read_lock(self) -> str:
        assert self.status is not None
        holder = read_holder(self.run.path)
        if holder is None:
            if self.status.state == "running":
                return "not locked: the run can be resumed"
            return "not locked"
        return f"locked by {holder}" + ("" if holder.is_alive() else ", which has ended: the run can be resumed")


def _require_sequences(records: Sequence[Mapping[str, Any]], experiment: Experiment | None) -> None:
    """Pass if the sequences agree with the steps."""
    for number, record in enumerate(records, start=1):
        step, counted = record["step"], record.get("sequences")
        if experiment is not None and counted != step * experiment.training.batch_size:
            raise VerificationError(f"record {number} of step {step:,} counts {counted} sequences")


def _about(experiment: Experiment) -> dict[str, Any]:
    task = experiment.build_task()
    return {"network": experiment.network(task).describe(), "task": task.name}


def _others(run: RunFolder) -> Iterator[tuple[str, str]]:
    """Yield what is there beside the files of a run."""
    for path in sorted(run.path.rglob("*")):
        name = str(path.relative_to(run.path))
        if is_leftover(path.name):
            yield name, "an unfinished write of a killed process; it is never read, and resuming removes it"
        elif path.name.endswith(".corrupt"):
            yield name, "a damaged checkpoint that was set aside"
        elif path.parent == run.path and name not in OWN and not is_lock(name):
            yield name, "not a file of rnnlab"
