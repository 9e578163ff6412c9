"""Training: one experiment to one run folder, as a generator of events."""

import math
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import DivergedError
from rnnlab.core.streams import stream
from rnnlab.lab.events import Evaluated, Event, Finished, Started, Stepped
from rnnlab.lab.memory import require_memory
from rnnlab.lab.progress import Averages, Best, Success
from rnnlab.lab.storing import Stopped, Store, in_short, state_of
from rnnlab.lab.validation import ValidationSet
from rnnlab.runs import RunFolder


def train(
    experiment: Experiment, *, runs: Path, config: bytes, argv: Sequence[str], beside: Path | None = None
) -> Generator[Event, None, None]:
    """Train an experiment in a new run folder.

    Everything that can be wrong with the experiment shows before the folder is made. However the training ends, the
    folder then holds its metrics, the best and the last weights, and a true status. Close the generator to interrupt.

    Args:
        experiment: What to train.
        runs: The folder that holds run folders.
        config: The config's bytes as given, stored with the run.
        argv: The command line, for the provenance.
        beside: The config's folder: a git repository around it is recorded.

    Raises:
        DivergedError: The loss or the gradient was not finite.
        EnvironmentFault: The engine is missing, the memory would not suffice, or the disk refuses.
    """
    require_memory(experiment)
    session = _Session(experiment)
    with session.backend.running():  # entered by now, so that the provenance tells the threads that training has
        session.open(runs, config=config, argv=argv, beside=beside)
    try:
        with session.backend.running():
            yield Started(session.store.run, experiment, session.task, session.parameters)
            stopped = yield from session.steps()
        summary = session.close(stopped, message=session.divergence() if stopped == "diverged" else "")
    except (KeyboardInterrupt, GeneratorExit):
        session.close("interrupted")
        raise
    except Exception as error:
        session.fail(error)
        raise
    if stopped == "diverged":
        raise DivergedError(session.divergence(), where=str(session.store.run.path), hint=session.advice())
    yield Finished(session.store.run, summary)


