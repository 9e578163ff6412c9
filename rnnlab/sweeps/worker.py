"""The program of a worker process: `python -m rnnlab.sweeps.worker` trains the trials that it is sent.

Messages come on stdin and go to stdout; whatever a library prints goes to stderr. When stdin ends, which means that the
runner has ended, and on SIGTERM, the worker saves its trial and ends.
"""

import math
import os
import queue
import signal
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, final

from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.core.errors import DivergedError, RnnlabError, RunLockedError, StoppedError
from rnnlab.storage.jsonfile import look_up
from rnnlab.storage.provenance import describe_repository
from rnnlab.sweeps.pool import Ended, Interrupt, Message, Progress, Ready, Score, Train, from_line, to_line
from rnnlab.training.events import Evaluated, Finished, Stepped
from rnnlab.training.resume import train_into
from rnnlab.training.stopping import Stop

_PROGRESS_SECONDS = 0.5  # between two progress messages
_REPOSITORY_SECONDS = 5.0  # git takes as long as a small trial
_LONGEST_REASON = 500


@final
class _Worker:
    def __init__(self, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self._stdin, self._stdout = stdin, stdout
        self._trials: queue.SimpleQueue[tuple[Train, Stop] | None] = queue.SimpleQueue()
        self._stop = Stop()  # of the newest trial
        self._is_ending = False
        self._engine = ""
        self._repositories: dict[Path, tuple[float, dict[str, Any] | None]] = {}

    def run(self) -> None:
        threading.Thread(target=self._receive, daemon=True).start()
        self._send(Ready())
        while not self._is_ending and (trial := self._trials.get()) is not None:
            self._send(self._train(*trial))

    def end(self, reason: str) -> None:
        """Save the current trial, and end; a signal handler may call it."""
        self._is_ending = True
        self._stop.ask(reason)
        self._trials.put(None)

    def _receive(self) -> None:
        for line in self._stdin:
            message = from_line(line)
            if isinstance(message, Train):
                self._stop = Stop()  # made here, so that an interrupt that follows at once is not lost
                self._trials.put((message, self._stop))
            elif isinstance(message, Interrupt):
                self._stop.ask(message.reason)
        self.end("the end of `rnnlab sweep`")

    def _send(self, message: Message) -> None:
        try:
            self._stdout.write(to_line(message))
            self._stdout.flush()
        except OSError:
            self.end("the end of `rnnlab sweep`")

    def _train(self, trial: Train, stop: Stop) -> Ended:
        try:
            return self._train_to_end(trial, stop)
        except DivergedError as error:
            return Ended("diverged", str(error)[:_LONGEST_REASON])
        except StoppedError as error:
            return Ended("interrupted", error.problem[:_LONGEST_REASON])  # its hint is for `rnnlab train`
        except RunLockedError:
            return Ended("locked")
        except Exception as error:  # even a bug in one trial does not stop the others
            kind = "" if isinstance(error, RnnlabError) else f"{type(error).__name__}: "
            return Ended("failed", f"{kind}{error}"[:_LONGEST_REASON])

    def _train_to_end(self, trial: Train, stop: Stop) -> Ended:
        config = Path(trial.config)
        loaded = load_experiment(config)
        if not self._can_train(loaded.experiment):
            return Ended("needs new worker")
        steps, last = loaded.experiment.training.steps, time.monotonic()
        events = train_into(
            Path(trial.into),
            loaded.experiment,
            config=loaded.document.raw,
            argv=["rnnlab", "train", trial.config, "--into", trial.into],
            beside=config.absolute().parent,
            stop=stop,
            describe=self._describe_repository,
        )
        with closing(events):
            for event in events:
                if isinstance(event, Stepped) and time.monotonic() - last >= _PROGRESS_SECONDS:
                    last = time.monotonic()
                    self._send(Progress(event.step, steps, _finite(event.loss)))
                elif isinstance(event, Evaluated) and trial.report_scores and event.step:
                    score = _finite(event.record.get(f"validation/{trial.metric.removeprefix('metrics.')}"))
                    if score is not None:
                        self._send(Score(event.step, score))
                elif isinstance(event, Finished):
                    result = _finite(look_up(event.summary, trial.metric))
                    return Ended("completed", result=result, solved=bool(event.summary.get("solved")))
        raise RuntimeError("the training ended without an event")

    def _can_train(self, experiment: Experiment) -> bool:
        """Return whether this process has not yet loaded another Keras engine than this experiment needs."""
        needed = experiment.engine if experiment.backend == "keras" else ""
        self._engine = self._engine or needed
        return needed in {"", self._engine}

    def _describe_repository(self, folder: Path) -> dict[str, Any] | None:
        when, described = self._repositories.get(folder, (-math.inf, None))
        if time.monotonic() - when > _REPOSITORY_SECONDS:
            described = describe_repository(folder)
            self._repositories[folder] = (time.monotonic(), described)
        return described


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def main() -> None:
    """Train the trials that arrive on stdin."""
    stdout = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(stdout, "wb") as out:
        worker = _Worker(sys.stdin.buffer, out)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runner
        signal.signal(signal.SIGTERM, lambda *_: worker.end("SIGTERM"))
        worker.run()


if __name__ == "__main__":
    main()
