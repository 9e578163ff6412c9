"""The run folder's side of a training: opened, fed while it runs, and closed with a true account however it ends."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.config.blocks import CheckpointOptions
from rnnlab.config.experiment import Experiment
from rnnlab.config.yaml_writer import dump_yaml
from rnnlab.core.errors import DivergedError, EnvironmentFault, RnnlabError, RunLockedError, StoppedError
from rnnlab.storage import Lock, RunFolder, State, Status, provenance
from rnnlab.storage.checkpoint import Checkpoint, Part
from rnnlab.storage.lock import BEAT_SECONDS
from rnnlab.storage.metrics import Value
from rnnlab.training.progress import Best
from rnnlab.training.record import record_line
from rnnlab.training.tensorboard import EventFile

Stopped = Literal["solved", "budget", "plateau", "diverged", "interrupted", "failed"]
Parameters = dict[str, NDArray[Any]]

_STATES: dict[Stopped, State] = {"diverged": "diverged", "interrupted": "interrupted", "failed": "failed"}
_EXIT_CODES: dict[Stopped, int] = {"diverged": DivergedError.exit_code, "interrupted": StoppedError.exit_code}
AT_ONCE = 130  # the exit code of a process that Ctrl-C ended before its state was saved


def state_of(stopped: Stopped) -> State:
    """Return the state of a run that stopped for this reason."""
    return _STATES.get(stopped, "completed")


@final
class Store:
    """What one training writes, and the newest weights that are worth writing.

    Args:
        run: The folder.
        lock: The lock on it.
        description: What the weights are of; stored with them.
        initial: The weights before the first step.
        best: The best so far; the training takes note of it here, and the store writes it.
        often: How often to save.
        events: Whether to write event files for TensorBoard, too.
    """

    def __init__(
        self,
        run: RunFolder,
        lock: Lock,
        *,
        description: Mapping[str, Any],
        initial: Parameters,
        best: Best,
        often: CheckpointOptions,
        events: bool = False,
    ) -> None:
        self.run, self.best = run, best
        self.good_step, self.good = 0, initial
        self.save_seconds = 0.0
        self._lock, self._often, self._about = lock, often, dict(description)
        self._written: dict[str, int] = {}  # the step of what each file of weights holds
        self._wants_events = events
        self._events: EventFile | None = None
        self._saved_at: tuple[int, int] | None = None
        self._saved = self._beaten = time.perf_counter()

    def begin(
        self,
        experiment: Experiment,
        *,
        config: bytes,
        argv: Sequence[str],
        facts: Mapping[str, Any],
        beside: Path | None,
        describe: provenance.Describe | None = None,
    ) -> None:
        """Write what is known before the first step: the config, where it all comes from, and last the status.

        Args:
            experiment: What is trained.
            config: The config's bytes as given.
            argv: The command line.
            facts: What the backend knows of what computes, and the task of its data.
            beside: The config's folder: a git repository around it is recorded.
            describe: Who describes that repository.
        """
        self._status = Status.start(self.run.name).changed(attempt=self._lock.attempt)
        try:
            self.run.write_config(config)
            self.run.write_resolved(dump_yaml(experiment.resolved()))
            self.run.write_provenance(
                provenance.collect(
                    argv=argv,
                    seed=experiment.seed,
                    config=config,
                    config_sha256=experiment.sha256(),
                    extra=facts,
                    folder=beside,
                    describe=describe,
                )
            )
            self.run.cut_metrics(0)
            self._start()
        except BaseException as error:
            self._write_failure(error, step=0)
            raise

    def take_up(self, status: Status, checkpoint: Checkpoint | None) -> None:
        """Go on from a checkpoint; without one, from the first step.

        What was measured later is cut off: this training measures it again.
        """
        step = checkpoint.step if checkpoint else 0
        self.run.cut_metrics(checkpoint.metrics_bytes if checkpoint else 0)
        self._status = status.again(attempt=self._lock.attempt, step=step)
        self._start(f"resumed at step {step}, attempt {self._lock.attempt}")
        if checkpoint:
            self._checkpoints.trust(step)

    def _start(self, *said: str) -> None:
        with ExitStack() as opened:  # and closed again where not all can be
            self._metrics = opened.enter_context(self.run.metrics_writer())
            self._log = opened.enter_context(self.run.open_log())
            self._checkpoints = self.run.new_checkpoints()
            self.run.write_status(self._status)
            for line in said:
                self._log.append(line.encode())
            if self._wants_events:
                self._events = EventFile(self.run, self.run.read_metrics().records)
            opened.pop_all()

    def record(self, record: dict[str, Value]) -> None:
        """Append a record to the metrics, and in words to the log."""
        self._metrics.write(record)
        self._log.append(record_line(record).encode())
        if self._events:
            self._events.add(record)

    def keep(self, step: int, parameters: Parameters) -> None:
        """Remember weights as the last good ones."""
        self.good_step, self.good = step, parameters

    def is_due(self, step: int) -> bool:
        """Say whether to save now that these steps are done; the first time at once. Give a sign of life if need be."""
        now = time.perf_counter()
        if now - self._beaten >= BEAT_SECONDS:
            self._lock.beat()
            self._beaten = now
        steps, seconds = self._often.every_steps, self._often.every_seconds
        return (
            self._saved_at is None
            or (steps is not None and step % steps == 0 and step != self._saved_at[0])
            or (seconds is not None and now - self._saved >= seconds)
        )

    def save(self, step: int, state: Mapping[str, Part] | None, *, evaluated: int = -1) -> None:
        """Write all there is to remember, the best weights if any were scored, the last good ones, and how far it is.

        Args:
            step: Steps done.
            state: What to go on from; None where the training is in the middle of a step, or has diverged.
            evaluated: The step of the last evaluation: after it there is more to remember.

        Raises:
            RunLockedError: Another process has taken the run over; nothing was written.
            EnvironmentFault: The system refused.
        """
        began = time.perf_counter()
        self.require_lock()
        self._metrics.sync()  # before the checkpoint, which counts its bytes
        if state is not None and (step, evaluated) != self._saved_at and _is_finite(state):
            self._checkpoints.save(self._checkpoint(step, state))
            self._saved_at = (step, evaluated)
        if self.best.parameters:
            self._save_weights("best", self.best.step, self.best.parameters)
        self._save_weights("last", self.good_step, self.good)
        if self._saved_at is not None:
            self._status = self._status.changed(step=self._saved_at[0])
            self.run.write_status(self._status)
        self._saved = time.perf_counter()
        self.save_seconds = max(self.save_seconds, self._saved - began)

    def close(self, stopped: Stopped, *, summary: Mapping[str, Any], step: int, message: str) -> None:
        """Write the summary and, the status last, how the training ended."""
        self.require_lock()
        self.run.write_summary(summary)
        self._log.append(f"{stopped} at step {step} {message}".rstrip().encode())
        if stopped != "failed":
            code = _EXIT_CODES.get(stopped, 0)
            self.run.write_status(
                self._status.changed(state=state_of(stopped), step=step, exit_code=code, message=message)
            )
        self.abandon()

    def fail(self, error: BaseException, *, step: int) -> None:
        """Write the status of a training that an error has ended, whatever else could be written."""
        self.abandon()
        if not isinstance(error, RunLockedError):  # then it is another's to write
            self._write_failure(error, step=step)

    def abandon(self) -> None:
        """Close the files."""
        self._metrics.close()
        self._log.close()
        if self._events:
            self._events.close()
            self._events = None

    def _checkpoint(self, step: int, state: Mapping[str, Part]) -> Checkpoint:
        return Checkpoint(
            run=self._status.id,
            attempt=self._lock.attempt,
            step=step,
            metrics_bytes=self._metrics.size,
            about=self._about,
            state=state,
        )

    def _save_weights(self, which: Literal["best", "last"], step: int, parameters: Parameters) -> None:
        if self._written.get(which) != step:
            self.run.save_weights(which, parameters, {**self._about, "run": self.run.name, "step": step})
            self._written[which] = step

    def require_lock(self) -> None:
        """Pass if this process may write. The status is asked too: a lock that was given back leaves no trace.

        Raises:
            RunLockedError: Another process has taken the run over, and perhaps is through with it.
        """
        self._lock.check()
        if self.run.read_status().attempt != self._lock.attempt:
            raise RunLockedError("was trained on by another process meanwhile", where=str(self.run.path))

    def _write_failure(self, error: BaseException, *, step: int) -> None:
        state, code = ("failed", _exit_code(error)) if isinstance(error, Exception) else ("interrupted", AT_ONCE)
        with suppress(EnvironmentFault):
            self.run.write_status(self._status.changed(state=state, step=step, exit_code=code, message=in_short(error)))


def in_short(error: BaseException) -> str:
    """Return an error as a status holds it: its class and its message, cut to 500 letters."""
    return f"{type(error).__name__}: {error}"[:500]


def _exit_code(error: Exception) -> int:
    if isinstance(error, MemoryError):
        return EnvironmentFault.exit_code
    return error.exit_code if isinstance(error, RnnlabError) else 1


def _is_finite(state: Mapping[str, Part]) -> bool:
    arrays = (value for part in state.values() for value in part.values() if isinstance(value, np.ndarray))
    return all(np.isfinite(array).all() for array in arrays)
