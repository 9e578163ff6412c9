"""The run folder of a training: written while it runs, with event files for TensorBoard, closed with how it ended."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.errors import EnvironmentFault, RnnlabError, VerificationError
from rnnlab.core.packages import is_installed, missing_package
from rnnlab.core.system_errors import reported
from rnnlab.storage import RunFolder, Status, disk
from rnnlab.storage.checkpoint import Checkpoint, Part
from rnnlab.storage.fields import storable
from rnnlab.storage.metrics import Value
from rnnlab.storage.provenance import Process
from rnnlab.storage.summary import Summary
from rnnlab.training.events import record_line
from rnnlab.training.stopping import EXIT_CODES, Reason, state_of
from rnnlab.training.trainer import Trainer

_FLUSH_SECONDS = 5  # of event files
FIRST_SECONDS = 1.0  # until the first save, at which a disk that refuses is found
_AT_ONCE = 130  # the exit code of a process that Ctrl-C ended before its state was saved


@final
class Store:
    """The open files of a run in training.

    Args:
        run: The folder, with the lock on it.
        status: As it was just written.
        trainer: What is stored.
        resumed_from: The checkpoint that the training resumes from, if any.
        note: The first line of this process in the log.
    """

    def __init__(
        self,
        run: RunFolder,
        *,
        status: Status,
        trainer: Trainer,
        resumed_from: Checkpoint | None = None,
        note: str = "",
    ) -> None:
        self.run, self.save_seconds = run, 0.0
        self._status, self._trainer = status, trainer
        self._often = trainer.options.checkpoint
        self._events: EventFile | None = None
        self._written: dict[str, int] = {}  # the step of each file of weights
        self._saved_at: tuple[int, int] | None = None
        self._saved, self._began_at = time.perf_counter(), trainer.place.step
        with ExitStack() as opened:  # closed again where not all can be opened
            self._metrics = opened.enter_context(self.run.metrics_writer(status.id))
            self._log = opened.enter_context(self.run.open_log())
            self._checkpoints = self.run.checkpoints(make=True)
            if note:
                self._log.append(note.encode())
            if trainer.experiment.logging.tensorboard:
                self._events = EventFile(run, run.read_metrics().records, run.read_provenance(status.id).processes)
                opened.callback(self._events.close)
            self._files = opened.pop_all()
        if resumed_from:
            self._checkpoints.trust(resumed_from.step)

    @property
    def status(self) -> Status:
        """The status as this process last stored it."""
        return self._status

    def record(self, record: Mapping[str, Value]) -> None:
        """Append a record to the metrics, and a line for readers to the log."""
        self._metrics.write(record)
        self._log.append(record_line(record).encode())
        if self._events:
            self._events.add(record, time.time())

    def is_due(self, step: int) -> bool:
        """Return whether to save now that these steps are done."""
        since, last = time.perf_counter() - self._saved, self._saved_at
        steps, seconds = self._often.every_steps, self._often.every_seconds
        return (
            (steps is not None and step % steps == 0 and step > (last[0] if last else self._began_at))
            or (seconds is not None and since >= seconds)
            or (last is None and since >= FIRST_SECONDS)
        )

    def save(self, state: Mapping[str, Part] | None, *, closing: bool = False) -> None:
        """Write a checkpoint, the best weights if any were scored, the last good ones, and the step reached.

        Args:
            state: What to resume from; None where the training is in the middle of a step, or has diverged.
            closing: Whether `close` follows, which writes the step reached.

        Raises:
            RunLockedError: Another process has taken the run over; nothing was written.
            EnvironmentFault: A system error.
        """
        began = time.perf_counter()
        self._metrics.sync()  # before the checkpoint, which counts its bytes
        place, best = self._trainer.place, self._trainer.best
        at = place.step, place.evaluated  # after an evaluation there is more to remember
        if state is not None and at != self._saved_at and _is_finite(state):
            self._checkpoints.save(self._checkpoint(place.step, state))
            self._saved_at = at
        if best.parameters:
            self._save_weights("best", best.step, best.parameters)
        self._save_weights("last", *self._trainer.good)
        if self._saved_at is not None:
            self._status = self._status.changed(step=self._saved_at[0], saved=self._saved_at[0])
            if not closing:
                self.run.write_status(self._status)
        self._saved = time.perf_counter()
        self.save_seconds = max(self.save_seconds, self._saved - began)

    def close(self, stopped: Reason, *, summary: Summary, message: str) -> None:
        """Write the summary and, last, the status, which has how the training ended."""
        step = self._trainer.place.step
        self.run.write_summary(summary)
        self._log.append(f"{stopped} at step {step} {message}".rstrip().encode())
        if stopped != "failed":
            state = state_of(stopped)
            ended = self._status.changed(state=state, step=step, exit_code=EXIT_CODES[state], message=message)
            self.run.write_status(ended)

    def fail(self, error: BaseException) -> None:
        """Write the status of a training that an error has ended, whatever else could be written.

        Raises:
            RunLockedError: Another process has taken the run over: that error may come from the loss of a file to it.
        """
        write_failure(self.run, self._status, error, step=self._trainer.place.step)

    def look(self) -> None:
        """Raise `RunLockedError` if this process is known to have lost the lock; no file is read."""
        if self.run.lock:
            self.run.lock.look()

    @contextmanager
    def closed_on_error(self) -> Iterator[None]:
        """Close the files where an error ends the block."""
        try:
            yield
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Close the files."""
        self._files.close()

    def _checkpoint(self, step: int, state: Mapping[str, Part]) -> Checkpoint:
        return Checkpoint(
            id=self._status.id,
            attempt=self.run.attempt,
            step=step,
            metrics_bytes=self._metrics.size,
            about=self._trainer.about,
            state=state,
        )

    def _save_weights(self, which: Literal["best", "last"], step: int, parameters: Mapping[str, NDArray[Any]]) -> None:
        if self._written.get(which) != step:
            about = {"id": self._status.id, **self._trainer.about, "step": step}
            self.run.save_weights(which, parameters, about)
            self._written[which] = step


