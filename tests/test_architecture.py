"""The rules of the house that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "rnnlab").rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in MODULES]
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in zip(NAMES, MODULES, strict=True)}
TREES = {name: ast.parse(text) for name, text in TEXTS.items()}
MOST_ESCAPES = 10
LAYERS = [
    "backends", "bench", "cells", "cli", "comparison", "config", "core", "equations", "figures", "inspection", "optim",
    "reproduction", "runs", "storage", "sweeps", "tasks", "testing", "training",
]  # fmt: skip
_CALLS = ("seed", "rand", "randn", "random", "normal", "uniform", "shuffle", "choice", "permutation", "set_state")
STATEFUL = {f"{numpy}.random.{name}" for numpy in ("np", "numpy") for name in _CALLS}


def imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module or ""} if isinstance(node, ast.ImportFrom) else set()


def test_the_package_has_the_layers_of_the_design() -> None:
    assert sorted(path.parent.name for path in (ROOT / "rnnlab").glob("*/__init__.py")) == LAYERS


def test_imports_go_down_only_and_only_the_command_line_prints_with_rich() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "Contracts: 2 kept, 0 broken." in done.stdout


def test_a_module_has_at_most_300_lines() -> None:
    long = {name: count for name, text in TEXTS.items() if (count := len(text.splitlines())) > 300}
    assert long == {}


def test_nothing_below_the_command_line_prints() -> None:
    calls = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        if not name.startswith("rnnlab/cli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "input"}
    ]
    assert calls == []


def test_no_random_number_comes_from_global_state() -> None:
    """`numpy.random.seed` and its kin, and the module `random`, share one hidden state."""
    found = []
    for name, tree in TREES.items():
        nodes = list(ast.walk(tree))
        found += [f"{name}: {text}" for node in nodes if (text := _dotted(node)) in STATEFUL]
        found += [f"{name}: random" for node in nodes if "random" in imported(node)]
    assert found == []


def _dotted(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Attribute) else ""


def test_a_command_file_has_a_command_and_its_help() -> None:
    for path in (ROOT / "rnnlab" / "cli" / "commands").glob("[!_]*.py"):
        module = TREES[path.relative_to(ROOT).as_posix()]
        names = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
        assert names & {"command"}, path
        assert ast.get_docstring(module), path


def test_what_is_public_has_a_docstring() -> None:
    bare = [name for name, tree in TREES.items() if not ast.get_docstring(tree)]
    for name, tree in TREES.items():
        nodes = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
        in_commands = name.startswith("rnnlab/cli/commands/")  # there the file's docstring is the help
        bare += [
            f"{name}: {node.name}"
            for node in nodes
            if node.name[0] != "_" and not ast.get_docstring(node) and not in_commands
        ]
    assert bare == []


def test_nothing_is_left_for_later() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "NotImplementedError")
    assert [(name, word) for name, text in TEXTS.items() for word in words if word in text] == []
    assert [name for name in NAMES if Path(name).stem in {"utils", "helpers", "misc", "common"}] == []


def test_text_is_escaped_in_few_places() -> None:
    """Text from users and files is escaped where it leaves the program, not where it is made."""
    lines = [f"{name}: {line}" for name, text in TEXTS.items() for line in text.splitlines() if "visible(" in line]
    assert len(lines) <= MOST_ESCAPES, lines
