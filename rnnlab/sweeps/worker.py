"""The program of a worker process: `python -m rnnlab.sweeps.worker FD` trains the trials that it is sent, side by side.

When its connection, the open file FD, is closed, which means that the runner has ended, and on SIGTERM, the worker
saves its trials and ends.
"""

import math
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from typing import final

from rnnlab.backends.numpy import NumpyBackend
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.core.errors import DivergedError, RnnlabError, RunLockedError, StoppedError, VerificationError
from rnnlab.core.threads import MORE_PROCESSES
from rnnlab.storage.jsonfile import look_up
from rnnlab.storage.reading import kind
from rnnlab.storage.repository import describe_repository
from rnnlab.sweeps.pool import FromWorker, Ready, Score, ToWorker, Train, TrialStepped
from rnnlab.sweeps.status import TrialStatus
from rnnlab.training.events import Evaluated, Event, Stepped
from rnnlab.training.population import Ongoing, Population, watched
from rnnlab.training.resume import training_into
from rnnlab.training.stopping import Stop

_PROGRESS_SECONDS = 0.5  # between two progress messages
_LONGEST_REASON = 500


@final
class _Worker:
    def __init__(self, connection: "Connection[FromWorker, ToWorker]") -> None:
        self._connection = connection
        self._trials: queue.SimpleQueue[tuple[Train, Stop] | None] = queue.SimpleQueue()
        self._stops: dict[str, Stop] = {}  # of the trials that it was sent, by name
        self._is_ending = False
        self._engine = ""
        self._describe = cache(describe_repository)  # git takes as long as a small trial

    def run(self) -> None:
        try:
            threading.Thread(target=self._receive, daemon=True).start()
        except RuntimeError:  # the last line of the output is the reason that the runner reports
            sys.exit(f"cannot start a thread: {MORE_PROCESSES}, or start fewer workers")
        self._send(Ready())
        population: Population[TrialStatus] = Population()
        with NumpyBackend().running():  # once, and not for each trial
            while population or not self._is_ending:
                self._begin_waiting(population)
                for status in population.train_block():
                    self._end(status)

    def end(self, reason: str) -> None:
        """Save the current trials, and end; a signal handler may call it."""
        self._is_ending = True
        for stop in list(self._stops.values()):
            stop.ask(reason)
        self._trials.put(None)

    def _begin_waiting(self, population: Population[TrialStatus]) -> None:
        """Begin the trials that were sent; without any to train, wait for one."""
        while not self._is_ending:
            try:
                next_one = self._trials.get(block=not population)
            except queue.Empty:
                return
            if next_one and (status := population.add(self._train(*next_one))):
                self._end(status)

    def _end(self, status: TrialStatus) -> None:
        self._stops.pop(status.trial.name, None)
        self._send(status)

    def _receive(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                message = self._connection.recv()
                if isinstance(message, Train):
                    stop = self._stops[message.trial.name] = Stop()  # here, so that no interrupt is lost
                    self._trials.put((message, stop))
                elif stop_ := self._stops.get(message.trial):
                    stop_.ask(message.reason)
        self.end("the end of `rnnlab sweep`")

    def _send(self, message: FromWorker) -> None:
        try:
            self._connection.send(message)
        except OSError:
            self.end("the end of `rnnlab sweep`")

    def _train(self, message: Train, stop: Stop) -> Ongoing[TrialStatus]:
        trial = message.trial
        try:
            return (yield from self._train_to_end(message, stop))
        except DivergedError as error:
            return TrialStatus(trial, "diverged", str(error)[:_LONGEST_REASON])
        except StoppedError as error:
            return TrialStatus(trial, "interrupted", error.problem[:_LONGEST_REASON])  # its hint is for `rnnlab train`
        except RunLockedError:
            return TrialStatus(trial, "running")
        except Exception as error:  # even a bug in one trial does not stop the others
            kind = "" if isinstance(error, RnnlabError) else f"{type(error).__name__}: "
            return TrialStatus(trial, "failed", f"{kind}{error}"[:_LONGEST_REASON])

    def _train_to_end(self, message: Train, stop: Stop) -> Ongoing[TrialStatus]:
        trial, config, into = message.trial, message.sweep.config(message.trial), message.sweep.run(message.trial).path
        loaded = load_experiment(config)
        if kind(into) not in {"missing", "folder"}:
            raise VerificationError("is not a folder of this sweep (a link, or a file)", where=str(into))
        if loaded.experiment.sha256() != trial.sha256:
            hint = "bring the old file back; to train with other values, start another sweep with --into DIR"
            raise VerificationError("was changed since the sweep was planned", where=str(config), hint=hint)
        if not self._can_train(loaded.experiment):
            return TrialStatus(trial, "missing")
        training = training_into(
            into,
            loaded.experiment,
            config=loaded.document.raw,
            argv=["rnnlab", "train", str(config), "--into", str(into)],
            beside=config.absolute().parent,
            stop=stop,
            force_unlock=message.force_unlock,
            describe=self._describe,
            probed=True,  # by the runner
        )
        report = self._reporter(message, loaded.experiment.training.budget[0])
        finished = yield from watched(training, report)
        if finished is None:
            raise RuntimeError("the training ended without an event")
        result = _finite(look_up(finished.summary.model_dump(), message.metric))
        return TrialStatus(trial, "completed", result=result, solved=bool(finished.summary.solved))

    def _reporter(self, message: Train, budget: int) -> Callable[[Event], None]:
        """Return what sends the runner what it is to know of the events of a training."""
        last = time.monotonic()

        def report(event: Event) -> None:
            nonlocal last
            if isinstance(event, Stepped) and time.monotonic() - last >= _PROGRESS_SECONDS:
                last = time.monotonic()
                self._send(TrialStepped(message.trial, event.done, budget, _finite(event.loss)))
            elif isinstance(event, Evaluated) and message.report_scores and event.step:
                score = _finite(event.record.get(f"validation/{message.metric.removeprefix('metrics.')}"))
                if score is not None:
                    self._send(Score(message.trial, event.step, score))

        return report

    def _can_train(self, experiment: Experiment) -> bool:
        """Return whether this process has not yet loaded another Keras engine than this experiment needs."""
        needed = experiment.engine if experiment.backend == "keras" else ""
        self._engine = self._engine or needed
        return needed in {"", self._engine}


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def main() -> None:
    """Train the trials that arrive on the connection."""
    connection: Connection[FromWorker, ToWorker]
    with Connection(int(sys.argv[1])) as connection:
        worker = _Worker(connection)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runner
        signal.signal(signal.SIGTERM, lambda *_: worker.end("SIGTERM"))
        worker.run()


if __name__ == "__main__":
    main()
