"""One worker of a sweep, a process of its own that trains trial after trial: `python -m rnnlab.sweeps.worker`.

Lines of `rnnlab.sweeps.orders` come on stdin and go to stdout; whatever a library says goes to stderr. When stdin ends,
whoever started this process is gone: then, as on SIGTERM, it saves what it trains and leaves.
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
from rnnlab.core.errors import (
    DivergedError,
    EnvironmentFault,
    RnnlabError,
    RunLockedError,
    StoppedError,
)
from rnnlab.runs.rows import look_up
from rnnlab.storage.repository import describe_repository
from rnnlab.sweeps.orders import AbstractLine, Ended, Halt, Outcome, Progress, Ready, Scored, Train, read_line
from rnnlab.training.events import Evaluated, Finished, Stepped
from rnnlab.training.resume import train_into
from rnnlab.training.stopping import Stop

_PROGRESS_SECONDS = 0.5  # between two lines about one trial
_REPOSITORY_SECONDS = 5.0
_OUTCOMES: dict[type[RnnlabError], Outcome] = {
    DivergedError: "diverged",
    StoppedError: "interrupted",
    RunLockedError: "elsewhere",
}


@final
class Worker:
    """Trains what it is told.

    Args:
        orders: Where lines come from.
        answers: Where lines go.
    """

    def __init__(self, orders: BinaryIO, answers: BinaryIO) -> None:
        self._orders, self._answers = orders, answers
        self._waiting: queue.SimpleQueue[tuple[Train, Stop] | None] = queue.SimpleQueue()
        self._stop = Stop()
        self._leaving = ""
        self._engine = ""  # one process, one engine
        self._described: dict[Path, tuple[float, dict[str, Any] | None]] = {}

    def run(self) -> None:
        """Train until nothing more is wanted."""
        threading.Thread(target=self._listen, daemon=True).start()
        self._say(Ready())
        while not self._leaving and (next_ := self._waiting.get()) is not None:
            self._say(self._train(*next_))

    def leave(self, reason: str) -> None:
        """Save what is being trained, and train nothing more; a signal handler may call it."""
        self._leaving = reason
        self._stop.ask(reason)
        self._waiting.put(None)

    def _listen(self) -> None:
        for line in self._orders:
            order = read_line(line)
            if isinstance(order, Train):
                self._stop = Stop()  # here, so that a wish that follows at once is not lost
                self._waiting.put((order, self._stop))
            elif isinstance(order, Halt):
                self._stop.ask(order.reason)
        self.leave("the end of its controller")

    def _train(self, order: Train, stop: Stop) -> Ended:
        try:
            return self._trained(order, stop)
        except RnnlabError as error:
            outcome = _OUTCOMES.get(type(error), "failed")
            told = error.problem if outcome == "interrupted" else str(error)  # the sweep has its own way to go on
            return Ended(outcome, exit_code=error.exit_code, reason=told[:500])
        except MemoryError:
            return Ended("failed", exit_code=EnvironmentFault.exit_code, reason="out of memory")
        except Exception as error:  # a bug costs one trial, not the sweep
            return Ended("failed", exit_code=1, reason=f"{type(error).__name__}: {error}"[:500])

    def _trained(self, order: Train, stop: Stop) -> Ended:
        config, into = Path(order.config), Path(order.into)
        loaded = load_experiment(config)
        if not self._can_train(loaded.experiment):
            return Ended("retire")
        argv = ["rnnlab", "train", order.config, "--into", order.into]
        told: dict[str, Any] = {"config": loaded.document.raw, "argv": argv, "beside": config.absolute().parent}
        steps, last = loaded.experiment.training.steps, time.monotonic()
        with closing(train_into(into, loaded.experiment, stop=stop, describe=self._describe, **told)) as events:
            for event in events:
                if isinstance(event, Stepped) and time.monotonic() - last >= _PROGRESS_SECONDS:
                    last = time.monotonic()
                    self._say(Progress(event.step, steps, event.loss if math.isfinite(event.loss) else None))
                elif order.scores and isinstance(event, Evaluated) and event.step:  # before it, nothing is learned
                    self._score(order, event)
                elif isinstance(event, Finished):
                    result = look_up(event.summary, order.metric)
                    number = float(result) if isinstance(result, int | float) else None
                    return Ended("completed", result=number, solved=bool(event.summary.get("solved")))
        raise RuntimeError("a training ended without a word")

    def _score(self, order: Train, event: Evaluated) -> None:
        value = event.record.get(f"validation/{order.metric.removeprefix('metrics.')}")
        if isinstance(value, int | float) and math.isfinite(value):
            self._say(Scored(event.step, float(value)))

    def _can_train(self, experiment: Experiment) -> bool:
        wanted = experiment.engine if experiment.backend == "keras" else ""
        self._engine = self._engine or wanted
        return wanted in {"", self._engine}

    def _describe(self, folder: Path) -> dict[str, Any] | None:
        """Return the state of the repository as it was some seconds ago at most: git takes as long as a small trial."""
        then, told = self._described.get(folder, (-math.inf, None))
        if time.monotonic() - then > _REPOSITORY_SECONDS:
            told = describe_repository(folder)
            self._described[folder] = (time.monotonic(), told)
        return told

    def _say(self, line: AbstractLine) -> None:
        try:
            self._answers.write(line.to_line())
            self._answers.flush()
        except OSError:  # nobody reads any more: what is trained is saved all the same
            self.leave("the end of its controller")


def main() -> None:
    """Work for whoever started this process."""
    answers = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(answers, "wb") as out:
        worker = Worker(sys.stdin.buffer, out)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's to hear
        signal.signal(signal.SIGTERM, lambda *_: worker.leave("SIGTERM"))
        worker.run()


if __name__ == "__main__":
    main()
