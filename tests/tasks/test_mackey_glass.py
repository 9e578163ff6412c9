"""What is peculiar to Mackey-Glass: a right integration, a right continuation, and parts that never meet."""

from itertools import pairwise

import numpy as np
import pytest

from rnnlab.core.streams import stream
from rnnlab.tasks.base import mean_loss
from rnnlab.tasks.mackey_glass import MackeyGlass, MackeyGlassOptions, continued, orbit


def draw(task: MackeyGlass, size: int, *timesteps: int):
    return task.sample(stream(1, "data/train"), batch_size=size, timesteps=(timesteps[0], timesteps[-1]))


def test_integration_is_of_fourth_order_and_right_to_3e_9() -> None:
    fine = orbit(300, substeps=100)
    errors = [np.abs(orbit(300, substeps=substeps) - fine).max() for substeps in (2, 4, 8)]
    for coarse, finer in pairwise(errors):
        assert coarse / finer == pytest.approx(16, rel=0.02)
    assert np.abs(orbit(300) - fine).max() < 3e-9


def test_integration_agrees_with_plain_small_steps() -> None:
    h, x = 1 / 2000, [1.2] * (17 * 2000 + 1)
    for _ in range(40 * 2000):  # Euler steps, of first order, and two lines that cannot be wrong
        x.append(x[-1] + h * (0.2 * x[-17 * 2000 - 1] / (1 + x[-17 * 2000 - 1] ** 10) - 0.1 * x[-1]))
    np.testing.assert_allclose(orbit(40), x[17 * 2000 + 2000 :: 2000], atol=4e-5)


def test_continuation_needs_no_more_than_35_samples() -> None:
    series = orbit(3000)
    starts = np.arange(500, 2500, 17)
    ahead = continued(series[starts[:, None] + np.arange(-34, 1)], 84)
    np.testing.assert_allclose(ahead, series[starts[:, None] + np.arange(1, 85)], atol=3e-5)


def test_loss_is_the_squared_nrmse_of_the_literature() -> None:
    series = orbit(13_020)[1020:]
    task = MackeyGlass(MackeyGlassOptions())
    batch = draw(task.part("train"), 500, 134)
    inputs = batch.inputs * series.std() + series.mean()
    assert (inputs.min(), inputs.max()) == pytest.approx((series.min(), series.max()), abs=0.01)
    persistence = np.sqrt(np.square(series[84:] - series[:-84]).mean()) / series.std()
    assert persistence == pytest.approx(1.65, abs=0.01)
    assert mean_loss(task, batch.inputs, batch) == pytest.approx(persistence**2, rel=0.02)


def test_targets_are_inputs_of_84_steps_later() -> None:
    batch = draw(MackeyGlass(MackeyGlassOptions()), 20, 150, 200)
    for inputs, targets, mask, length in zip(
        batch.inputs[:, :, 0], batch.targets[:, :, 0], batch.mask, batch.lengths, strict=True
    ):
        np.testing.assert_array_equal(targets[: length - 84], inputs[84:length])
        assert np.flatnonzero(mask).tolist() == list(range(34, length))


def test_parts_share_no_sample() -> None:
    task = MackeyGlass(MackeyGlassOptions())
    seen = {}
    for part in ("train", "validation"):
        batch = draw(task.part(part), 4000, 134)
        seen[part] = set(np.unique(batch.inputs)) | set(np.unique(batch.targets))
    assert len(seen["train"]) == pytest.approx(12_000, abs=10)
    assert len(seen["validation"]) == pytest.approx(4000, abs=10)
    assert not seen["train"] & seen["validation"]


@pytest.mark.parametrize("horizon", [1, 6, 84, 300])
def test_references_are_exact_at_every_horizon_and_range(horizon: int) -> None:
    task = MackeyGlass(MackeyGlassOptions(horizon=horizon)).part("validation")
    batch = draw(task, 8000, 40, 90)
    for reference in task.references((40, 90)):
        assert mean_loss(task, reference.predict(batch), batch) == pytest.approx(reference.loss, rel=0.03), (
            reference.name
        )


def test_impossible_lengths_are_explained() -> None:
    task = MackeyGlass(MackeyGlassOptions())
    assert task.timesteps_fault((34, 50)) == "needs at least 35 steps: the first 34 are not scored"
    assert task.timesteps_fault((35, 3916)) is None
    assert task.timesteps_fault((35, 3917)) == "takes at most 3,916 steps of the validation part"
