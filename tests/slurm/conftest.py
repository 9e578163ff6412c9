"""A real Slurm for as long as the tests run, and sweeps small enough for it."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rnnlab.config.load import load_experiment
from rnnlab.sweeps import Plan, SweepFolder
from rnnlab.sweeps.expand import check_sweep
from tests.slurm.cluster import Cluster, missing
from tests.training.resuming import account, begin

ROOT = Path(__file__).parents[2]
SLOW = """\
task: {type: slow}
shape: {timesteps: 4}
cell: {units: 4}
training:
  {steps: STEPS, batch_size: 6, evaluate_every: 10, stop_when_solved: false, checkpoint: {every_seconds: 1}}
evaluation: {sequences: 6}
sweep: {SWEEP}
"""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if program := missing():
        pytest.skip(f"no Slurm here: {program} is not installed (Debian: munge slurmctld slurmd slurm-client)")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    try:
        cluster = Cluster(folder)
        yield cluster
        cluster.close()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package that has the slow task."""
    folder = tmp_path_factory.mktemp("package")
    info = folder / "slow-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[rnnlab.tasks]\nslow = tests.slurm.slow:TASKS\n")
    return folder


@pytest.fixture
def desk(cluster: Cluster, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, and an empty working folder."""
    go_to(tmp_path, cluster, package, monkeypatch)
    return cluster


def go_to(folder: Path, cluster: Cluster, package: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(folder)
    patch.setenv("RNNLAB_RUNS", "runs")
    patch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    patch.setenv("PYTHONPATH", f"{ROOT}:{package}")
    patch.setattr(sys, "path", [*sys.path, str(package)])


def write(text: str, *, steps: int) -> Path:
    """The config of a sweep of slow trials; `text` is the inside of its section."""
    config = Path("tiny.yaml")
    config.write_text(SLOW.replace("STEPS", str(steps)).replace("SWEEP", text))
    return config


def sweep_of(text: str, *, steps: int) -> tuple[SweepFolder, Plan]:
    """The same, planned and on the disk."""
    checked = check_sweep(write(text, steps=steps))
    return SweepFolder.create(Path("runs/tiny"), checked), checked.plan


def undisturbed(sweep: SweepFolder, trial: Any, folder: Path) -> dict[str, Any]:
    """Return what a trial trains without interruptions, and without pauses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SLOW_SECONDS", raising=False)
        return account(begin(load_experiment(sweep.config(trial)).experiment, folder / trial.name))


def wait_until(is_so: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.2)
