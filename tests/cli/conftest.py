import shutil
from pathlib import Path

import pytest

from tests.cli.program import TINY, rnnlab


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one config: `whole` is complete, `cut` was stopped before its first step."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "x.yaml").write_text(TINY)
    for name, setting in (("whole", "seed=0"), ("cut", "training.max_seconds=0.000001")):
        rnnlab("train", folder / "x.yaml", "--into", folder / name, "-q", "--set", setting)
    return folder


@pytest.fixture
def job(here: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the complete run."""
    monkeypatch.setenv("RNNLAB_RUNS", ".")
    shutil.copy(made / "x.yaml", here)
    return Path(shutil.copytree(made / "whole", here / "job"))
