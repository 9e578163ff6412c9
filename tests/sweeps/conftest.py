"""The working folder of the tests of sweeps, and what sweeps come to that nothing disturbs."""

from functools import cache
from pathlib import Path

import pytest

from rnnlab.config.load import load_experiment
from rnnlab.training.resume import train_into
from tests.sweeps.trying import Undisturbed, accounts, make


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The results of each trial of a sweep, trained alone in this process; each config once for all tests."""

    @cache
    def trained(config: str, seeds: int = 3) -> list[dict[str, object]]:
        sweep = make(tmp_path_factory.mktemp("undisturbed"), config, seeds)
        for trial in sweep.read_plan().trials:
            experiment = load_experiment(sweep.config(trial)).experiment
            list(train_into(sweep.run(trial).path, experiment, config=b"", argv=["x"]))
        return accounts(sweep)

    return trained
