"""The rules of the house that a machine can check."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "rnnlab").rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in MODULES]
LAYERS = [
    "analysis", "backends", "bench", "cells", "cli", "config", "core", "diagnosis", "lab", "optim", "plots", "reports",
    "runs", "sweeps", "tasks",
]  # fmt: skip
# What a command file may import at its top, beside its own options: it is read for its help alone.
LIGHT = {"pathlib", "typing", "typer", "typer.core", "rnnlab.cli._options"}
_CALLS = ("seed", "rand", "randn", "random", "normal", "uniform", "shuffle", "choice", "permutation", "set_state")
STATEFUL = {f"{numpy}.random.{name}" for numpy in ("np", "numpy") for name in _CALLS}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(statements: list[ast.stmt]) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield statement.module or ""


def test_the_package_has_the_layers_of_the_design() -> None:
    assert sorted(path.parent.name for path in (ROOT / "rnnlab").glob("*/__init__.py")) == LAYERS


def test_imports_go_down_only_and_only_the_command_line_prints_with_rich() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "Contracts: 2 kept, 0 broken." in done.stdout


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", [path for path in MODULES if "cli" not in path.parts], ids=str)
def test_nothing_below_the_command_line_prints(path: Path) -> None:
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert [node.lineno for node in calls if node.func.id in {"print", "input"}] == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_no_random_number_comes_from_global_state(path: Path) -> None:
    """`numpy.random.seed` and its kin, and the module `random`, share one hidden state."""
    nodes = list(ast.walk(tree(path)))
    dotted = [ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)]
    assert [text for text in dotted if text in STATEFUL] == []
    assert "random" not in set(imported([node for node in nodes if isinstance(node, ast.stmt)]))


COMMANDS = sorted(path for path in (ROOT / "rnnlab" / "cli").glob("[!_]*.py") if path.stem != "main")


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_a_command_file_is_light_and_holds_a_command(path: Path) -> None:
    body = tree(path).body
    assert set(imported(body)) <= LIGHT
    assert "command" in [node.name for node in body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_what_is_public_has_a_docstring(path: Path) -> None:
    module = tree(path)
    public = [node for node in module.body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_"]
    assert ast.get_docstring(module)
    assert [node.name for node in public if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_nothing_is_left_for_later(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [word for word in ("TO" + "DO", "FIX" + "ME", "NotImplementedError") if word in text] == []
    assert path.stem not in {"utils", "helpers", "misc", "common"}
