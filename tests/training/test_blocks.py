"""The results of a training do not depend on how many updates are computed at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import DivergedError
from rnnlab.core.streams import stream
from rnnlab.storage import RunFolder
from rnnlab.tasks.base import Streak
from rnnlab.tasks.flip_flop import FlipFlop
from rnnlab.tasks.parity import Parity
from rnnlab.training.blocks import Pace
from rnnlab.training.events import Evaluated, Stepped
from rnnlab.training.resume import train_into
from rnnlab.training.source import Source
from tests.training.resuming import account, begin, bits

Make = Callable[..., Experiment]
Blocks = Callable[[int], None]
EASY = ("shape.timesteps=1", "training.optimizer.learning_rate=0.05", "training.batch_size=3", "training.steps=300")


@pytest.fixture
def blocks_of(monkeypatch: pytest.MonkeyPatch) -> Blocks:
    def set_size(updates: int) -> None:
        monkeypatch.setattr(Pace, "updates", lambda _, most: min(updates, most))

    return set_size


@pytest.mark.parametrize(
    "overrides",
    [
        ("training.evaluate_every=7", "training.evaluate_at=[5]", "training.steps=20", "training.clip_norm=0.1"),
        (*EASY, "training.evaluate_every=1000", "training.stop_when_solved=true"),
        (*EASY, "training.evaluate_every=1000"),
        ("task=flip_flop", "shape.timesteps=[40, 60]", "training.batch_size=100", "training.evaluate_every=3"),
    ],
    ids=["evaluated", "solved", "goes-on", "units"],
)
def test_however_many_at_a_time(
    experiment: Make,
    tmp_path: Path,
    blocks_of: Blocks,
    monkeypatch: pytest.MonkeyPatch,
    overrides: tuple[str, ...],
) -> None:
    monkeypatch.setattr(Parity, "solved", Streak(25, wrong=1, loss_below=0.4))
    found = {}
    for size in (1, 3, 64, 10**6):
        blocks_of(size)
        found[size] = account(begin(experiment(*overrides), tmp_path / str(size)))
    assert (found[1]["solved"] is not None) == ("training.stop_when_solved=true" in overrides or EASY[0] in overrides)
    for size, one in found.items():
        assert one == found[1], size


def test_a_block_ends_where_something_is_due(experiment: Make, tmp_path: Path, blocks_of: Blocks) -> None:
    blocks_of(10**6)
    asked = experiment(
        "training.steps=2100",
        "training.evaluate_every=1500",
        "training.evaluate_at=[40]",
        "training.checkpoint={every_steps: 1100, every_seconds: null}",
    )
    events = list(train_into(tmp_path / "run", asked, config=b"", argv=[]))
    assert [event.step for event in events if isinstance(event, Evaluated)] == [0, 40, 1500, 2100]
    # A unit has 1,024 batches, which is the most that a block has.
    assert [event.step for event in events if isinstance(event, Stepped)] == [40, 1064, 1100, 1500, 2100]


def test_divergence_is_found_at_its_step(experiment: Make, tmp_path: Path, blocks_of: Blocks) -> None:
    found: list[dict[str, Any]] = []
    for size in (1, 50):
        blocks_of(size)
        folder = tmp_path / str(size)
        asked = experiment(
            "task=adding", "shape.timesteps=8", "cell.activation=linear", "training.steps=500", "seed=1",
            "training.optimizer={type: sgd, learning_rate: 3.0}", "training.evaluate_every=300",
        )  # fmt: skip
        with pytest.raises(DivergedError):
            list(train_into(folder, asked, config=b"", argv=[]))
        run = RunFolder(folder)
        weights, about = run.load_weights("last")
        found.append({"message": run.read_status().message, "weights": bits(weights), "step": about["step"]})
    assert found[0] == found[1]
    assert found[0]["step"] > 1


def test_batches_are_rows_of_units() -> None:
    task = Parity(Parity.Options())
    source, size = Source(task, batch_size=60, timesteps=(20, 30), seed=4), 60
    assert source.unit == 65_536 // (60 * 30)
    unit = [
        task.sample(stream(4, "data/train", n), batch_size=source.unit * size, timesteps=(20, 30)) for n in range(2)
    ]
    inputs, lengths = (np.concatenate([getattr(one, name) for one in unit]) for name in ("inputs", "lengths"))
    for first, count in ((0, 1), (0, 36), (30, 10), (35, 37), (36, 1), (71, 1), (0, 72)):
        for ahead in (False, True):
            if ahead:
                source.draw_ahead(first, count)
            batch = source.batches(first, count)
            rows = slice(first * size, (first + count) * size)
            np.testing.assert_array_equal(batch.inputs, inputs[rows])
            np.testing.assert_array_equal(batch.lengths, lengths[rows])


def test_the_pace_follows_the_time_that_updates_take(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace()
    sizes = []
    for _ in range(5):
        sizes.append(pace.updates(most=10**6))
        pace.took(1e-3 * sizes[-1], sizes[-1])
    assert sizes == [1, 4, 16, 50, 50]  # 50 ms, and never more than four times the block before
    pace.took(2.0, 50)
    assert (pace.updates(10**6), pace.updates(1)) == (1, 1)


@pytest.mark.parametrize("every_step", [False, True])
def test_sequences_of_a_batch_may_share_a_length(every_step: bool) -> None:
    task = FlipFlop(FlipFlop.Options()) if every_step else Parity(Parity.Options())
    size, timesteps = 5, (30, 40)
    source = Source(task, batch_size=size, timesteps=timesteps, seed=4, same_length=True)
    assert source.unit > 20
    batch = source.batches(0, source.unit)
    lengths = batch.lengths.reshape(-1, size)
    assert (lengths == lengths[:, :1]).all()
    assert set(lengths[:, 0].tolist()) == set(range(30, 41))
    assert batch.inputs.shape[:2] == batch.mask.shape == (source.unit * size, 40)
    over = np.arange(40) >= batch.lengths[:, None]
    assert not batch.inputs[over].any()
    assert not batch.mask[over].any()
    later = Source(task, batch_size=size, timesteps=timesteps, seed=4, same_length=True).batches(3, 2)
    np.testing.assert_array_equal(later.inputs, batch.rows(3 * size, 5 * size).inputs)
    np.testing.assert_array_equal(later.targets, batch.rows(3 * size, 5 * size).targets)
