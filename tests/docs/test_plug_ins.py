"""The package that docs/how_to/plug_ins.md shows is found by its entry points, trained, diagnosed and tested."""

import importlib
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.cli.program import rnnlab
from tests.docs.blocks import blocks

PAGE = Path(__file__).parents[2] / "docs/how_to/plug_ins.md"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the page, and what an installer makes of its pyproject.toml."""
    for block in blocks(PAGE.read_text(encoding="utf-8")):
        if block.file:
            (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.file).write_text(block.text)
    package = tmp_path / "rnnlab-mine"
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    (about := package / "rnnlab_mine-0.1.0.dist-info").mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{name} = {to}\n" for name, to in points.items()) for group, points in groups]
    (about / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNLAB_RUNS", "runs")
    return package


def test_the_package_of_the_page_does_what_it_shows(installed: Path) -> None:
    for command, expected in (
        (["cells", "leaky"], "leaky: a simple cell that keeps a share of its state"),
        (["tasks", "recall"], "recall@mine: Which of four symbols came first?"),
        (["train", "shared.yaml", "--into", "runs/one", "-q"], ""),
        (["diagnose", "runs/one", "--only", "norms"], "The parameter with the largest norm is "),
        (["doctor", "runs/one"], "healthy"),
    ):
        done = rnnlab(*command)
        assert done.code == 0, (command, done.stderr)
        assert expected in done.stdout
    assert '"rnnlab-mine":"0.1.0"' in (installed.parent / "runs/one/provenance.json").read_text().replace(" ", "")


def test_the_files_of_the_page_can_be_built(installed: Path) -> None:
    """A build tool takes the folder of the project's name, if it is a regular package."""
    project = tomllib.loads((installed / "pyproject.toml").read_text())["project"]
    assert (installed / project["name"].replace("-", "_") / "__init__.py").is_file()
    if find_spec("hatchling"):
        subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=installed, check=True)
        (wheel,) = (installed / "dist").glob("*.whl")
        assert {f"rnnlab_mine/{name}.py" for name in ("leaky", "recall", "norms")} <= {*ZipFile(wheel).namelist()}


@pytest.mark.soak
def test_its_own_tests_pass(installed: Path) -> None:
    tests = importlib.import_module("test_mine")
    tests.test_the_cell()
    tests.test_the_task()
