"""The same surroundings for every test: a plain terminal of 80 columns, and runs that go to a temporary folder."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rnnlab
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.config.yaml import dump_yaml
from tests import fast
from tests.disk_faults import Faults
from tests.once import Once
from tests.small import SMALL, Fit


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=("tensorflow", "jax", "torch"),
        default="tensorflow",
        help="what Keras runs on in tests/backends; one process, one engine",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what is not fast before it is imported, where only that is asked for."""
    is_left_out = config.option.markexpr == "fast" and collection_path.is_file() and not fast.is_fast(collection_path)
    return True if is_left_out else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the fast subset; put the tests on Slurm first: there one process of xdist runs them all, on one cluster."""
    for item in items:
        fast.mark(item)
    items.sort(key=lambda item: item.get_closest_marker("slurm") is None)


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config) -> str:
    """What Keras runs on in this process."""
    return str(pytestconfig.getoption("--engine"))


@pytest.fixture(scope="session", autouse=True)
def plain_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "LINES"):
            patch.delenv(name, raising=False)
        patch.setenv("NO_COLOR", "1")
        patch.setenv("COLUMNS", "80")
        patch.setenv("PYTHONUTF8", "1")
        patch.setenv("RNNLAB_PLOTS", "0")  # a picture takes longer than most trainings here
        patch.setenv("RNNLAB_RUNS", str(tmp_path_factory.mktemp("runs")))
        # Under nohup the one is ignored, and behind a shell's `&` the other; by children too.
        hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGHUP, hangup)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Commands that are run once for all tests, also of other test processes."""
    base = tmp_path_factory.getbasetemp()
    return Once((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "once")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with its runs in `runs`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNLAB_RUNS", "runs")
    return tmp_path


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """The calls to the disk, each of which can be made to fail."""
    return Faults(monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def saves_at_once() -> Iterator[None]:
    """Let a training of milliseconds save at its start, as one that lasts longer does after a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rnnlab.training.store.FIRST_SECONDS", 0.0)
        yield


@pytest.fixture
def single_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one update, so that a test can stop at any."""
    monkeypatch.setattr("rnnlab.training.blocks.BLOCK_SECONDS", 0.0)


@pytest.fixture
def fit(tmp_path: Path) -> Fit:
    """Train the small config, changed by `key=value` texts."""
    return lambda *overrides, **more: rnnlab.train(SMALL, overrides, runs=tmp_path / "runs", **more)


@pytest.fixture
def experiment(tmp_path: Path) -> Callable[..., Experiment]:
    """The small config, changed, as a checked experiment."""
    path = tmp_path / "small.yaml"
    path.write_text(dump_yaml(SMALL))
    return lambda *overrides: load_experiment(path, overrides).experiment
