"""The files around the package agree with each other."""

import ast
import re
import tomllib
from importlib import metadata
from pathlib import Path

import yaml

import rnnlab

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_there_is_one_version() -> None:
    """The package's, which the build reads; a citation and the changelog name the same."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    releases = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert (citation["version"], releases[0]) == (rnnlab.__version__, rnnlab.__version__)
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["authors"] == PROJECT["project"]["authors"]


def test_the_metadata_let_any_newer_python_and_no_tensorflow_be() -> None:
    about = metadata.metadata("rnnlab")
    assert about["Requires-Python"] == ">=3.11"
    needed = [line for line in about.get_all("Requires-Dist") or [] if "extra ==" not in line]
    assert {re.split(r"\W", line)[0] for line in needed} == {
        "numpy", "typer", "pyyaml", "rich", "pydantic", "threadpoolctl",
    }  # fmt: skip
    tested = [line for line in about.get_all("Requires-Dist") or [] if line.startswith("tensorflow") and "test" in line]
    assert [re.search(r"python_version < ['\"]3.14", line) is not None for line in tested] == [True]


def test_each_hint_names_an_extra_that_there_is() -> None:
    extras = PROJECT["project"]["optional-dependencies"].keys()
    named = set[str]()
    for path in (ROOT / "rnnlab").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named |= set(re.findall(r"rnnlab\[([a-z]+)\]", node.value))
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "missing_package":
                given = [one.value for one in node.keywords if one.arg == "extra"]
                named |= {one.value for one in given if isinstance(one, ast.Constant)}
    assert named - extras == set()
    assert {"plots", "compiled", "data", "optuna", "onnx", "tensorboard"} <= named


def test_ruff_has_one_version() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    (wanted,) = [line for line in PROJECT["project"]["optional-dependencies"]["test"] if line.startswith("ruff")]
    assert hooks[0]["rev"].startswith("v" + wanted.removeprefix("ruff==").removesuffix("*"))


def test_the_workflow_runs_the_gate() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert {"run": "bash .ci/run"} in workflow["jobs"]["gate"]["steps"]
