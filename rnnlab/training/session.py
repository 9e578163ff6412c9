"""One training under way: the loop, what it knows, and its whole state at any step."""

import math
import time
from collections.abc import Generator, Mapping
from contextlib import suppress
from typing import Any, final

import numpy as np

from rnnlab.config.experiment import Experiment
from rnnlab.core.batch import Batch
from rnnlab.core.errors import VerificationError
from rnnlab.core.streams import stream
from rnnlab.storage import Lock, RunFolder
from rnnlab.storage.checkpoint import Part
from rnnlab.storage.metrics import Value
from rnnlab.storage.weights import list_differences
from rnnlab.training.events import Evaluated, Event, Stepped
from rnnlab.training.flow_recorder import FlowRecorder
from rnnlab.training.progress import Averages, Best, Place, Success
from rnnlab.training.stopping import Deadline, Halt, Stop
from rnnlab.training.storing import Stopped, Store, in_short
from rnnlab.training.summary import summarize
from rnnlab.training.tensorboard import require_tensorboard
from rnnlab.training.validation import ValidationSet


@final
class Session:
    """The training of an experiment in this process; what it stores is the store's.

    Args:
        experiment: What to train.
        stop: Asked before every step and between the batches of an evaluation whether to stop.

    Raises:
        EnvironmentFault: The engine is missing.
    """

    store: Store

    def __init__(self, experiment: Experiment, stop: Stop) -> None:
        self.experiment, self.options = experiment, experiment.training
        self._deadline, self.stop = Deadline(self.options.max_seconds), stop
        self.task = experiment.build_task()
        self._source = self.task.part("train")
        self._ahead: tuple[int, Batch] | None = None  # a step, and its batch
        network = experiment.network(self.task)
        self.backend = experiment.build_backend()
        self._model = self.backend.build(
            network, parameters=network.draw(experiment.seed), training=experiment.recipe()
        )
        self.description: dict[str, Any] = {"network": network.describe(), "task": self.task.name}
        self.parameters = sum(parameter.size for parameter in network.parameters().values())
        self._validation = ValidationSet(
            self.task, sequences=experiment.evaluation.sequences, timesteps=experiment.timesteps, seed=experiment.seed
        )
        self._flow = FlowRecorder(experiment, network, self.task) if self.options.record else None
        if experiment.logging.tensorboard:
            require_tensorboard()
        self._success = Success(self.task.solved, self.options.batch_size)
        self._averages = Averages()
        self.best = Best(self.options.stop_on_plateau)
        self.place = Place()
        self._whole = True  # between steps
        self.bad = ""

    def facts(self) -> dict[str, Any]:
        """Return what the backend knows of what computes, and the task of its data, for the provenance."""
        return {"backend": self.backend.facts(self._model.network), "task": self.task.facts()}

    def open(self, run: RunFolder, lock: Lock) -> Store:
        """Take a run's folder to store in, and start the clock."""
        initial = self._model.parameters()
        often = self.options.checkpoint
        self.store = Store(
            run,
            lock,
            description=self.description,
            initial=initial,
            best=self.best,
            often=often,
            events=self.experiment.logging.tensorboard,
        )
        self._started = time.perf_counter()
        return self.store

    def state(self) -> dict[str, Part]:
        """Return all there is to remember between two steps: everything else follows from the config."""
        self.place.seconds, self._started = self.seconds(), time.perf_counter()
        return {
            "model": self._model.state_dict(),
            "place": self.place.state(),
            "success": self._success.state(),
            "averages": self._averages.state(),
            "best": self.best.state(),
        }

    def restore(self, state: Mapping[str, Part]) -> None:
        """Go on from what `state` gave, in this process or another.

        Raises:
            VerificationError: It is the state of another network; nothing was changed.
        """
        try:
            expected = {name: (array.shape, array.dtype) for name, array in self._model.state_dict().items()}
            differences = list_differences(state["model"], expected)  # type: ignore[arg-type]
            if differences:
                raise VerificationError(f"does not fit this network: {'; '.join(differences)}")
            for part, values in (
                (self.place, state["place"]),
                (self._success, state["success"]),
                (self._averages, state["averages"]),
                (self.best, state["best"]),
            ):
                part.restore(values)
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise VerificationError("lacks a part of the training's state") from fault
        self._model.load_state_dict(state["model"])  # type: ignore[arg-type]  # checked above

    def steps(self) -> Generator[Event, None, Stopped]:
        """Train until a reason to stop, and return it."""
        self.store.keep(self.place.updates, self._model.parameters())
        while True:
            if self._is_evaluation_due():
                try:
                    yield self._evaluate()
                except Halt:
                    return "interrupted"
            if stopped := self._reason_to_end():
                return stopped
            if self.store.is_due(self.place.step):
                self._save()
            if self.halts():
                return "interrupted"
            yield self._train_step()

    def halts(self) -> bool:
        """Say whether somebody asked to stop, or the time is up; whoever came first is the reason."""
        if not self.stop.reason and self._deadline.is_near(saving=self.store.save_seconds):
            self.stop.ask(f"training.max_seconds={self._deadline.max_seconds:g}")
        return bool(self.stop.reason)

    def close(self, stopped: Stopped, *, message: str = "") -> dict[str, Any]:
        """Store everything, and return the summary."""
        if self._whole and not self.bad:
            self._save()
        else:
            self._keep_finite(stopped)
            self.store.save(self.place.step, None)
        summary = summarize(self, stopped)
        self.store.close(stopped, summary=summary, step=self.place.step, message=message)
        return summary

    def fail(self, error: Exception) -> None:
        """Store what can be stored after an error, and the status whatever happens."""
        with suppress(Exception):  # where the disk is full it refuses again; the first error is the one to tell
            self.close("failed", message=in_short(error))
        self.store.fail(error, step=self.place.step)

    def seconds(self) -> float:
        """Return the seconds spent on training, in earlier processes too, by the monotonic clock."""
        return self.place.seconds + time.perf_counter() - self._started

    def divergence(self) -> str:
        """Return what diverged, and when."""
        return f"diverged at step {self.place.step}: {self.bad}, expected a finite number"

    def _batch_of(self, step: int) -> Batch:
        """Return a step's batch; it comes from a random stream of its own, so when it is drawn changes no number."""
        if self._ahead and self._ahead[0] == step:
            return self._ahead[1]
        rng = stream(self.experiment.seed, "data/train", step)
        size, timesteps = self.options.batch_size, self.experiment.timesteps
        return self._source.sample(rng, batch_size=size, timesteps=timesteps)

    def _draw_next(self) -> None:
        step = self.place.step + 1
        self._ahead = (step, self._batch_of(step)) if step < self.options.steps else None

    def _train_step(self) -> Stepped:
        """Draw the next batch and learn from it."""
        self._whole = False
        batch = self._batch_of(self.place.step)
        result = self._model.train_step(batch, meanwhile=self._draw_next)
        self.place.step += 1
        self._watch("training loss", result.loss)
        self._watch("gradient norm", result.gradient_norm)
        self.place.updates += not self.bad
        correct = self.task.correct(result.outputs, batch)
        self._averages.add(
            {
                "train/loss": result.loss,
                "train/error_rate": 1 - float(correct.mean()),
                "gradient_norm": result.gradient_norm,
                "learning_rate": result.learning_rate,
            }
        )
        if self._success.after_step(correct, result.loss):
            self._mark_solved()
        self._whole = True
        return Stepped(self.place.step, result.loss)

    def _evaluate(self) -> Evaluated:
        """Score the validation set, write the record, and keep what is worth keeping."""
        metrics = self._validation.score(self._model, between=self._halt)
        self._whole = False
        self.place.metrics, self.place.evaluated = metrics, self.place.step
        self._watch("validation loss", metrics["loss"])
        if self.place.step and self._success.after_validation(metrics):
            self._mark_solved()
        record: dict[str, Value] = {"step": self.place.step, "sequences": self._sequences()}
        record |= {"seconds": round(self.seconds(), 6)} | self._averages.take()
        record |= {f"validation/{name}": value for name, value in metrics.items()}
        if self._flow:
            record |= self._flow.record(self._model.parameters())
        self.store.record(record)
        if not self.bad:
            self._keep(metrics)
        self._whole = True
        return Evaluated(self.place.step, record, solved=self.place.solved_at is not None)

    def _keep(self, metrics: dict[str, float]) -> None:
        """Keep these weights as good, and as best where they are."""
        parameters = self._model.parameters()
        self.store.keep(self.place.step, parameters)
        if self.best.take(metrics["loss"]):
            self.best.step, self.best.metrics, self.best.parameters = self.place.step, metrics, parameters

    def _save(self) -> None:
        self.store.keep(self.place.updates, self._model.parameters())
        self.store.save(self.place.step, self.state(), evaluated=self.place.evaluated)

    def _keep_finite(self, stopped: Stopped) -> None:
        """Keep the weights of a step that ended badly, if they can be trusted: an error may have left them half new."""
        current = self._model.parameters()
        if self._whole and stopped != "failed" and all(np.isfinite(array).all() for array in current.values()):
            self.store.keep(self.place.updates, current)

    def _halt(self) -> None:
        if self.halts():
            raise Halt

    def _is_evaluation_due(self) -> bool:
        step = self.place.step
        at_end = self._is_solved() or step >= self.options.steps
        return not self.bad and step != self.place.evaluated and (at_end or step % self.options.evaluate_every == 0)

    def _reason_to_end(self) -> Stopped | None:
        if self.bad:
            return "diverged"
        if self._is_solved():
            return "solved"
        if self.best.is_plateau():
            return "plateau"
        return "budget" if self.place.step >= self.options.steps else None

    def _is_solved(self) -> bool:
        return self.place.solved_at is not None and self.options.stop_when_solved

    def _sequences(self) -> int:
        return self.place.step * self.options.batch_size

    def _mark_solved(self) -> None:
        """Note when the task was first solved."""
        if self.place.solved_at is None:
            spent = round(self.seconds(), 3)
            self.place.solved_at = {"step": self.place.step, "sequences": self._sequences(), "seconds": spent}

    def _watch(self, name: str, value: float) -> None:
        """Note the first number that is not finite."""
        if not math.isfinite(value) and not self.bad:
            self.bad = f"{name} is {value}"
