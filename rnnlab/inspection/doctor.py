"""The examination of a run: whether each file is whole, and all agree. Nothing is changed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, final, get_args

from rnnlab.config.experiment import Experiment
from rnnlab.core.code_files import CodeFile
from rnnlab.core.errors import EnvironmentFault, RnnlabError, VerificationError
from rnnlab.core.own_classes import is_known
from rnnlab.core.text import counted
from rnnlab.inspection.agreement import has_ended_in_order, status_fault, summary_faults
from rnnlab.runs.run import Record, Run, Which
from rnnlab.runs.unchanged import require_config_as_given, require_own, verified_experiment
from rnnlab.storage import RunFolder, Status
from rnnlab.storage.files import is_leftover
from rnnlab.storage.folder import OWN
from rnnlab.storage.holder import Holder, is_held, is_lock, read_holder
from rnnlab.storage.jsonfile import read_model
from rnnlab.storage.metrics import CUT, TORN
from rnnlab.storage.provenance import hash_of
from rnnlab.storage.reading import kind
from rnnlab.storage.run_id import require_id
from rnnlab.storage.summary import LOSS, Summary
from rnnlab.tasks.base import AbstractTask
from rnnlab.training.resources import checkpoint_bytes

Result = Literal["good", "note", "bad"]


@final
@dataclass(frozen=True)
class Finding:
    """What was found of one file of a run.

    Attributes:
        result: `good`; `note`: no fault, but worth knowing; `bad`: missing, damaged, or at odds with another file.
    """

    file: str
    result: Result
    detail: str


@final
@dataclass(frozen=True)
class Report:
    """The result of an examination; its state is `stale` where the process is gone, `unknown` where it is damaged."""

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
    try:
        status = run.read_status()
    except VerificationError as fault:
        return Report(run, "unknown", 0, [Finding("status.json", "bad", fault.problem)])
    examination = _Examination(run, status)
    examination.read_all()
    return Report(run, Run(run).state, status.step, examination.findings)


class _Examination:
    def __init__(self, run: RunFolder, status: Status) -> None:
        self.run, self.status = run, status
        self.findings: list[Finding] = []
        self._experiment: Experiment | None = None
        self._task: AbstractTask | None = None  # where its data are there
        self._records: Sequence[Record] | None = None
        self._summary: Summary | None = None
        self._checkpoints: dict[str, int] = {}  # the step of each file, the newest first

    def read_all(self) -> None:
        self._check("status.json", self._read_status)
        self._check("config.yaml", self._read_config)
        self._check("provenance.json", self._read_provenance)
        self._check("resolved.yaml", self._read_experiment)
        for block, code in self._experiment.code_files.items() if self._experiment else ():
            self._check(f"{block}.py", partial(self._read_code, f"{block}.py", code))
        self._check("metrics.jsonl", self._read_metrics)
        if kind(self.run.path / "evaluations.jsonl") != "missing":
            self._check("evaluations.jsonl", self._read_evaluations)
        is_there = kind(self.run.path / "log.txt") == "file"
        self._add("log.txt", *(("good", "present") if is_there else ("bad", "is missing, or no regular file")))
        self._check("checkpoints", self._list_checkpoints)
        for file, step in self._checkpoints.items():
            self._check(file, partial(self._read_checkpoint, step))
        if self.run.has_summary() or has_ended_in_order(self.status):
            self._check("summary.json", self._read_summary)
        for which in get_args(Which):
            if self._has_written(which) or self.run.has_weights(which):
                self._check(f"weights/{which}.safetensors", partial(self._read_weights, which))
        self._check("the lock", self._read_lock)
        for file, detail in _others(self.run):
            self._add(file, "note", detail)

    def _check(self, file: str, read: Callable[[], str]) -> None:
        try:
            self._add(file, "good", read())
        except VerificationError as fault:
            # A training that is under way has replaced it with a newer one since the folder was listed.
            if file in self._checkpoints and kind(self.run.path / file) == "missing" and is_held(self.run.path):
                return
            self._add(file, "bad", fault.problem)

    def _has_written(self, which: Which) -> bool:
        """Return whether the process ended in order, and so wrote these weights: the best once any were scored."""
        is_scored = any(record.get(LOSS) is not None for record in self._records or ())
        return has_ended_in_order(self.status) and (which == "last" or is_scored)

    def _add(self, file: str, result: Result, detail: str) -> None:
        self.findings.append(Finding(file, result, detail))

    def _read_status(self) -> str:
        if fault := status_fault(self.status):
            raise VerificationError(fault)
        return f"{self.status.state} at step {self.status.step:,}, attempt {self.status.attempt}"

    def _read_config(self) -> str:
        require_config_as_given(self.run)
        return f"{len(self.run.read_config()):,} bytes, as given"

    def _read_provenance(self) -> str:
        attempts = [one.attempt for one in self.run.read_provenance(self.status.id).processes]
        if attempts != sorted(set(attempts)):
            raise VerificationError(f"has the attempts {attempts}, expected a rising order")
        newest = attempts[-1]
        if newest > self.status.attempt or (newest < self.status.attempt and has_ended_in_order(self.status)):
            raise VerificationError(f"is of attempt {newest}, but the status is of attempt {self.status.attempt}")
        return counted(len(attempts), "attempt")

    def _read_experiment(self) -> str:
        if any(finding.result == "bad" and finding.file == "provenance.json" for finding in self.findings):
            raise VerificationError("cannot be compared with provenance.json, which is damaged")
        self.run.read_resolved_text(self.status.id)
        try:
            self._experiment = verified_experiment(self.run)
        except EnvironmentFault as fault:  # that is no fault of the run: a package is missing, or it is broken
            self._add("resolved.yaml", "note", f"cannot be used here: {fault.problem}; {fault.hint}")
            return "has its checksum"
        try:
            self._task = self._experiment.build_task() if is_known(self._experiment.task) else None
        except RnnlabError as fault:  # that is no fault of the run
            self._add("resolved.yaml", "note", f"not compared with its data: {fault.problem}")
        return f"matches provenance.json, SHA-256 {self._experiment.sha256()[:12]}…"

    def _read_code(self, name: str, file: CodeFile) -> str:
        if hash_of(self.run.read_config(name)) != file.sha256:
            raise VerificationError(f"is not the file that was trained, SHA-256 {file.sha256[:12]}…")
        return f"a copy of {file.path}, to read"

    def _read_metrics(self) -> str:
        metrics = self.run.read_metrics(self.status.id)
        self._records = metrics.records
        batch_size = self._experiment.training.batch_size if self._experiment else None
        for number, record in enumerate(metrics.records, start=1):
            step, sequences = record["step"], record.get("sequences")
            if batch_size is not None and sequences != step * batch_size:
                raise VerificationError(f"record {number} of step {step:,} counts {sequences} sequences")
        if metrics.torn and has_ended_in_order(self.status):
            raise VerificationError(CUT)
        newest, status = metrics.records[-1]["step"] if metrics.records else 0, self.status
        if newest > status.step and has_ended_in_order(status):
            raise VerificationError(f"reaches step {newest:,}, but the run ended at step {status.step:,}")
        if newest < status.step and status.state == "completed":
            raise VerificationError(f"ends at step {newest:,}, but the run ended at step {status.step:,}")
        if metrics.torn:
            self._add("metrics.jsonl", "note", TORN)
        return f"{counted(len(metrics.records), 'record')}, steps in order"

    def _read_evaluations(self) -> str:
        evaluations = self.run.read_evaluations(self.status.id)
        if evaluations.torn:
            self._add("evaluations.jsonl", "note", TORN)
        return counted(len(evaluations.records), "record")

    def _list_checkpoints(self) -> str:
        found = self.run.checkpoints()
        steps = found.steps()
        self._checkpoints = {f"checkpoints/{found.path(step).name}": step for step in steps}
        newest, saved = steps[0] if steps else -1, -1 if self.status.saved is None else self.status.saved
        # A process can be killed after it saved a checkpoint, and before the status has it.
        if newest < saved or (newest > saved and has_ended_in_order(self.status)):
            there = f"the newest is of step {newest:,}" if steps else "there is none"
            raise VerificationError(f"{there}, though the newest was saved at step {self.status.saved}")
        return f"{len(steps)}, the newest at step {newest:,}" if steps else "none yet"

    def _read_checkpoint(self, step: int) -> str:
        about, most_bytes = None, None
        if self._experiment is not None and self._experiment.is_complete:
            most_bytes = checkpoint_bytes(self._experiment)
            about = {"network": self._experiment.network().describe(), "task": self._experiment.task_name}
        checkpoint = self.run.checkpoints().load(step, most_bytes=most_bytes, keep=False)
        require_own(checkpoint, self.status, about)
        if checkpoint.attempt > self.status.attempt:
            raise VerificationError(f"is of attempt {checkpoint.attempt}, after that of the status")
        self.run.check_metrics(checkpoint.metrics_bytes, self.status.id)
        return f"whole, of attempt {checkpoint.attempt}; {checkpoint.metrics_bytes:,} bytes of metrics belong to it"

    def _read_weights(self, which: Which) -> str:
        expected = None
        if self._experiment is not None and self._experiment.is_complete:
            expected = self._experiment.network().shapes()
        _, about = self.run.load_weights(which, expected, keep=False)
        require_id(self.run.path / "weights" / f"{which}.safetensors", about["id"], self.status.id)
        step = about["step"]
        if which == "last" and self.status.state == "completed" and step != self.status.step:
            raise VerificationError(f"are of step {step}, but the run ended at step {self.status.step:,}")
        best = self._summary.best if self._summary else None
        if which == "best" and best and step != best.step:
            raise VerificationError(f"are of step {step}, but the best evaluation was at step {best.step:,}")
        return f"whole, of step {step:,}"

    def _read_summary(self) -> str:
        summary, attempt = self.run.read_summary(self.status.id), self.status.attempt
        shown = f"of step {summary.steps:,}, stopped: {summary.stopped}"
        if summary.attempt > attempt or (summary.attempt < attempt and has_ended_in_order(self.status)):
            raise VerificationError(f"is of attempt {summary.attempt}, but the status is of attempt {attempt}")
        if summary.attempt < attempt or self.status.state == "running":
            return f"{shown}, before the run was resumed" if summary.attempt < attempt else shown
        if self._experiment is None or self._records is None:
            return f"{shown}; not compared with the config and the metrics"
        status, experiment, task, records = self.status, self._experiment, self._task, self._records
        if faults := list(summary_faults(summary, status=status, experiment=experiment, task=task, records=records)):
            raise VerificationError("; ".join(faults))
        self._summary = summary
        return shown

    def _read_lock(self) -> str:
        for path in self.run.path.iterdir():
            if is_lock(path.name):
                read_model(path, Holder, what="a lock that rnnlab wrote")
        holder = read_holder(self.run.path)
        if holder is None:
            return "not locked: the run can be resumed" if self.status.state == "running" else "not locked"
        return f"locked by {holder}" + ("" if holder.seems_alive() else ", which has ended: the run can be resumed")


def _others(run: RunFolder) -> Iterator[tuple[str, str]]:
    """Yield what is there beside the files of a run."""
    checkpoints = run.path / "checkpoints"
    read = [run.checkpoints().path(step) for step in run.checkpoints().steps()]
    for path in sorted(run.path.rglob("*")):
        name = str(path.relative_to(run.path))
        if is_leftover(path.name):
            yield name, "an unfinished write of a killed process; it is never read, and resuming removes it"
        elif path.parent == checkpoints and path not in read:
            yield name, "never read: a later attempt saved a checkpoint of that step too"
        elif path.parent == run.path and name not in OWN and not is_lock(name):
            yield name, "not a file of rnnlab"
