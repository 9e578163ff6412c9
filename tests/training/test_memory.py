import tracemalloc
from pathlib import Path

import pytest

from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.core.errors import EnvironmentFault
from rnnlab.training import resources
from rnnlab.training.train import train

MIB = 2**20
_HOW = ("auto", "off", "sqrt")


def experiment(folder: Path, *overrides: str) -> Experiment:
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
    asked = experiment(tmp_path, *overrides)
    train_once = peak(asked, tmp_path)  # 2 MiB stand for imports and all that does not grow with the network
    assert 0.6 < resources.memory_needed(asked) / (train_once - 2 * MIB) < 1.7


def test_the_estimate_by_hand(tmp_path: Path) -> None:
    asked = experiment(tmp_path, "shape.timesteps=10", "cell.units=4", "evaluation.sequences=1")
    parameters = 2 * 4 + 4 * 4 + 4 + 4 + 1
    batch = 32 * (10 * 2 * (8 + 4) + (8 + 3 * 4) + 10)
    tape = 32 * 10 * (4 + 2) * 4
    assert resources.memory_needed(asked) == parameters * 4 * (8 + 1 + 3 * 2) + batch + tape + 2 * tape  # and one chunk


def test_recomputing_takes_the_root_of_the_time(tmp_path: Path) -> None:
    long = "shape.timesteps=100000", "cell={type: carry, units: 64}", "evaluation.sequences=1"
    batch = 32 * (100_000 * (2 * (8 + 4) + 1) + (8 + 3 * 4))
    needed = {how: resources.memory_needed(experiment(tmp_path, *long, f"training.recompute={how}")) for how in _HOW}
    assert needed["off"] - batch > 100_000 * 32 * (5 * 64 + 2) * 4
    assert needed["auto"] == needed["sqrt"] < 2**29
    assert resources.memory_needed(experiment(tmp_path)) == resources.memory_needed(
        experiment(tmp_path, "training.recompute=off")
    )


def test_beyond_the_memory_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "memory_available", lambda: 3 * 2**30)
    resources.require_memory(experiment(tmp_path))
    asked = experiment(tmp_path, "cell={type: carry, units: 65536, layers: 64}")
    with pytest.raises(EnvironmentFault) as refused:
        resources.require_memory(asked)
    assert str(refused.value) == (
        "training needs about 134 TiB of memory, and 3 GiB are available — lower cell.units, cell.layers, "
        "training.batch_size or shape.timesteps, or set training.bptt_steps"
    )


def test_a_system_that_does_not_tell_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "memory_available", lambda: None)
    resources.require_memory(experiment(tmp_path, "cell={type: carry, units: 65536, layers: 64}"))


def test_this_machine_has_some_memory() -> None:
    there = resources.memory_available()
    assert there is not None
    assert 100 * MIB < there < 2**50
