"""The `Experiment`: a config that is checked and complete, with every default filled in; and its JSON Schema."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic.json_schema import models_json_schema

from rnnlab.backends import BACKENDS
from rnnlab.backends._output import OutputOptions
from rnnlab.backends.base import AbstractBackend, Network, Training
from rnnlab.backends.keras import KerasBackend, KerasOptions
from rnnlab.backends.keras.engines import DEFAULT_ENGINE, ENGINES
from rnnlab.backends.numpy import NumpyBackend, NumpyOptions
from rnnlab.cells import CELLS, DEFAULT
from rnnlab.cells.base import AbstractCell, CellOptions, Initializers
from rnnlab.config.blocks import (
    LARGEST_SEED,
    EvaluationOptions,
    LoggingOptions,
    ShapeOptions,
    SweepOptions,
    TrainingOptions,
)
from rnnlab.config.check import EMPTY, Member, short_for
from rnnlab.config.document import InFull, Node
from rnnlab.core import activations
from rnnlab.core.batch import Lengths, range_text
from rnnlab.core.code_files import CodeFile, all_missing_named, code_files_of, without_path
from rnnlab.core.losses import LOSSES
from rnnlab.core.options import Options
from rnnlab.core.own_classes import configured, is_known, without_place
from rnnlab.core.text import counted
from rnnlab.optim.rules import OPTIMIZERS
from rnnlab.optim.schedules import SCHEDULES
from rnnlab.tasks import TASKS, described_task, task_class
from rnnlab.tasks.base import AbstractTask, TaskOptions

# Keys of `training` that do not change the results of a run.
WITHOUT_EFFECT = ("checkpoint", "max_seconds", "recompute")


class Experiment(Options):
    """What to train, on what, how, and from which seed; frozen, and complete as `check_document` returns it."""

    name: str = Field("run", description="name of the run; default: the name of the file")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="seed of all random streams of the run")
    precision: Literal["float32", "float64"] = Field("float32", description="of parameters and states")
    backend: str = Field("numpy", description="what trains the network: numpy or keras")
    engine: str = Field(
        DEFAULT_ENGINE, description="what Keras runs on: tensorflow, jax or torch; ignored with backend numpy"
    )
    keras: KerasOptions = KerasOptions()
    numpy: NumpyOptions = NumpyOptions()
    cell: Annotated[CellOptions, Member(CELLS, DEFAULT)] = Field(EMPTY, description="the cell and its size")
    output: OutputOptions = OutputOptions()
    shape: ShapeOptions = ShapeOptions()
    task: Annotated[TaskOptions, Member(TASKS, find=described_task)] = Field(description="what is to be learnt")
    training: TrainingOptions = TrainingOptions()
    evaluation: EvaluationOptions = EvaluationOptions()
    logging: LoggingOptions = LoggingOptions()

    @field_validator("*")
    @classmethod
    def _note(cls, value: Any, info: ValidationInfo) -> Any:
        """Pass on what is valid, so that blocks can be compared even if others have errors."""
        if info.context is not None:
            info.context[info.field_name] = value
        return value

    def __repr__(self) -> str:
        parts = f"{self.cell_name} cell, {self.cell.units} units, on {self.task_name}, T={range_text(self.timesteps)}"
        return f"<Experiment {self.name!r}: {parts}; {counted(*self.training.budget)}, backend {self.backend}>"

    @property
    def timesteps(self) -> Lengths:
        """Length of the shortest and of the longest sequence."""
        shortest, longest = self.shape.timesteps or (1, 1)
        return shortest, longest

    def build_backend(self) -> AbstractBackend:
        """Return the backend, configured."""
        kind = BACKENDS.get(self.backend)
        if kind is KerasBackend:
            return KerasBackend(engine=self.engine, options=self.keras)
        return NumpyBackend(options=self.numpy) if kind is NumpyBackend else kind()

    def build_task(self) -> AbstractTask:
        """Return the task, configured.

        Raises:
            UsageError, VerificationError: A file that it reads is not there, or has another content.
        """
        with all_missing_named(self.code_files.values()):
            kind = task_class(self.task.type)
        task = kind(configured(kind, self.task).with_files_found())
        task.loss = self._loss(task.loss)
        task.asked = self.training.success.rule() if self.training.success else None
        return task

    def network(self) -> Network:
        """Return the network; the task, whose shape it has, is not built, so that its data need not be there."""
        shape = self.shape
        assert shape.input_features
        assert shape.output_features
        with all_missing_named(self.code_files.values()):
            kind: type[AbstractCell] = CELLS.get(self.cell.type)
            return Network(
                cell=kind(configured(kind, self.cell)),
                input_features=shape.input_features,
                output_features=shape.output_features,
                return_sequences=bool(shape.return_sequences),
                loss=self._loss(task_class(self.task.type).loss),
                precision=self.precision,
                output=self.output,
            )

    @property
    def cell_name(self) -> str:
        """The name of its cell; of one in a file, its class."""
        return str(without_path(self.cell.type))

    @property
    def task_name(self) -> str:
        """The full name of its task; of one in a file, its class."""
        return str(without_path(self.task.type))

    @property
    def code_files(self) -> dict[str, CodeFile]:
        """The classes in files, by the last key of the block that names it: cell, task, optimizer, schedule."""
        named = {f"{key}.type": block.type for key, block in self._blocks.items()}
        return {key.split(".")[-2]: file for key, file in code_files_of(named).items()}

    @property
    def is_complete(self) -> bool:
        """Whether all is known; what is in a file that a stored run names is not, until it is built and so imported."""
        return all(map(is_known, self._blocks.values()))

    @property
    def _blocks(self) -> dict[str, Any]:
        training = self.training
        return {
            "cell": self.cell,
            "task": self.task,
            "training.optimizer": training.optimizer,
            "training.schedule": training.schedule,
        }

    def _loss(self, own: str) -> str:
        """Return the loss, where the task's own is `own`."""
        chosen = self.training.loss
        return LOSSES[own].with_sigmoids.replace("sigmoid_mse", chosen) if chosen else own

    def recipe(self) -> Training:
        """Return how parameters are updated."""
        training = self.training
        rule, schedule = OPTIMIZERS.get(training.optimizer.type), SCHEDULES.get(training.schedule.type)
        return Training(
            optimizer=rule(configured(rule, training.optimizer)),
            learning_rate=training.optimizer.learning_rate,
            schedule=schedule(configured(schedule, training.schedule), total_steps=training.steps),
            sums_steps=training.reduction == "sum",
            gradient_regularizer=training.gradient_regularizer,
            clip_norm=training.clip_norm,
            clip_value=training.clip_value,
            bptt_steps=training.bptt_steps,
            longest=self.timesteps[1],
            one_hot=task_class(self.task.type).one_hot,
            recompute=training.recompute,
            stream=training.stream(task_class(self.task.type).tolerance, evaluate_every=training.evaluate_every),
        )

    def resolved(self, folder: Path | None = None) -> dict[str, Any]:
        """Return the experiment as a complete config; training from it repeats the run.

        Args:
            folder: Where the config is to be stored: paths of files are relative to it. Left out, they are absolute.
        """
        options_of = {KerasBackend.name: {"engine", "keras"}, NumpyBackend.name: {"numpy"}}
        data = self.model_dump(exclude=set[str]().union(*options_of.values()) - options_of.get(self.backend, set()))
        for key, file in self.task.files.items():
            data["task"][key]["path"] = str(file.place) if folder is None else file.path_from(folder)
        return data

    def sha256(self) -> str:
        """Return the SHA-256 of all that determines the results: equal for equal experiments, however they are written.

        It does not depend on the name, on where files of data and of code are, on how often checkpoints are
        saved, how long a process may train, what is recomputed or what is logged. Keys with null do not count, so that
        a key that is new in a later version, and off where left out, keeps the results of earlier ones.
        """
        resolved = self.resolved()
        del resolved["logging"], resolved["name"]
        training = {key: value for key, value in resolved["training"].items() if key not in WITHOUT_EFFECT}
        resolved["training"] = training | {key: without_place(training[key]) for key in ("optimizer", "schedule")}
        resolved |= {"cell": without_place(resolved["cell"]), "task": self.task.definition()}
        canonical = json.dumps(_without_null(resolved), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def _without_null(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_null(inner) for key, inner in value.items() if inner is not None}


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) that every valid config satisfies.

    It is a help for editors and allows a little more than `rnnlab check`, which also compares blocks with each other.
    """
    references, shared = models_json_schema([(Experiment, "validation"), (SweepOptions, "validation")])
    definitions = shared["$defs"]
    for short in definitions[Initializers.__name__]["properties"].values():
        name, initializer = short["anyOf"]
        name |= {"enum": sorted(initializer["discriminator"]["mapping"])}
    for definition in definitions.values():
        for key in {"activation", "recurrent_activation"} & definition.get("properties", {}).keys():
            definition["properties"][key]["enum"] = activations.names()
    properties = definitions.pop(Experiment.__name__)["properties"]
    properties["backend"]["enum"], properties["engine"]["enum"] = BACKENDS.names(), ENGINES.names()
    extends = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rnnlab experiment",
        "type": "object",
        "additionalProperties": False,
        "properties": {"extends": extends, **properties, "sweep": references[SweepOptions, "validation"]},
        "anyOf": [{"required": [key]} for key in ("task", "extends", "sweep")],
        "$defs": definitions,
    }


def in_full(root: Node) -> InFull:
    """Return what finds the key that a text in a config is short for, as `cell: simple` for `cell: {type: simple}`.

    Example:
        >>> from rnnlab.config.reading import document_of_data
        >>> find = in_full(document_of_data({"cell": "simple", "task": "forecast", "name": "x"}).root)
        >>> find(("cell",)), find(("task", "csv")), find(("sweep", "metric")), find(("name",))
        ('type', 'path', 'name', None)
    """

    def find(path: tuple[str, ...]) -> str | None:
        data = root.plain()
        if path[0] == "sweep" and path[1:]:
            return short_for(SweepOptions, path[1:], data.get("sweep", {}))
        return short_for(Experiment, path, data)

    return find
