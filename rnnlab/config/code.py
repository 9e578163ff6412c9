"""The Python files in which a config names its cells: each with its full path and hash, after it was imported."""

from dataclasses import replace
from pathlib import Path

from rnnlab.cells import CELLS
from rnnlab.config.check import Checker
from rnnlab.config.document import Document, Node
from rnnlab.config.errors import KeyPath, Position
from rnnlab.config.experiment import Experiment
from rnnlab.core.code_files import CodeFile, code_fault
from rnnlab.core.errors import UsageError
from rnnlab.equations.plan import plan_of

SWEEP = "sweep"  # the section that turns a config into many experiments; see `SweepOptions`


def folder_of(position: Position) -> Path:
    """Return what a path in a config is relative to: its file's folder; given otherwise, the working folder."""
    return Path(position.source).parent if position.line else Path()


def with_code_files(checker: Checker) -> Document:
    """Return the document with `./my_cell.py:MyCell` as what rnnlab stores; errors in these files are added.

    They are named by `cell`, by `cell.type`, and anywhere in the section of a sweep.
    """
    root = checker.document.root
    assert isinstance(root.value, dict)
    changed = dict(root.value)
    for key, node in root.value.items():
        if key == SWEEP:
            changed[key] = _located(node, (key,), checker)
        elif key == "cell" and isinstance(node.value, dict) and (inner := node.child("type")):
            named = _located(inner, (key, "type"), checker)
            changed[key] = replace(node, value={**node.value, "type": named})
        elif key == "cell" and isinstance(node.value, str):
            changed[key] = _located(node, (key,), checker)
    return replace(checker.document, root=replace(root, value=changed))


def trace_cell(checker: Checker, experiment: Experiment) -> None:
    """Add an error if a cell in a file fails, or has something in its equation that no engine knows."""
    if CodeFile.of(experiment.cell.type):
        try:
            network = experiment.network()
            plan_of(network.cell, network.input_features)
        except Exception as raised:
            error = raised if isinstance(raised, UsageError) else code_fault(raised)
            if error is None:
                raise
            path: KeyPath = ("cell", "type") if checker.document.node(("cell", "type")) else ("cell",)
            checker.add(path, f"{error.where}: {error.problem}", hint=error.hint)


def _located(node: Node, path: KeyPath, checker: Checker) -> Node:
    if isinstance(node.value, dict):
        return replace(node, value={key: _located(one, (*path, key), checker) for key, one in node.value.items()})
    if isinstance(node.value, list):
        return replace(node, value=[_located(one, (*path, n), checker) for n, one in enumerate(node.value)])
    file = CodeFile.of(node.value) if isinstance(node.value, str) else None
    if file is None:
        return node
    try:
        file = file if file.sha256 else file.located(folder_of(node.position))
        CELLS.get(str(file))
    except UsageError as error:
        checker.add(path, f"{error.where}: {error.problem}" if error.where else error.problem, hint=error.hint)
        return node
    return replace(node, value=str(file))
