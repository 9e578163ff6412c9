import shutil
from pathlib import Path

import pytest

from rnnlab.runs import index
from tests.runs.many_runs import COUNT, path_of
from tests.stored_runs import store


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store(tmp_path_factory.mktemp("template"), "run-aaaaaa").path


@pytest.fixture
def many(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of more runs than it takes for an index, all of them taken for long written."""
    monkeypatch.setattr(index, "FRESH", -(10**15))
    for n in range(COUNT):
        shutil.copytree(template, path_of(tmp_path / "runs", n))
    return tmp_path / "runs"
