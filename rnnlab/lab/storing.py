"""The run folder's side of a training: opened, fed while it runs, and closed with a true account however it ends."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, final

from numpy.typing import NDArray

from rnnlab.config.experiment import Experiment
from rnnlab.config.yaml_writer import dump_yaml
from rnnlab.core.errors import DivergedError, EnvironmentFault, RnnlabError
from rnnlab.lab.progress import Best
from rnnlab.lab.record import record_line
from rnnlab.runs import RunFolder, State, Status, provenance

Stopped = Literal["solved", "budget", "plateau", "diverged", "interrupted", "failed"]
Parameters = dict[str, NDArray[Any]]

_STATES: dict[Stopped, State] = {"diverged": "diverged", "interrupted": "interrupted", "failed": "failed"}
_EXIT_CODES: dict[Stopped, int] = {"diverged": DivergedError.exit_code, "interrupted": 130}
_SAVE_SECONDS = 10.0  # weights go to the disk this often, so a crash loses no more; each write waits for the disk


def state_of(stopped: Stopped) -> State:
    """Return the state of a run that stopped for this reason."""
    return _STATES.get(stopped, "completed")


@final
class Store:
    """What one training writes, and the newest weights that are worth writing.

    Args:
        run: The folder, new and empty.
        description: What the weights are of; stored with them.
        initial: The weights before the first step.
        best: The best so far; the training takes note of it here, and the store writes it.
    """

    def __init__(self, run: RunFolder, *, description: Mapping[str, Any], initial: Parameters, best: Best) -> None:
        self.run, self.best = run, best
        self.good_step, self.good = 0, initial
        self._description = {**description, "run": run.name}
        self._status = Status.start(run.name)

    def open(
        self,
        experiment: Experiment,
        *,
        config: bytes,
        argv: Sequence[str],
        facts: Mapping[str, Any],
        beside: Path | None,
    ) -> None:
        """Write what is known before the first step: the status, the config, where it all comes from.

        Args:
            experiment: What is trained.
            config: The config's bytes as given.
            argv: The command line.
            facts: What the backend knows of what computes, and the task of its data.
            beside: The config's folder: a git repository around it is recorded.
        """
        self.run.write_status(self._status)
        try:
            self.run.write_config(config)
            self.run.write_resolved(dump_yaml(experiment.resolved()))
            self.run.write_provenance(
                provenance.collect(
                    argv=argv,
                    seed=experiment.seed,
                    config_sha256=experiment.sha256(),
                    extra=facts,
                    folder=beside,
                )
            )
            self._metrics, self._log = self.run.metrics_writer(), self.run.open_log()
        except BaseException as error:
            self._write_failure(error, step=0)
            raise
        self._saved = -math.inf  # so that the first evaluation is stored at once

    def record(self, record: dict[str, float | int | str]) -> None:
        """Append a record to the metrics, and in words to the log."""
        self._metrics.write(record)
        self._log.append(f"{record_line(record)}\n".encode())

    def keep(self, step: int, parameters: Parameters) -> None:
        """Remember weights as the last good ones."""
        self.good_step, self.good = step, parameters

    def save_now_and_then(self, step: int) -> None:
        """Write the weights and how far the training is, if the last time was long ago."""
        if time.perf_counter() - self._saved > _SAVE_SECONDS:
            self.save()
            self._status = self._status.changed(step=step)
            self.run.write_status(self._status)

    def save(self) -> None:
        """Write the best weights, if any were ever scored, and the last good ones."""
        if self.best.parameters:
            self.run.save_weights("best", self.best.parameters, {**self._description, "step": self.best.step})
        self.run.save_weights("last", self.good, {**self._description, "step": self.good_step})
        self._metrics.sync()
        self._saved = time.perf_counter()

    def close(self, stopped: Stopped, *, summary: Mapping[str, Any], step: int, message: str) -> None:
        """Write the summary and, the status last, how the training ended."""
        self.run.write_summary(summary)
        self._log.append(f"{stopped} at step {step} {message}".rstrip().encode() + b"\n")
        if stopped != "failed":
            code = _EXIT_CODES.get(stopped, 0)
            self.run.write_status(
                self._status.changed(state=state_of(stopped), step=step, exit_code=code, message=message)
            )
        self._close_files()

    def fail(self, error: Exception, *, step: int) -> None:
        """Write the status of a training that an error has ended, whatever else could be written."""
        self._close_files()
        self._write_failure(error, step=step)

    def _close_files(self) -> None:
        self._metrics.close()
        self._log.close()

    def _write_failure(self, error: BaseException, *, step: int) -> None:
        state, code = ("failed", _exit_code(error)) if isinstance(error, Exception) else ("interrupted", 130)
        with suppress(EnvironmentFault):
            self.run.write_status(self._status.changed(state=state, step=step, exit_code=code, message=in_short(error)))


def in_short(error: BaseException) -> str:
    """Return an error as a status holds it: its class and its message, cut to 500 letters."""
    return f"{type(error).__name__}: {error}"[:500]


def _exit_code(error: Exception) -> int:
    if isinstance(error, MemoryError):
        return EnvironmentFault.exit_code
    return error.exit_code if isinstance(error, RnnlabError) else 1
