"""A small row, and its finished runs, trained once for all tests."""

import shutil
from pathlib import Path

import pytest

from tests.cli.program import rnnlab
from tests.reproduction.tiny import ROW


@pytest.fixture
def row(here: Path) -> Path:
    """A row's file, and an empty folder of runs beside it."""
    (here / "paper").mkdir()
    (here / "paper" / "row.yaml").write_text(ROW)
    return here / "paper" / "row.yaml"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of the row, trained and tested once; not to be changed."""
    place = tmp_path_factory.mktemp("finished")
    (place / "paper").mkdir()
    (place / "paper" / "row.yaml").write_text(ROW)
    runs = place / "runs"
    assert rnnlab("reproduce", place / "paper" / "row.yaml", "--runs", runs, "--workers", "1").code == 0
    return runs


@pytest.fixture
def trained(row: Path, finished: Path) -> Path:
    """A row's file, and a copy of its finished runs beside it."""
    shutil.copytree(finished, "runs")
    return row
