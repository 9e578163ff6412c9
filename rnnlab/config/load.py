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
from rnnlab.cells.base import CellOptions
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
from rnnlab.core.registry import Registry, nearest
from rnnlab.optim.rules import OPTIMIZERS
from rnnlab.optim.schedules import SCHEDULES
from rnnlab.tasks import task_class
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
        checker.add(
            (SWEEP,), "the config describes a sweep, expected a single training", hint="use `rnnlab sweep CONFIG`"
        )
    for key in data:
        if key not in (*known, SWEEP):
            checker.add_unknown_key((key,), hint=nearest(key, known))
    top = checker.block(TopOptions, {key: data[key] for key in TopOptions.model_fields if key in data}, ())
    cell = _cell(checker, data.get("cell", {}))
    shape = checker.block(ShapeOptions, data.get("shape", {}), ("shape",))
    task = _task(checker, data)
    optimizer, schedule, training = _training(checker, data.get("training", {}))
    evaluation = checker.block(EvaluationOptions, data.get("evaluation", {}), ("evaluation",))
    logging = checker.block(LoggingOptions, data.get("logging", {}), ("logging",))
    name = _name(checker, top, default_name) if top else ""
    numpy = checker.block(NumpyOptions, data.get("numpy", {}), ("numpy",))
    keras = checker.block(KerasOptions, data.get("keras", {}), ("keras",))
    if top and training and top.backend != NumpyBackend.name and training.recompute == "sqrt":
        problem = f"got 'sqrt', which backend {top.backend} does not support"
        checker.add(("training", "recompute"), problem, hint="remove it, or set `backend: numpy`")
    if top:
        _known(checker, "backend", top.backend, BACKENDS)
        _known(checker, "engine", top.engine, ENGINES)
    timesteps = _shape(checker, shape, task) if shape and task else None
    raise_all(checker.errors())
    assert top and numpy and keras and cell and task and timesteps  # noqa: PT018
    assert optimizer and schedule and training and evaluation and logging  # noqa: PT018
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


def _known(checker: Checker, key: str, name: str, registry: Registry) -> None:
    if name not in registry.names():
        checker.add((key,), f"unknown {registry.kind} {name!r}", hint=nearest(name, registry.names()))


def _name(checker: Checker, top: TopOptions, default_name: str) -> str:
    name = top.name if "name" in top.model_fields_set else default_name
    try:
        check_name(name)
    except UsageError as error:
        is_given = "name" in top.model_fields_set
        problem = error.problem if is_given else f"missing, and the name of the file cannot be used: {error.problem}"
        checker.add(("name",), problem, hint=error.hint if is_given else "add `name:`")
    return name


def _cell(checker: Checker, data: Any) -> CellOptions | None:
    kind, data = checker.member(CELLS, data, ("cell",), default=DEFAULT_TYPES["cell"])
    return checker.block(kind.Options, data, ("cell",), registry=CELLS) if kind else None


def _task(checker: Checker, data: dict[str, Any]) -> AbstractTask | None:
    if "task" not in data:
        checker.add(
            ("task",),
            "is required, but missing",
            hint="add, for example, `task: adding`; `rnnlab tasks` lists them",
        )
        return None
    given = data["task"]
    given = {"type": given} if isinstance(given, str) else given
    if not isinstance(given, dict) or not isinstance(given.get("type"), str):
        problem = f"got {shown(data['task'])}, expected a task's name or a mapping with `type`"
        checker.add(("task",), problem, hint="`rnnlab tasks` lists them")
        return None
    try:
        kind = task_class(given["type"])
    except UsageError as error:
        checker.add(("task", "type") if isinstance(data["task"], dict) else ("task",), error.problem, hint=error.hint)
        return None
    options = checker.block(kind.Options, {**given, "type": kind.name}, ("task",))
    if options is None or _add_urls(checker, options):
        return None
    try:
        return kind(_with_paths(options, checker.document))
    except UsageError as error:
        given_paths = [("task", key) for key in options.paths if getattr(options, key) is not None]
        checker.add(given_paths[0] if given_paths else ("task",), str(error))
        return None


def _add_urls(checker: Checker, options: Any) -> bool:
    """Add an error for each path that is a URL, and return whether there was one."""
    urls = [key for key in options.paths if "://" in str(getattr(options, key))]
    for key in urls:
        problem = f"{shown(getattr(options, key))} is a URL, expected the path of a file"
        checker.add(("task", key), problem, hint="download it first")
    return bool(urls)


def _with_paths(options: Any, document: Document) -> Any:
    """Make paths absolute: relative to the file that gives them, or to the working folder if given by --set."""
    updates = {}
    for key in options.paths:
        value, position = getattr(options, key), document.position(("task", key))
        if value is not None and position.line:
            updates[key] = str(Path(position.source).parent.joinpath(value).absolute())
        elif value is not None:
            updates[key] = str(Path(value).absolute())
    return options.model_copy(update=updates)


def _training(checker: Checker, data: Any) -> tuple[Any, Any, TrainingOptions | None]:
    if not isinstance(data, dict):
        checker.add(("training",), f"got {shown(data)}, expected a mapping")
        return None, None, None
    optimizer = _poly(checker, OPTIMIZERS, data, "optimizer")
    schedule = _poly(checker, SCHEDULES, data, "schedule")
    rest = {key: value for key, value in data.items() if key not in {"optimizer", "schedule"}}
    return optimizer, schedule, checker.block(TrainingOptions, rest, ("training",))


def _poly(checker: Checker, registry: Registry, data: dict[str, Any], key: str) -> Any:
    path = ("training", key)
    kind, block = checker.member(registry, data.get(key, {}), path, default=DEFAULT_TYPES[key])
    return checker.block(kind.Options, block, path, registry=registry) if kind else None


def _shape(checker: Checker, shape: ShapeOptions, task: AbstractTask) -> Lengths | None:
    for key in ("input_features", "output_features", "return_sequences"):
        given, wanted = getattr(shape, key), getattr(task, key)
        if given is not None and given != wanted:
            checker.add(
                ("shape", key),
                f"got {_yaml(given)}, but task {task.name} has {_yaml(wanted)}",
                hint=f"remove shape.{key}, or choose another task",
            )
    low, high = shape.timesteps or task.default_timesteps
    fault = task.timesteps_fault((low, high))
    if fault:
        got = low if low == high else [low, high]
        checker.add(("shape", "timesteps"), f"got {got}: task {task.name} {fault}")
        return None
    return low, high


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
