from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with its runs in `runs`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNLAB_RUNS", "runs")
    return tmp_path