class _Session:
    """One training under way: the loop and what it knows; what it stores is the store's."""

    store: Store

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.options = experiment, experiment.training
        self.task = experiment.build_task()
        self.source = self.task.part("train")
        network = experiment.network(self.task)
        self.backend = experiment.build_backend()
        self.model = self.backend.build(network, parameters=network.draw(experiment.seed), training=experiment.recipe())
        self.description: dict[str, Any] = {"network": network.describe(), "task": self.task.name}
        self.parameters = sum(parameter.size for parameter in network.parameters().values())
        self.validation = ValidationSet(
            self.task, sequences=experiment.evaluation.sequences, timesteps=experiment.timesteps, seed=experiment.seed
        )
        self.success = Success(self.task.solved, self.options.batch_size)
        self.averages = Averages()
        self.best = Best(self.options.stop_on_plateau)
        self.step = self.updates = 0  # a step whose loss is not finite updates nothing
        self.metrics: dict[str, float] = {}
        self.solved_at: dict[str, float | int] | None = None
        self.bad = ""

    def open(self, runs: Path, *, config: bytes, argv: Sequence[str], beside: Path | None) -> None:
        """Make the run folder, and start the clock."""
        initial = self.model.parameters()
        facts = {"backend": self.backend.facts(self.model.network), "task": self.task.facts()}
        run = RunFolder.create(runs, self.experiment.name)
        self.store = Store(run, description=self.description, initial=initial, best=self.best)
        self.store.open(self.experiment, config=config, argv=argv, facts=facts, beside=beside)
        self.started = time.perf_counter()

    def steps(self) -> Generator[Event, None, Stopped]:
        """Train until a reason to stop, and return it."""
        yield self.evaluate()
        while not self.bad:
            yield self.train_step()
            done = self.solved_at is not None and self.options.stop_when_solved
            if not self.bad and (done or self.step % self.options.evaluate_every == 0 or self.is_budget_spent()):
                yield self.evaluate()
                done = self.solved_at is not None and self.options.stop_when_solved
            if self.bad:
                break
            if done:
                return "solved"
            if self.best.is_plateau():
                return "plateau"
            if self.is_budget_spent():
                return "budget"
        return "diverged"

    def train_step(self) -> Stepped:
        """Draw the next batch and learn from it."""
        rng = stream(self.experiment.seed, "data/train", self.step)
        size = self.options.batch_size
        batch = self.source.sample(rng, batch_size=size, timesteps=self.experiment.timesteps)
        result = self.model.train_step(batch)
        self.step += 1
        self.watch("training loss", result.loss)
        self.watch("gradient norm", result.gradient_norm)
        self.updates += not self.bad
        correct = self.task.correct(result.outputs, batch)
        self.averages.add(
            {
                "train/loss": result.loss,
                "train/error_rate": 1 - float(correct.mean()),
                "gradient_norm": result.gradient_norm,
                "learning_rate": result.learning_rate,
            }
        )
        if self.success.after_step(correct, result.loss):
            self.mark_solved()
        return Stepped(self.step, result.loss)

    def evaluate(self) -> Evaluated:
        """Score the validation set, write the record, and keep what is worth keeping."""
        self.metrics = self.validation.score(self.model)
        self.watch("validation loss", self.metrics["loss"])
        if self.step and self.success.after_validation(self.metrics):
            self.mark_solved()
        record: dict[str, float | int | str] = {"step": self.step, "sequences": self.step * self.options.batch_size}
        record |= {"seconds": round(self.seconds(), 6)} | self.averages.take()
        record |= {f"validation/{name}": value for name, value in self.metrics.items()}
        self.store.record(record)
        if not self.bad:
            self.keep()
        return Evaluated(self.step, record, solved=self.solved_at is not None)

    def keep(self) -> None:
        """Keep these weights as good, and as best where they are."""
        parameters = self.model.parameters()
        self.store.keep(self.step, parameters)
        if self.best.take(self.metrics["loss"]):
            self.best.step, self.best.metrics, self.best.parameters = self.step, self.metrics, parameters
        self.store.save_now_and_then(self.step)

    def close(self, stopped: Stopped, *, message: str = "") -> dict[str, Any]:
        """Store everything, and return the summary."""
        current = self.model.parameters()
        if stopped != "failed" and all(np.isfinite(array).all() for array in current.values()):
            self.store.keep(self.updates, current)
        self.store.save()
        summary = self.summary(stopped)
        self.store.close(stopped, summary=summary, step=self.step, message=message)
        return summary

    def fail(self, error: Exception) -> None:
        """Store what can be stored after an error, and the status whatever happens."""
        with suppress(Exception):  # where the disk is full it refuses again; the first error is the one to tell
            self.close("failed", message=in_short(error))
        self.store.fail(error, step=self.step)

    def summary(self, stopped: Stopped) -> dict[str, Any]:
        """Return the result in figures; a number that is not finite is null."""
        experiment, timesteps = self.experiment, self.experiment.timesteps
        seconds = self.seconds()
        # Once the loss is not finite, the metrics of the last evaluation are no longer those of this network.
        metrics = dict.fromkeys(self.metrics, math.nan) if self.bad else self.metrics
        return {
            "run": self.store.run.name,
            "name": experiment.name,
            "state": state_of(stopped),
            "stopped": stopped,
            "task": self.task.name,
            "timesteps": list(timesteps),
            "backend": experiment.backend,
            "cell": experiment.cell.type,
            "seed": experiment.seed,
            "parameters": self.parameters,
            "steps": self.step,
            "sequences": self.step * self.options.batch_size,
            "seconds": round(seconds, 3),
            "steps_per_second": round(self.step / seconds, 3),
            "baseline": self.task.baseline(timesteps),
            "solved": self.solved_at is not None,
            "solved_rule": str(self.task.solved),
            "solved_at": self.solved_at,
            "loss": _finite(metrics).get("loss"),
            "metrics": _finite(metrics),
            "best": {"step": self.best.step, "metrics": _finite(self.best.metrics)},
        }

    def seconds(self) -> float:
        """Return the seconds since training began, by the monotonic clock."""
        return time.perf_counter() - self.started

    def is_budget_spent(self) -> bool:
        """Return whether all steps are done."""
        return self.step >= self.options.steps

    def mark_solved(self) -> None:
        """Note when the task was first solved."""
        if self.solved_at is None:
            sequences = self.step * self.options.batch_size
            self.solved_at = {"step": self.step, "sequences": sequences, "seconds": round(self.seconds(), 3)}

    def watch(self, name: str, value: float) -> None:
        """Note the first number that is not finite."""
        if not math.isfinite(value) and not self.bad:
            self.bad = f"{name} is {value}"

    def divergence(self) -> str:
        """Return what diverged, and when."""
        return f"diverged at step {self.step}: {self.bad}, expected a finite number"

    def advice(self) -> str:
        """Return where the last finite weights are, and what to try."""
        return (
            f"weights/last.safetensors there holds the last finite weights, of step {self.store.good_step}; "
            "lower training.optimizer.learning_rate or set training.clip_norm"
        )


def _finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
