"""The Python files in which a config names classes: each with its full path and hash, after it was imported."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rnnlab.cells import CELLS
from rnnlab.config.check import Checker
from rnnlab.config.document import Document, Node
from rnnlab.config.errors import KeyPath, Position
from rnnlab.config.experiment import Experiment
from rnnlab.core.code_faults import code_fault
from rnnlab.core.code_files import KEYS, CodeFile
from rnnlab.core.errors import UsageError
from rnnlab.core.registry import Registry
from rnnlab.equations.formula import formula_of_rule
from rnnlab.equations.plan import plan_of
from rnnlab.optim.rules import OPTIMIZERS
from rnnlab.optim.schedules import SCHEDULES
from rnnlab.tasks import TASKS
from rnnlab.tasks._contract import check_draws

_REGISTRIES: dict[str, Registry] = dict(zip(KEYS, (CELLS, TASKS, OPTIMIZERS, SCHEDULES), strict=True))
SWEEP = "sweep"  # the section that turns a config into many experiments; see `SweepOptions`


def folder_of(position: Position) -> Path:
    """Return what a path in a config is relative to: its file's folder; given otherwise, the working folder."""
    return Path(position.source).parent if position.line else Path()


def with_code_files(checker: Checker) -> Document:
    """Return the document with `./my_cell.py:MyCell` as what rnnlab stores; errors in these files are added.

    They are named by `cell`, `task` and other blocks with a type, as text or by `type`, and anywhere in the section of
    a sweep.
    """
    root = checker.document.root
    for key, registry in _REGISTRIES.items():
        block = tuple(key.split("."))[:-1]
        for path in (block, (*block, "type")):
            node = checker.document.node(path)
            if node and isinstance(node.value, str):
                root = root.with_value(path, _located(node, path, checker, registry))
    if section := checker.document.node((SWEEP,)):
        root = root.with_value((SWEEP,), _located(section, (SWEEP,), checker, None))
    return replace(checker.document, root=root)


def check_code(checker: Checker, experiment: Experiment) -> None:
    """Add an error for each class in a file that fails, or does not what the engines and the training need."""
    files = experiment.code_files
    if "cell" in files:
        with as_errors(checker, "cell"):
            network = experiment.network()
            plan_of(network.cell, network.input_features)
    if "task" in files:
        with as_errors(checker, "task"):
            check_draws(experiment.build_task(), experiment.timesteps, experiment.seed)
    for block in ("optimizer", "schedule"):
        if block in files:
            with as_errors(checker, "training", block):
                recipe = experiment.recipe()
                recipe.optimizer.numbers(1, recipe.learning_rate * recipe.schedule.factor(0))  # the first rate
                formula_of_rule(recipe.optimizer)


@contextmanager
def as_errors(checker: Checker, *path: str) -> Iterator[None]:
    """Add what a user's class raises as an error of the block that names it, or of its `type`."""
    try:
        yield
    except Exception as raised:
        error = raised if isinstance(raised, UsageError) else code_fault(raised)
        if error is None:
            raise
        named = checker.document.node((*path, "type"))
        if named and CodeFile.of(str(named.value)):
            path = (*path, "type")
        checker.add(path, f"{error.where}: {error.problem}" if error.where else error.problem, hint=error.hint)


def _located(node: Node, path: KeyPath, checker: Checker, registry: Registry | None) -> Node:
    """Return a value with each class in a file as what rnnlab stores.

    What the class must be a member of, if no registry is given, follows from the key of the axis.
    """
    if registry is None and path[:2] == (SWEEP, "axes") and len(path) > 2:
        registry = next((one for key, one in _REGISTRIES.items() if path[2] in (key, key.removesuffix(".type"))), None)
    if isinstance(node.value, dict):
        inner = {key: _located(one, (*path, key), checker, registry) for key, one in node.value.items()}
        return replace(node, value=inner)
    if isinstance(node.value, list):
        return replace(node, value=[_located(one, (*path, n), checker, registry) for n, one in enumerate(node.value)])
    file = CodeFile.of(node.value) if isinstance(node.value, str) else None
    if file is None:
        return node
    try:
        file = file if file.sha256 else file.located(folder_of(node.position))
        if registry:
            registry.get(str(file))
    except UsageError as error:
        checker.add(path, f"{error.where}: {error.problem}" if error.where else error.problem, hint=error.hint)
        return node
    return replace(node, value=str(file))
