"""From a config to its `Experiment`: every block is checked, all errors come at once, and nothing is created."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnlab.backends import BACKENDS
from rnnlab.backends.base import Network
from rnnlab.backends.keras import KerasBackend, KerasOptions
from rnnlab.backends.keras.engines import DEFAULT_ENGINE, ENGINES
from rnnlab.backends.numpy import NumpyBackend, NumpyOptions
from rnnlab.cells.simple import Simple
from rnnlab.config import spelling
from rnnlab.config.blocks import ShapeOptions
from rnnlab.config.check import Checker
from rnnlab.config.code import SWEEP, as_errors, check_code, folder_of, with_code_files
from rnnlab.config.document import Document
from rnnlab.config.errors import raise_all, shown
from rnnlab.config.experiment import Experiment
from rnnlab.config.reading import read_document
from rnnlab.core.data_file import DataFile
from rnnlab.core.errors import UsageError
from rnnlab.core.losses import LOSSES
from rnnlab.core.options import check_name
from rnnlab.core.own_classes import is_known
from rnnlab.core.registry import nearest
from rnnlab.equations.traces import traces_of
from rnnlab.tasks import task_class
from rnnlab.tasks._contract import new_task
from rnnlab.tasks.base import AbstractTask, TaskOptions


@dataclass(frozen=True, slots=True)
class Loaded:
    """An experiment and the document it was read from."""

    experiment: Experiment
    document: Document


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Loaded:
    """Read, override and check a config: the path of a YAML file, or the name of a shipped config.

    Raises:
        ConfigError: Every error, each with file, line, column and dotted key.
    """
    document = read_document(path, overrides)
    return Loaded(check_document(document, default_name=path.stem), document)


def check_document(document: Document, *, default_name: str, is_stored: bool = False) -> Experiment:
    """Return the experiment that a document describes.

    The config of a run, `is_stored`, was checked together with the files that its task reads: they need not be there
    now, and are only read again when the task is built; nor is a file of code imported.

    Raises:
        ConfigError: Every error, each with file, line, column and dotted key; those of reading the document included.
        VerificationError: A file that the task reads has another content than it must have.
    """
    checker = Checker(document)
    if not is_stored:
        document = with_code_files(checker)
    data = {"name": default_name, **document.data}
    if SWEEP in data:
        problem = "the config describes a sweep, expected a single training"
        checker.add((SWEEP,), problem, hint="use `rnnlab sweep CONFIG`")
        del data[SWEEP]
    valid: dict[str, Any] = {}
    experiment = checker.block(Experiment, data, (), valid=valid)
    _check_name(checker, valid)
    _check_backend(checker, valid)
    _check_regularizer(checker, valid)
    options, shape = _options(checker, valid["task"]) if "task" in valid else None, valid.get("shape")
    # What is not known is in a file of code: of a stored run, or with an error that was added.
    is_settled = options and (not is_known(options) or (is_stored and options.files and shape and shape.is_complete))
    if is_stored and is_settled and shape and not shape.is_complete:
        checker.add(("shape",), "is not complete, as that of a run is")
    if options and shape and not is_settled:
        options = _found(checker, options)
        shape = _shape(checker, shape, options) if options else None
    raise_all(checker.errors())
    assert experiment
    training = experiment.training
    training = training.model_copy(update={"schedule": training.schedule.completed(training.steps)})
    changes: dict[str, Any] = {"task": options, "shape": shape, "training": training}
    # What is not used must not make two experiments different.
    if experiment.backend != KerasBackend.name:
        changes |= {"engine": DEFAULT_ENGINE, "keras": KerasOptions()}
    if experiment.backend != NumpyBackend.name:
        changes |= {"numpy": NumpyOptions()}
    experiment = experiment.model_copy(update=changes)
    if not is_stored:
        check_code(checker, experiment)
        raise_all(checker.errors())
        _check_success(checker, experiment)
        _check_stream(checker, experiment)
        raise_all(checker.errors())
    return experiment


def _check_stream(checker: Checker, experiment: Experiment) -> None:
    """Add an error where updates at every step are not possible."""
    training, network, at = experiment.training, experiment.network(), ("training", "update")
    if training.update == "sequence":
        for key in ("reset", "stream_decay", "stream_steps", "streams"):
            if getattr(training, key) != type(training).model_fields[key].default:
                checker.add(("training", key), "has no effect with update: sequence", hint="add `update: step`")
        return
    if experiment.backend != NumpyBackend.name:
        problem = f"got 'step', which backend {experiment.backend} does not support"
        checker.add(at, problem, hint="set `backend: numpy`")
    if training.batch_size > 1:
        problem = f"got {training.batch_size}, expected 1 with update: step, which is of one stream"
        checker.add(("training", "batch_size"), problem, hint="set `batch_size: 1`")
    if experiment.cell.layers > 1:
        problem = f"got {experiment.cell.layers}, expected 1 with update: step"
        checker.add(("cell", "layers"), problem, hint="leave it out")
    elif training.bptt_steps is None:
        with as_errors(checker, *at):
            traces_of(network.cell, network.input_features)
    elif training.bptt_steps > 1:
        problem = f"got {training.bptt_steps}, expected 1 or null with update: step"
        checker.add(("training", "bptt_steps"), problem, hint="with null the gradient flows through all steps")
    unused = {
        ("shape", "lengths"): experiment.shape.lengths == "per_batch",
        ("training", "recompute"): training.recompute == "sqrt",
        ("numpy", "shards"): (experiment.numpy.shards or 1) > 1,
    }
    for path in (path for path, is_set in unused.items() if is_set):
        checker.add(path, "has no effect with update: step", hint="leave it out")
    if training.gradient_regularizer is not None:
        problem = "is of the gradient through whole sequences, not of update: step"
        checker.add(("training", "gradient_regularizer"), problem, hint="leave it out")
    _check_ends(checker, experiment, network)


def _check_ends(checker: Checker, experiment: Experiment, network: Network) -> None:
    """Add an error where streams cannot end as asked."""
    training = experiment.training
    if training.reset != "sequence" and not network.return_sequences:
        problem = f"got {training.reset!r}, but {experiment.task_name} scores the last step of a sequence alone"
        checker.add(("training", "reset"), problem, hint="leave it out, or take a task with `return_sequences`")
    elif training.reset in {"error", "both"} and (
        task_class(experiment.task.type).tolerance is None or LOSSES[network.loss].integer_targets
    ):
        problem = f"got {training.reset!r}, but {experiment.task_name} does not say when a step is wrong"
        hint = "set reset: never, or take a task with `tolerance`, not of classes"
        checker.add(("training", "reset"), problem, hint=hint)
    if training.streams is not None and training.reset == "never" and training.stream_steps is None:
        hint = "set stream_steps, or reset: sequence, error or both"
        checker.add(("training", "streams"), "is no limit, for with reset: never a stream never ends", hint=hint)


def _check_name(checker: Checker, valid: dict[str, Any]) -> None:
    try:
        check_name(valid.get("name", "valid"))
    except UsageError as error:
        if "name" in checker.document.data:
            checker.add(("name",), error.problem, hint=error.hint)
        else:
            problem = f"missing, and the name of the file cannot be used: {error.problem}"
            checker.add(("name",), problem, hint="add `name:`")


def _check_backend(checker: Checker, valid: dict[str, Any]) -> None:
    backends, engines = BACKENDS.names(), ENGINES.names()
    backend, engine = valid.get("backend", NumpyBackend.name), valid.get("engine", DEFAULT_ENGINE)
    is_set = not checker.document.position(("backend",)).line
    if (meant := spelling.ENGINES.get(backend, backend)) in engines:
        pair = ("--set backend=keras --set engine={}" if is_set else "`backend: keras` and `engine: {}`").format(meant)
        checker.add(("backend",), f"{backend!r} is an engine of Keras, not a backend", hint=f"write {pair}")
    elif backend not in backends:
        checker.add(("backend",), f"unknown backend {backend!r}", hint=nearest(backend, backends))
    elif backend != NumpyBackend.name and "training" in valid and valid["training"].recompute == "sqrt":
        problem = f"got 'sqrt', which backend {backend} does not support"
        checker.add(("training", "recompute"), problem, hint="remove it, or set `backend: numpy`")
    if engine not in engines:
        hint = nearest(spelling.ENGINES.get(engine, engine), engines)
        if engine in backends:
            hint = f"{engine} is a backend: write backend: {engine}, without an engine"
        checker.add(("engine",), f"unknown engine {engine!r}", hint=hint)


def _check_regularizer(checker: Checker, valid: dict[str, Any]) -> None:
    if "training" not in valid or valid["training"].gradient_regularizer is None:
        return
    backend, cell, numpy = valid.get("backend"), valid.get("cell"), valid.get("numpy")
    key = ("training", "gradient_regularizer")
    if backend not in {None, NumpyBackend.name}:
        checker.add(key, f"is not supported by backend {backend}", hint="remove it, or set `backend: numpy`")
    if cell and cell.type != Simple.name:
        checker.add(key, f"is not supported by cell {cell.type}", hint="remove it, or set `cell: simple`")
    if numpy and (numpy.shards or 1) > 1:
        checker.add(key, f"is not supported with {numpy.shards} shards", hint="remove numpy.shards")


def _check_success(checker: Checker, experiment: Experiment) -> None:
    if rule := experiment.training.success:
        with as_errors(checker, "training", "success"):
            rule.require_metrics_of(experiment.build_task(), experiment.timesteps)


def _options(checker: Checker, options: TaskOptions) -> TaskOptions | None:
    """Return the options of the task, each of its files with the folder that its path is relative to."""
    files: dict[str, Any] = {}
    if not is_known(options):  # so are the options of what is in it; they are made from these when it is built
        for key, value in (options.model_extra or {}).items():
            if isinstance(value, dict) and value.keys() >= {"path", "sha256"}:
                file = DataFile.model_validate({name: value[name] for name in ("path", "sha256")})
                files[key] = value | {
                    "path": str(file.within(folder_of(checker.document.position(("task", key)))).place)
                }
        return options.model_copy(update=files)
    for key, file in options.files.items():
        if "://" in file.path:
            problem = f"{shown(file.path)} is a URL, expected the path of a file"
            checker.add(("task", key), problem, hint="download it first")
            return None
        files[key] = file.within(folder_of(checker.document.position(("task", key, "path"))))
    return options.model_copy(update=files)


def _found(checker: Checker, options: TaskOptions) -> TaskOptions | None:
    """Return the options of the task, each of its files where its content is."""
    try:
        return options.with_files_found()
    except UsageError as error:
        checker.add(("task", *list(options.files)[:1]), str(error))
        return None


def _shape(checker: Checker, shape: ShapeOptions, options: TaskOptions) -> ShapeOptions | None:
    """Return the shape complete, after errors were added where it differs from the task's."""
    task: AbstractTask | None = None
    with as_errors(checker, "task", *list(options.files)[:1]):
        task = new_task(task_class(options.type), options)
    if task is None:
        return None
    complete = {key: getattr(task, key) for key in ("input_features", "output_features", "return_sequences")}
    for key, expected in complete.items():
        given = getattr(shape, key)
        if given is not None and given != expected:
            problem = f"got {shown(given)}, but task {task.name} has {shown(expected)}"
            checker.add(("shape", key), problem, hint=f"remove shape.{key}, or choose another task")
    low, high = shape.timesteps or task.default_timesteps
    drawn = [(low, high)]
    if shape.lengths == "per_batch":  # a task may need an odd number
        drawn += [(length, length) for length in (low, min(low + 1, high), high)]
    if fault := next(filter(None, map(task.timesteps_fault, drawn)), None):
        got = low if low == high else [low, high]
        checker.add(("shape", "timesteps"), f"got {got}: task {task.name} {fault}")
    return shape.model_copy(update={**complete, "timesteps": [low, high]})
