"""A network in training: one step, one evaluation, and the whole state between two steps. It knows no run folder."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.config.experiment import Experiment
from rnnlab.core.batch import Batch
from rnnlab.core.errors import VerificationError
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.storage.checkpoint import Part
from rnnlab.storage.metrics import Value
from rnnlab.storage.provenance import Process, collect
from rnnlab.storage.weights import list_differences
from rnnlab.training.events import Evaluated, Stepped
from rnnlab.training.gradient_by_lag import GradientRecorder
from rnnlab.training.progress import Averages, Best, Place, Stateful, Success
from rnnlab.training.stopping import Deadline, Reason
from rnnlab.training.validation import ValidationSet

Parameters = dict[str, NDArray[Any]]


@final
class Trainer:
    """The training of one experiment in this process.

    Args:
        experiment: What to train.

    Attributes:
        deadline: The end of the time that `training.max_seconds` gives this process.
        about: What the weights are of; stored with them and compared when they are loaded.
        parameter_count: How many numbers are trained.
        place: How far the training is.
        best: The best weights so far.
        good: The newest weights known to be finite, and their step.
        bad: The first number that was not finite; empty while all are.
        is_whole: Whether the state is that between two steps; False after an error inside one.

    Raises:
        EnvironmentFault: The engine is missing.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.options = experiment, experiment.training
        self.deadline = Deadline(self.options.max_seconds)
        self.task = experiment.build_task()
        self.network, recipe = experiment.network(), experiment.recipe()
        self.backend = experiment.build_backend()
        initial = self.network.draw(experiment.seed)
        self._model = self.backend.build(self.network, parameters=initial, training=recipe)
        self._source = self.task.part("train")
        self._drawn_ahead: tuple[int, Batch] | None = None  # a step, and its batch
        self._validation = ValidationSet(
            self.task, sequences=experiment.evaluation.sequences, timesteps=experiment.timesteps, seed=experiment.seed
        )
        self._gradient = GradientRecorder(experiment, self.network, self.task) if self.options.record else None
        self.about: dict[str, Any] = {"network": self.network.describe(), "task": experiment.task_name}
        if self.task.scaling:
            self.about["scaling"] = self.task.scaling.describe()
        self.parameter_count = sum(parameter.size for parameter in self.network.parameters().values())
        self.place, self.best = Place(), Best(self.options.stop_on_plateau)
        self._success = Success(self.task.success(experiment.timesteps), self.options.batch_size)
        self._averages, self._schedule = Averages(), recipe.schedule
        self.good: tuple[int, Parameters] = 0, self._model.parameters()
        self.is_whole, self.bad = True, ""
        self._started = time.perf_counter()

    @property
    def _parts(self) -> dict[str, Stateful]:
        return {
            "place": self.place,
            "success": self._success,
            "averages": self._averages,
            "best": self.best,
            "schedule": self._schedule,
        }

    def process(self, argv: Sequence[str], *, attempt: int) -> Process:
        """Return what this process is and how it computes, for the provenance; `argv` is its command line."""
        return collect(
            argv=argv,
            config_sha256=self.experiment.sha256(),
            attempt=attempt,
            step=self.place.step,
            backend=self.backend.facts(self.network),
        )

    def seconds(self) -> float:
        """Return the seconds spent on training, in earlier processes too, by the monotonic clock."""
        return self.place.seconds + time.perf_counter() - self._started

    def state(self) -> dict[str, Part]:
        """Return all there is to remember between two steps: everything else follows from the config."""
        self.place.seconds, self._started = self.seconds(), time.perf_counter()
        return {"model": self._model.state_dict()} | {name: part.state() for name, part in self._parts.items()}

    def restore(self, state: Mapping[str, Part]) -> None:
        """Resume from what `state` returned, in this process or another.

        Raises:
            VerificationError: It is the state of another network, or lacks a part.
        """
        model: Mapping[str, Any] = state.get("model", {})
        try:
            expected = {name: (array.shape, array.dtype) for name, array in self._model.state_dict().items()}
            if differences := list_differences(model, expected):
                raise VerificationError(f"does not fit this network: {'; '.join(differences)}")
            for name, part in self._parts.items():
                part.restore(state[name])
            if self.best.parameters and list_differences(self.best.parameters, self.network.shapes()):
                raise VerificationError("has best weights that do not fit this network")
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise VerificationError("lacks a part of the training's state") from fault
        self._model.load_state_dict(model)
        self.keep()

    def keep(self) -> None:
        """Keep the weights as they are now as good ones."""
        self.good = self.place.updates, self._model.parameters()

    def keep_if_finite(self) -> None:
        """Keep the weights where a step ended badly and yet left them whole and finite."""
        current = self._model.parameters()
        if self.is_whole and all(np.isfinite(array).all() for array in current.values()):
            self.good = self.place.updates, current

    def train_step(self) -> Stepped:
        """Learn from the next batch."""
        self.is_whole = False
        batch = self._batch_of(self.place.step)
        result = self._model.train_step(batch, meanwhile=self._draw_next)
        self.place.step += 1
        self._check_finite("training loss", result.loss)
        self._check_finite("gradient norm", result.gradient_norm)
        self.place.updates += not self.bad
        correct = self.task.correct(LOSSES[self.task.loss].answers(result.outputs), batch)
        error_rate = {} if correct is None else {"train/error_rate": 1 - float(correct.mean())}
        self._averages.add(
            {
                "train/loss": result.loss,
                **error_rate,
                "gradient_norm": result.gradient_norm,
                "learning_rate": result.learning_rate,
            }
        )
        if correct is not None and self._success.after_step(correct, result.loss):
            self._mark_solved()
        self.is_whole = True
        return Stepped(self.place.step, result.loss)

    def evaluate(self, *, between: Callable[[], None], record: Callable[[Mapping[str, Value]], None]) -> Evaluated:
        """Score the validation set, and keep the weights as good, and as the best where they are.

        Args:
            between: Called before each batch. If it raises, nothing has changed.
            record: Stores the record. If it raises, the state is not whole: the averages since the last are spent.
        """
        metrics = self._validation.score(self._model, between=between)
        self.is_whole = False
        self.place.metrics, self.place.evaluated = metrics, self.place.step
        self._check_finite("validation loss", metrics["loss"])
        if self.place.step and self._success.after_validation(metrics):
            self._mark_solved()
        measured: dict[str, Value] = {"step": self.place.step, "sequences": self._sequences()}
        measured |= {"seconds": round(self.seconds(), 6)} | self._averages.take()
        measured |= {f"validation/{name}": value for name, value in metrics.items()}
        if self._gradient:
            measured |= self._gradient.record(self._model.parameters())
        record(measured)
        if not self.bad:
            learning_rate = self.experiment.training.optimizer.learning_rate
            self._schedule.after_evaluation(metrics["loss"], learning_rate=learning_rate)
            self.good = self.place.step, self._model.parameters()
            if self.best.take(metrics["loss"]):
                self.best.step, self.best.metrics, self.best.parameters = self.place.step, metrics, self.good[1]
        self.is_whole = True
        return Evaluated(self.place.step, measured, solved=self.place.solved_at is not None)

    def is_evaluation_due(self) -> bool:
        """Return whether the validation set is to be scored before the next step."""
        step = self.place.step
        at_end = self._is_solved() or step >= self.options.steps
        is_due = at_end or step % self.options.evaluate_every == 0 or step in self.options.evaluate_at
        return not self.bad and step != self.place.evaluated and is_due

    def reason_to_end(self) -> Reason | None:
        """Return why there is no next step, None where there is one."""
        if self.bad:
            return "diverged"
        if self._is_solved():
            return "solved"
        if self.best.is_plateau():
            return "plateau"
        return "budget" if self.place.step >= self.options.steps else None

    def divergence(self) -> str:
        """Return what diverged, and when."""
        return f"diverged at step {self.place.step}: {self.bad}, expected a finite number"

    def _batch_of(self, step: int) -> Batch:
        """Return a step's batch; it comes from a random stream of its own, so when it is drawn changes no number."""
        if self._drawn_ahead and self._drawn_ahead[0] == step:
            return self._drawn_ahead[1]
        rng = stream(self.experiment.seed, "data/train", step)
        return self._source.sample(rng, batch_size=self.options.batch_size, timesteps=self.experiment.timesteps)

    def _draw_next(self) -> None:
        step = self.place.step + 1
        self._drawn_ahead = (step, self._batch_of(step)) if step < self.options.steps else None

    def _is_solved(self) -> bool:
        return self.place.solved_at is not None and self.options.stop_when_solved

    def _sequences(self) -> int:
        return self.place.step * self.options.batch_size

    def _mark_solved(self) -> None:
        """Note when the task was first solved."""
        if self.place.solved_at is None:
            spent = round(self.seconds(), 3)
            self.place.solved_at = {"step": self.place.step, "sequences": self._sequences(), "seconds": spent}

    def _check_finite(self, name: str, value: float) -> None:
        """Note the first number that is not finite."""
        if not math.isfinite(value) and not self.bad:
            self.bad = f"{name} is {value}"