def require_tensorboard() -> None:
    """Pass if event files can be written.

    Raises:
        EnvironmentFault: The package is not installed.
    """
    if not is_installed("tensorboard"):
        problem = "logging.tensorboard needs the package tensorboard"
        raise missing_package(problem, extra="tensorboard", instead="set logging.tensorboard=false")


@final
class EventFile:
    """The event file of one attempt; it begins with all that was recorded before, and files of earlier attempts go.

    Args:
        run: The run, with the lock on it; the file goes to `tensorboard/` in its folder.
        before: The records so far.
        processes: The processes that trained the run, this one too.
    """

    def __init__(self, run: RunFolder, before: Sequence[Mapping[str, Any]], processes: Sequence[Process]) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        folder = run.inner("tensorboard", make=True)
        with reported("write", folder):
            for path in folder.glob("events.out.tfevents.*"):
                attempt = path.suffix.removeprefix(".")
                if attempt.isdecimal() and int(attempt) < run.attempt:
                    with suppress(FileNotFoundError):
                        disk.unlink(path)
            self._writer = EventFileWriter(str(folder), flush_secs=_FLUSH_SECONDS, filename_suffix=f".{run.attempt}")
        for record, moment in zip(before, moments(before, processes), strict=True):
            self.add(record, moment)

    def add(self, record: Mapping[str, Any], moment: float) -> None:
        """Add the numbers of a record that was made at a moment, in seconds since 1970."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=name, simple_value=float(value))
            for name, value in record.items()
            if name not in {"step", "seconds"} and isinstance(value, int | float) and not isinstance(value, bool)
        ]
        self._writer.add_event(Event(wall_time=moment, step=record["step"], summary=Summary(value=values)))

    def close(self) -> None:
        """Write what is left."""
        with suppress(OSError):  # derived from the record, which is safe
            self._writer.close()


def moments(records: Sequence[Mapping[str, Any]], processes: Sequence[Process]) -> list[float]:
    """Return when each record was made, in seconds since 1970: from its seconds and the start of its process.

    Args:
        records: In order; `seconds` are those of training, without the time between two processes.
        processes: That made them, in order.
    """
    found, number, before = [], 0, 0.0  # `before`: seconds of training when the process began
    for place, record in enumerate(records):
        while number + 1 < len(processes) and record["step"] > processes[number + 1].step:
            number, before = number + 1, float(records[place - 1]["seconds"]) if place else 0.0
        found.append(processes[number].started.timestamp() + float(record["seconds"]) - before)
    return found


def in_short(error: BaseException) -> str:
    """Return an error as a status stores it: its class and its message."""
    return storable(f"{type(error).__name__}: {error}", 500)


@contextmanager
def beginning(run: RunFolder, status: Status) -> Iterator[None]:
    """Write the status of an attempt that an error ends within the block."""
    try:
        yield
    except BaseException as error:
        write_failure(run, status, error, step=status.step)
        raise


def write_failure(run: RunFolder, status: Status, error: BaseException, *, step: int) -> None:
    """Write the status of a training that an error has ended, if the system still allows it.

    Raises:
        RunLockedError: Another process has taken the run over.
    """
    state, code = ("failed", _exit_code(error)) if isinstance(error, Exception) else ("interrupted", _AT_ONCE)
    with suppress(EnvironmentFault, VerificationError, MemoryError):
        run.write_status(status.changed(state=state, step=step, exit_code=code, message=in_short(error)))


def _exit_code(error: Exception) -> int:
    if isinstance(error, MemoryError):
        return EnvironmentFault.exit_code
    return error.exit_code if isinstance(error, RnnlabError) else 1


def _is_finite(state: Mapping[str, Part]) -> bool:
    arrays = (value for part in state.values() for value in part.values() if isinstance(value, np.ndarray))
    return all(np.isfinite(array).all() for array in arrays)
