"""The `Experiment`: a config that is checked and complete, with every default filled in."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from rnnlab.backends import BACKENDS
from rnnlab.backends.base import AbstractBackend, Network, Training
from rnnlab.backends.keras.backend import KerasBackend, KerasOptions
from rnnlab.backends.numpy.model import NumpyBackend, NumpyOptions
from rnnlab.cells import CELLS
from rnnlab.cells.base import CellOptions
from rnnlab.config.blocks import EvaluationOptions, LoggingOptions, TrainingOptions
from rnnlab.core.batch import Lengths
from rnnlab.optim.rules import OPTIMIZERS
from rnnlab.optim.rules.base import OptimizerOptions
from rnnlab.optim.schedules import SCHEDULES
from rnnlab.optim.schedules.base import ScheduleOptions
from rnnlab.tasks import task_class
from rnnlab.tasks.base import AbstractTask, TaskOptions

# Keys of `training` that do not change the results of a run.
WITHOUT_EFFECT = ("checkpoint", "max_seconds", "recompute")


@dataclass(frozen=True, slots=True)
class Experiment:
    """What to train, on what, how, and from which seed; frozen and complete.

    Attributes:
        name: Name of the run.
        seed: Seed of all random streams, 0 … 2³²-1.
        precision: `float32` or `float64`.
        backend: Name of the backend, `numpy` or `keras`.
        engine: What Keras runs on.
        keras: Options of the backend keras.
        numpy: Options of the backend numpy.
        cell: Options of the cell, its units and layers.
        timesteps: Length of the shortest and of the longest sequence.
        task: Options of the task, by its full name.
        optimizer: The update rule's options.
        schedule: The learning-rate schedule's options.
        training: Steps, batch size, clipping, evaluation and stopping.
        evaluation: The validation set.
        logging: Additional outputs.
    """

    name: str
    seed: int
    precision: str
    backend: str
    engine: str
    keras: KerasOptions
    numpy: NumpyOptions
    cell: CellOptions
    timesteps: Lengths
    task: TaskOptions
    optimizer: OptimizerOptions
    schedule: ScheduleOptions
    training: TrainingOptions
    evaluation: EvaluationOptions
    logging: LoggingOptions

    def build_backend(self) -> AbstractBackend:
        """Return the backend, configured."""
        kind = BACKENDS.get(self.backend)
        if kind is KerasBackend:
            return KerasBackend(engine=self.engine, options=self.keras)
        return NumpyBackend(options=self.numpy) if kind is NumpyBackend else kind()

    def build_task(self) -> AbstractTask:
        """Return the task, configured."""
        return task_class(self.task.type)(self.task)

    def network(self, task: AbstractTask) -> Network:
        """Return the network for this task."""
        return Network(
            cell=CELLS.get(self.cell.type)(self.cell),
            input_features=task.input_features,
            output_features=task.output_features,
            return_sequences=task.return_sequences,
            loss=task.loss,
            precision=self.precision,
        )

    def recipe(self) -> Training:
        """Return how parameters are updated."""
        return Training(
            optimizer=OPTIMIZERS.get(self.optimizer.type)(self.optimizer),
            learning_rate=self.optimizer.learning_rate,
            schedule=SCHEDULES.get(self.schedule.type)(self.schedule, total_steps=self.training.steps),
            clip_norm=self.training.clip_norm,
            clip_value=self.training.clip_value,
            bptt_steps=self.training.bptt_steps,
            longest=self.timesteps[1],
            recompute=self.training.recompute,
        )

    def resolved(self) -> dict[str, Any]:
        """Return the experiment as a complete config; training from it repeats the run."""
        task = self.build_task()
        shape = {
            "timesteps": self.timesteps[0] if self.timesteps[0] == self.timesteps[1] else list(self.timesteps),
            "input_features": task.input_features,
            "output_features": task.output_features,
            "return_sequences": task.return_sequences,
        }
        training = self.training.model_dump()
        training |= {"optimizer": self.optimizer.model_dump(), "schedule": self.schedule.model_dump()}
        return {
            "name": self.name,
            "seed": self.seed,
            "precision": self.precision,
            "backend": self.backend,
            **self._resolved_backend(),
            "cell": self.cell.model_dump(),
            "shape": shape,
            "task": self.task.model_dump(),
            "training": training,
            "evaluation": self.evaluation.model_dump(),
            "logging": self.logging.model_dump(),
        }

    def _resolved_backend(self) -> dict[str, Any]:
        if self.backend == KerasBackend.name:
            return {"engine": self.engine, "keras": self.keras.model_dump()}
        return {"numpy": self.numpy.model_dump()} if self.backend == NumpyBackend.name else {}

    def sha256(self) -> str:
        """Return the SHA-256 of all that determines the results: equal for equal experiments, however they are written.

        It does not depend on how often checkpoints are saved, how long a process may train, what is recomputed or
        what is logged.
        """
        resolved = self.resolved()
        del resolved["logging"]
        resolved["training"] = {key: value for key, value in resolved["training"].items() if key not in WITHOUT_EFFECT}
        canonical = json.dumps(resolved, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()
