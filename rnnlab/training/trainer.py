"""A network in training: a block of updates, an evaluation, and the state between them. It knows no run folder."""

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import BlockResult, nothing
from rnnlab.config.experiment import Experiment
from rnnlab.core.batch import Batch
from rnnlab.core.errors import VerificationError
from rnnlab.core.losses import LOSSES
from rnnlab.storage.checkpoint import Part
from rnnlab.storage.metrics import Value
from rnnlab.storage.provenance import Process, collect
from rnnlab.storage.weights import list_differences
from rnnlab.training.blocks import Answer, Pace, Request
from rnnlab.training.events import Evaluated, Stepped
from rnnlab.training.gradient_by_lag import GradientRecorder
from rnnlab.training.progress import Averages, Best, Place, Stateful, Success
from rnnlab.training.source import Source
from rnnlab.training.stopping import Deadline, Reason
from rnnlab.training.validation import scored_set

Parameters = dict[str, NDArray[Any]]


@final
class Trainer:
    """The training of one experiment in this process.

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
        self._source = Source.of(experiment, self.task)
        self._pace = Pace()
        self._validation = scored_set(experiment, self.task)
        self._gradient = GradientRecorder(experiment, self.network, self.task) if self.options.record else None
        self.about: dict[str, Any] = {"network": self.network.describe(), "task": experiment.task_name}
        if self.task.scaling:
            self.about["scaling"] = self.task.scaling.describe()
        self.parameter_count = self.network.parameter_count
        self.place, self.best = Place(), Best(self.options.stop_on_plateau)
        self._success = Success(self.task.rule(experiment.timesteps), self.options.batch_size)
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
            backend=self.backend.facts(
                self.network, self.experiment.recipe(), batch_size=self.experiment.training.batch_size
            ),
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

    def train_block(self) -> Generator[Request, Answer, Stepped]:
        """Learn from the next batches: as many as take a moment, and end where something else is due or all is done."""
        self.is_whole = False
        first, updates = self.place.step, self._pace.updates(most=min(self._until_due(), self._source.unit))
        batch = self._source.batches(first, updates)
        watched = self.place.solved_at is None and self._success.may_be_met(updates)
        before = self._model.state_dict() if watched and updates > 1 and self.options.stop_when_solved else None
        is_last = first + updates >= self.options.steps
        meanwhile = nothing if is_last else partial(self._source.draw_ahead, first + updates, updates)
        answer = yield Request(self.backend, self._model, batch, updates, meanwhile)
        result, done = answer.result, len(answer.result.losses)
        self._pace.took(answer.seconds, answer.updates)
        correct = self.task.correct(LOSSES[self.task.loss].answers(result.outputs), self._part(batch, done))
        solved = self._success.first_met(correct, result.losses) if watched and correct is not None else None
        if solved is not None and before and solved + 1 < done:  # the weights are to be those of that moment
            done = solved + 1
            self._model.load_state_dict(before)
            yield from self._train_again(self._part(batch, done), done)
        self._take(result, correct, done)
        if solved is not None:
            self._mark_solved(first + solved + 1)
        self.is_whole = True
        return Stepped(self.place.step, float(result.losses[done - 1]), self.done)

    def _until_due(self) -> int:
        """Return the most updates until the training ends, is scored or is saved at a step.

        Where it is scored between streams, or ends with one, so does the block (see `Stream`).
        """
        step, options = self.place.step, self.options
        evaluate_every = options.evaluate_every if options.streams is None else None
        every = filter(None, [evaluate_every, options.checkpoint.every_steps])
        due = [options.steps, *(step + one - step % one for one in every)]
        return min(due + [at for at in options.evaluate_at if at > step]) - step

    def _part(self, batch: Batch, updates: int) -> Batch:
        return batch.rows(0, updates * self.options.batch_size)

    def _train_again(self, batch: Batch, updates: int) -> Generator[Request, Answer, None]:
        """Repeat updates whose results are known."""
        done, size = 0, self.options.batch_size
        while done < updates:
            rest = batch.rows(done * size, updates * size)
            answer = yield Request(self.backend, self._model, rest, updates - done)
            done += len(answer.result.losses)

    def _take(self, result: BlockResult, correct: NDArray[np.bool_] | None, done: int) -> None:
        """Take in the results of the first updates of a block."""
        losses = result.losses[:done]
        norms, rates = result.gradient_norms[:done], result.learning_rates[:done]
        self._check_finite("training loss", float(losses[-1]))
        self._check_finite("gradient norm", float(norms[-1]))
        self.place.step += done
        self.place.updates += done - bool(self.bad)
        wrong = {}
        if correct is not None:
            correct = correct[: done * self.options.batch_size]
            self._success.take(correct, losses)
            wrong = {"train/error_rate": 1 - correct.reshape(done, -1).mean(axis=1)}
        self._averages.add({"train/loss": losses, **wrong, "gradient_norm": norms, "learning_rate": rates})

    def evaluate(self, *, between: Callable[[], None], record: Callable[[Mapping[str, Value]], None]) -> Evaluated:
        """Score the validation set, and keep the weights as good, and as the best where they are.

        Args:
            between: Called before each batch. If it raises, nothing has changed.
            record: Stores the record. If it raises, the state is not whole: the averages since the last are spent.
        """
        metrics = self._validation.score(self._model, between=between)
        self.is_whole = False
        self.place.metrics, self.place.evaluated, self.place.streams = metrics, self.place.step, self._model.streams
        self._check_finite("validation loss", metrics["loss"])
        if self.place.step and self._success.is_met_by(metrics):
            self._mark_solved(self.place.step)
        measured: dict[str, Value] = {"step": self.place.step, "sequences": self.place.step * self.options.batch_size}
        measured |= {"seconds": round(self.seconds(), 6)}
        measured |= {} if self.options.update == "sequence" else {"streams": self._model.streams}
        measured |= self._averages.take()
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
        step, options, streams = self.place.step, self.options, self._model.streams
        if options.streams is None:
            is_due = step % options.evaluate_every == 0
        else:
            is_due = step == 0 or (streams > self.place.streams and streams % options.evaluate_every == 0)
        is_due = is_due or self._is_solved() or self._is_over() or step in options.evaluate_at
        return not self.bad and step != self.place.evaluated and is_due

    def reason_to_end(self) -> Reason | None:
        """Return why there is no next step, None where there is one."""
        if self.bad:
            return "diverged"
        if self._is_solved():
            return "solved"
        if self.best.is_plateau():
            return "plateau"
        return "budget" if self._is_over() else None

    def divergence(self) -> str:
        """Return what diverged, and when."""
        return f"diverged at step {self.place.step}: {self.bad}, expected a finite number"

    @property
    def done(self) -> int:
        """How much of the budget is done, in steps or streams."""
        return self.place.step if self.options.streams is None else self._model.streams

    def _is_over(self) -> bool:
        return self.place.step >= self.options.steps or self.done >= self.options.budget[0]

    def _is_solved(self) -> bool:
        return self.place.solved_at is not None and self.options.stop_when_solved

    def _mark_solved(self, step: int) -> None:
        """Note when the task was first solved."""
        if self.place.solved_at is None:
            sequences, spent = step * self.options.batch_size, round(self.seconds(), 3)
            self.place.solved_at = {"step": step, "sequences": sequences, "seconds": spent}

    def _check_finite(self, name: str, value: float) -> None:
        """Note the first number that is not finite."""
        if not math.isfinite(value) and not self.bad:
            self.bad = f"{name} is {value}"
