"""From a config to its `Experiment`: every block is checked, all errors come at once, and nothing is created."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnlab.backends import BACKENDS
from rnnlab.backends.keras.backend import KerasBackend, KerasOptions
from rnnlab.backends.keras.engines import DEFAULT_ENGINE, ENGINES
from rnnlab.backends.numpy.model import NumpyBackend, NumpyOptions
from rnnlab.cells import CELLS
from rnnlab.config.blocks import (
    DEFAULT_TYPES,
    EvaluationOptions,
    LoggingOptions,
    ShapeOptions,
    TopOptions,
    TrainingOptions,
)
from rnnlab.config.check import Checker
from rnnlab.config.document import Document
from rnnlab.config.errors import raise_all, shown
from rnnlab.config.experiment import Experiment
from rnnlab.config.reading import read_document
from rnnlab.core.batch import Lengths
from rnnlab.core.errors import UsageError
from rnnlab.core.naming import check_name
from rnnlab.core.registry import nearest
from rnnlab.optim.rules import OPTIMIZERS
from rnnlab.optim.schedules import SCHEDULES
from rnnlab.tasks import TASKS, task_class
from rnnlab.tasks.base import AbstractTask

BLOCKS = ("numpy", "keras", "cell", "shape", "task", "training", "evaluation", "logging")
SWEEP = "sweep"  # the section that turns a config into many experiments; see `rnnlab.config.sweep`


@dataclass(frozen=True, slots=True)
class Loaded:
    """An experiment and the document it was read from."""

    experiment: Experiment
    document: Document


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Loaded:
    """Read, override and check a config file.

    Args:
        path: The YAML file.
        overrides: `training.steps=500` and the like; the value is read as YAML.

    Raises:
        ConfigError: Every error, each with file, line, column and dotted key.
    """
    document = read_document(path, overrides)
    return Loaded(check_document(document, default_name=path.stem), document)


def check_document(document: Document, *, default_name: str) -> Experiment:
    """Return the experiment that a document describes.

    Raises:
        ConfigError: Every error, each with file, line, column and dotted key; those of reading the document included.
    """
    checker, data = Checker(document), document.data
    known = [*TopOptions.model_fields, *BLOCKS]
    if SWEEP in data:
        problem = "the config describes a sweep, expected a single training"
        checker.add((SWEEP,), problem, hint="use `rnnlab sweep CONFIG`")
    for key in data:
        if key not in (*known, SWEEP):
            checker.add_unknown_key((key,), hint=nearest(key, known))
    top = checker.block(TopOptions, {key: data[key] for key in TopOptions.model_fields if key in data}, ())
    _, cell = checker.member(CELLS, data.get("cell", {}), ("cell",), default=DEFAULT_TYPES["cell"])
    shape = checker.block(ShapeOptions, data.get("shape", {}), ("shape",))
    task = _task(checker, data)
    optimizer, schedule, training = _training(checker, data.get("training", {}))
    evaluation = checker.block(EvaluationOptions, data.get("evaluation", {}), ("evaluation",))
    logging = checker.block(LoggingOptions, data.get("logging", {}), ("logging",))
    numpy = checker.block(NumpyOptions, data.get("numpy", {}), ("numpy",))
    keras = checker.block(KerasOptions, data.get("keras", {}), ("keras",))
    name = _name(checker, top, default_name) if top else ""
    if top and training:
        _check_backend(checker, top, training)
    timesteps = _timesteps(checker, shape, task) if shape and task else None
    raise_all(checker.errors())
    assert top and numpy and keras and task and timesteps and training and evaluation and logging  # noqa: PT018
    is_keras = top.backend == KerasBackend.name
    return Experiment(
        name=name,
        seed=top.seed,
        precision=top.precision,
        backend=top.backend,
        # What is not used must not make two experiments different.
        engine=top.engine if is_keras else DEFAULT_ENGINE,
        keras=keras if is_keras else KerasOptions(),
        numpy=numpy if top.backend == NumpyBackend.name else NumpyOptions(),
        cell=cell,
        timesteps=timesteps,
        task=task.options,
        optimizer=optimizer,
        schedule=schedule,
        training=training,
        evaluation=evaluation,
        logging=logging,
    )


def _name(checker: Checker, top: TopOptions, default_name: str) -> str:
    is_given = "name" in top.model_fields_set
    name = top.name if is_given else default_name
    try:
        check_name(name)
    except UsageError as error:
        problem = error.problem if is_given else f"missing, and the name of the file cannot be used: {error.problem}"
        checker.add(("name",), problem, hint=error.hint if is_given else "add `name:`")
    return name


def _check_backend(checker: Checker, top: TopOptions, training: TrainingOptions) -> None:
    backends, engines = BACKENDS.names(), ENGINES.names()
    if top.backend in engines:
        hint = f"write `backend: keras` and `engine: {top.backend}`"
        checker.add(("backend",), f"{top.backend!r} is an engine of Keras, not a backend", hint=hint)
    elif top.backend not in backends:
        checker.add(("backend",), f"unknown backend {top.backend!r}", hint=nearest(top.backend, backends))
    elif top.backend != NumpyBackend.name and training.recompute == "sqrt":
        problem = f"got 'sqrt', which backend {top.backend} does not support"
        checker.add(("training", "recompute"), problem, hint="remove it, or set `backend: numpy`")
    if top.engine not in engines:
        checker.add(("engine",), f"unknown engine {top.engine!r}", hint=nearest(top.engine, engines))


def _task(checker: Checker, data: dict[str, Any]) -> AbstractTask | None:
    if "task" not in data:
        hint = "add, for example, `task: adding`; `rnnlab tasks` lists them"
        checker.add(("task",), "is required, but missing", hint=hint)
        return None
    kind, options = checker.member(TASKS, data["task"], ("task",), find=task_class)
    if options is None:
        return None
    files = {key: str(file) for key in options.paths if (file := getattr(options, key)) is not None}
    if urls := [key for key, file in files.items() if "://" in file]:
        for key in urls:
            problem = f"{shown(files[key])} is a URL, expected the path of a file"
            checker.add(("task", key), problem, hint="download it first")
        return None
    # A path is relative to the file that gives it; on the command line and in Python, to the working folder.
    positions = {key: checker.document.position(("task", key)) for key in files}
    folders = {key: Path(position.source).parent if position.line else Path() for key, position in positions.items()}
    absolute = {key: str((folders[key] / file).absolute()) for key, file in files.items()}
    try:
        task: AbstractTask = kind(options.model_copy(update=absolute))
    except UsageError as error:
        checker.add(("task", *list(files)[:1]), str(error))
        return None
    return task


def _training(checker: Checker, data: Any) -> tuple[Any, Any, TrainingOptions | None]:
    if not isinstance(data, dict):
        checker.add(("training",), f"got {shown(data)}, expected a mapping")
        return None, None, None
    rest = dict(data)
    options = {}
    for key, registry in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
        block, path = rest.pop(key, {}), ("training", key)
        _, options[key] = checker.member(registry, block, path, default=DEFAULT_TYPES[key])
    return options["optimizer"], options["schedule"], checker.block(TrainingOptions, rest, ("training",))


def _timesteps(checker: Checker, shape: ShapeOptions, task: AbstractTask) -> Lengths | None:
    for key in ("input_features", "output_features", "return_sequences"):
        given, expected = getattr(shape, key), getattr(task, key)
        if given is not None and given != expected:
            problem = f"got {shown(given)}, but task {task.name} has {shown(expected)}"
            checker.add(("shape", key), problem, hint=f"remove shape.{key}, or choose another task")
    low, high = shape.timesteps or task.default_timesteps
    if fault := task.timesteps_fault((low, high)):
        got = low if low == high else [low, high]
        checker.add(("shape", "timesteps"), f"got {got}: task {task.name} {fault}")
        return None
    return low, high
