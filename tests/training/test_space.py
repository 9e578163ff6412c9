"""Disk space is asked for before anything is made."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import rnnlab
from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import EnvironmentFault
from rnnlab.storage import disk
from rnnlab.training.resources import require_space, space_needed
from rnnlab.training.resume import resume
from tests.small import Fit
from tests.training.resuming import begin

Make = Callable[..., Experiment]


def test_the_estimate_by_hand(experiment: Make) -> None:
    parameters = 4 + 4 * 4 + 4 + 4 + 1
    assert space_needed(experiment()) == parameters * 4 * (3 * (2 + 2) + 3) + 2 * 250 * 4 + 65536


@pytest.mark.parametrize("overrides", [["cell.units=300"], ["training.steps=400", "training.evaluate_every=1"]])
def test_the_estimate_is_near_what_a_run_takes(fit: Fit, overrides: list[str]) -> None:
    run = fit(*overrides, "training.checkpoint={every_seconds: 1000}")
    taken = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    assert 0.9 < space_needed(run.experiment()) / taken < 2


def test_too_little_space_is_told_and_nothing_is_made(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=70_000))
    with pytest.raises(EnvironmentFault) as refused:
        fit("cell.units=64")
    assert str(refused.value) == (
        f"{tmp_path}: the run needs about 317 KiB of disk space, and 68.4 KiB are free"
        " — free some space, or keep the runs elsewhere with --runs DIR or RNNLAB_RUNS"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_files_is_told_before_anything_is_made(
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
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=rest - 1000))
    with pytest.raises(EnvironmentFault, match=r"the run needs about .* more of disk space"):
        list(resume(run, argv=[]))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=rest))
    list(resume(run, argv=[]))
    assert run.read_status().state == "completed"
