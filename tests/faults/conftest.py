"""A training small enough to be broken a thousand times, and what it comes to when nothing breaks it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.config.yaml import dump_yaml
from rnnlab.core.registry import Registry
from rnnlab.storage import disk, repository
from tests.faults.mounting import Mount, mounted
from tests.faults.oracle import Account, Trial, begin
from tests.faults.seam import Seam
from tests.small import SMALL
from tests.training.resuming import account

SETTINGS = ("training.steps=4", "training.checkpoint={every_steps: 2, every_seconds: null}")


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    path = tmp_path_factory.mktemp("asked") / "small.yaml"
    path.write_text(dump_yaml(SMALL))
    return load_experiment(path, SETTINGS).experiment


@pytest.fixture(scope="session")
def whole(asked: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Account:
    """The results of a training without interruption."""
    return account(begin(asked, tmp_path_factory.mktemp("whole") / "run"))


@pytest.fixture
def trial(asked: Experiment, whole: Account, tmp_path: Path) -> Trial:
    return Trial(asked, whole, tmp_path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Without what takes long and has no part in it: pushing to a real disk, and looking around in the system."""
    monkeypatch.setattr(disk, "fsync", lambda _: None)
    monkeypatch.setattr(repository, "describe_repository", lambda _: None)
    monkeypatch.setattr(Registry, "_entry_points", lambda _: {})
    return monkeypatch


@pytest.fixture
def seam(quick: pytest.MonkeyPatch) -> Iterator[Seam]:
    seam = Seam(quick)
    yield seam
    seam.end_process()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, Mount]]:
    """A file system of 400 KiB, and how to mount it in another way; skipped where that is not allowed."""
    place = tmp_path / "small"
    place.mkdir()
    with mounted(place, "size=400k") as mount:
        yield place, mount


@pytest.fixture
def report(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line of counts, however pytest captures."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", file=sys.stderr)  # noqa: T201

    return say
