"""Memory and disk space are checked before anything is made."""

import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import rnnlab
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.core.errors import EnvironmentFault
from rnnlab.storage import disk
from rnnlab.training import resources
from rnnlab.training.resources import require_space, space_needed
from rnnlab.training.resume import resume
from rnnlab.training.train import train
from tests.small import Fit
from tests.training.resuming import begin

MIB = 2**20
_HOW = ("auto", "off", "sqrt")


def adding(folder: Path, *overrides: str) -> Experiment:
    config = folder / "small.yaml"
    config.write_text(
        "task: adding\nnumpy: {shards: 1}\ntraining: {steps: 2, batch_size: 32, evaluate_every: 1}\n"
        "evaluation: {sequences: 64}\n"
    )
    return load_experiment(config, overrides).experiment


def peak(asked: Experiment, runs: Path) -> int:
    tracemalloc.start()
    try:
        list(train(asked, runs=runs, config=b"", argv=[]))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "overrides",
    [
        ["cell.units=128", "shape.timesteps=300"],
        ["cell={type: carry, units: 96}", "shape.timesteps=200"],
        ["cell={type: simple, units: 64, layers: 3}", "shape.timesteps=200", "precision=float64"],
        ["cell={type: simple, units: 500}", "shape.timesteps=5", "training.batch_size=2", "evaluation.sequences=2"],
        ["cell.units=256", "shape.timesteps=1000", "training.bptt_steps=50", "evaluation.sequences=8"],
        ["task=copy_memory", "cell.units=64", "shape.timesteps=600"],
    ],
)
def test_the_estimate_is_near_what_a_training_takes(tmp_path: Path, overrides: list[str]) -> None:
    asked = adding(tmp_path, *overrides)
    train_once = peak(asked, tmp_path)  # 2 MiB for imports and all that does not grow with the network
    assert 0.6 < resources.memory_needed(asked) / (train_once - 2 * MIB) < 1.7


def test_the_estimate_of_memory_by_hand(tmp_path: Path) -> None:
    asked = adding(tmp_path, "shape.timesteps=10", "cell.units=4", "evaluation.sequences=1")
    parameters = 2 * 4 + 4 * 4 + 4 + 4 + 1
    batch = 32 * (10 * 2 * (8 + 4) + (8 + 3 * 4) + 10)
    tape = 32 * 10 * (4 + 2) * 4
    assert resources.memory_needed(asked) == parameters * 4 * (8 + 1 + 3 * 2) + batch + tape + 2 * tape  # and one chunk


def test_recomputing_takes_the_root_of_the_time(tmp_path: Path) -> None:
    long = "shape.timesteps=100000", "cell={type: carry, units: 64}", "evaluation.sequences=1"
    batch = 32 * (100_000 * (2 * (8 + 4) + 1) + (8 + 3 * 4))
    needed = {how: resources.memory_needed(adding(tmp_path, *long, f"training.recompute={how}")) for how in _HOW}
    assert needed["off"] - batch > 100_000 * 32 * (5 * 64 + 2) * 4
    assert needed["auto"] == needed["sqrt"] < 2**29
    assert resources.memory_needed(adding(tmp_path)) == resources.memory_needed(
        adding(tmp_path, "training.recompute=off")
    )


def test_beyond_the_memory_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "memory_available", lambda: 3 * 2**30)
    resources.require_memory(adding(tmp_path))
    asked = adding(tmp_path, "cell={type: carry, units: 65536, layers: 64}")
    with pytest.raises(EnvironmentFault) as refused:
        resources.require_memory(asked)
    assert str(refused.value) == (
        "training needs about 134 TiB of memory, and 3 GiB are available — lower cell.units, cell.layers, "
        "training.batch_size or shape.timesteps, or set training.bptt_steps"
    )


def test_unknown_memory_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is unknown what is available, or what Keras needs."""
    large = "cell={type: carry, units: 65536, layers: 64}"
    assert resources.memory_needed(adding(tmp_path, "backend=keras")) is None
    resources.require_memory(adding(tmp_path, "backend=keras", large))
    monkeypatch.setattr(resources, "memory_available", lambda: None)
    resources.require_memory(adding(tmp_path, large))


def test_this_machine_has_some_memory() -> None:
    there = resources.memory_available()
    assert there is not None
    assert 100 * MIB < there < 2**50


Make = Callable[..., Experiment]


def test_the_estimate_of_space_by_hand(experiment: Make) -> None:
    parameters = 4 + 4 * 4 + 4 + 4 + 1
    assert space_needed(experiment()) == parameters * 4 * (3 * (2 + 2) + 3) + 2 * 250 * 4 + 65536


@pytest.mark.parametrize("overrides", [["cell.units=300"], ["training.steps=400", "training.evaluate_every=1"]])
def test_the_estimate_is_near_what_a_run_takes(fit: Fit, overrides: list[str]) -> None:
    run = fit(*overrides, "training.checkpoint={every_seconds: 1000}")
    taken = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    assert 0.9 < space_needed(run.experiment()) / taken < 2


def test_too_little_space_is_reported_and_nothing_is_made(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=2**60, free=70_000))
    with pytest.raises(EnvironmentFault) as refused:
        fit("cell.units=64")
    assert str(refused.value) == (
        f"{tmp_path}: the run needs about 317 KiB of disk space, and 68.4 KiB are free"
        " — free some space, or keep the runs elsewhere with --runs DIR or RNNLAB_RUNS"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_files_is_reported_before_anything_is_made(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(disk, "open_new", refuse)
    asked = experiment()
    with pytest.raises(EnvironmentFault, match="cannot write 7 bytes: Permission denied"):
        require_space(asked, tmp_path / "runs")
    with pytest.raises(EnvironmentFault, match="Permission denied"):
        rnnlab.train(tmp_path / "small.yaml", runs=tmp_path / "runs")
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_what_a_run_has_already_is_not_asked_for_again(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that ran full with the run on it has room for the rest once a little is freed."""
    run = begin(experiment(), tmp_path / "run", stop_at=3)
    assert run.size() == sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    rest = space_needed(experiment()) - run.size()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=2**60, free=rest - 1000))
    with pytest.raises(EnvironmentFault, match=r"the run needs about .* more of disk space"):
        list(resume(run, argv=[]))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=2**60, free=rest))
    list(resume(run, argv=[]))
    assert run.read_status().state == "completed"
