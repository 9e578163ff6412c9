"""The latch problem: the informative elements, the noise, and the paper's three rules."""

import numpy as np
import pytest

from rnnlab.core.streams import stream
from rnnlab.tasks import task_class
from rnnlab.tasks.base import mean_loss


def build(variant, **options):
    kind = task_class(f"two_sequence@hs1997_{variant}")
    return kind(kind.Options(**options))


@pytest.mark.parametrize(
    ("variant", "informative", "levels", "spreads"),
    [
        ("3a", 1, (1, 0), [0, 0.2, 0.2, 0.2]),
        ("3a", 3, (1, 0), [0, 0, 0, 0.2]),
        ("3b", 3, (1, 0), [0.2, 0.2, 0.2, 0.2]),
        ("3c", 3, (0.2, 0.8), [0, 0, 0, 0.2]),
    ],
)
def test_elements_and_targets(variant, informative, levels, spreads):
    task = build(variant, informative=informative)
    batch = task.sample(stream(1, "t"), batch_size=40_000, timesteps=(6, 6))
    # The sums over the first elements of the two classes lie so far apart that hardly one is on the wrong side.
    first_class = batch.inputs[:, :informative, 0].sum(axis=1) > 0
    assert first_class.mean() == pytest.approx(0.5, abs=0.01)
    for chosen, sign, level in zip((first_class, ~first_class), (1, -1), levels, strict=True):
        means = [sign] * informative + [0] * (6 - informative)
        np.testing.assert_allclose(batch.inputs[chosen, :, 0].mean(axis=0), means, atol=0.012)
        np.testing.assert_allclose(batch.inputs[chosen, :4, 0].var(axis=0), spreads, atol=0.008)
        assert batch.targets[chosen].mean() == pytest.approx(level, abs=0.01)
        assert batch.targets[chosen].var() == pytest.approx(0.1 if variant == "3c" else 0, abs=0.004)


def test_noisy_elements_leave_doubt():
    """With one noisy element the posterior is off by 0.2 or more when z > 1.926: Φ(-1.926) = 0.02705."""
    task = build("3b", informative=1)
    batch = task.sample(stream(1, "t"), batch_size=400_000, timesteps=(2, 2))
    outputs = task.oracle(batch)
    assert task.metrics(outputs, batch)["error_rate"] == pytest.approx(0.02705, abs=0.001)
    assert task.oracle_loss((2, 2)) == pytest.approx(0.0096157, abs=1e-7)
    assert mean_loss(task, outputs, batch) == pytest.approx(0.0096157, rel=0.03)
    sharp = (outputs > 0.5).astype(float)  # wrong when z > √5: Φ(-√5) = 0.01267
    assert task.metrics(sharp, batch) == pytest.approx({"error_rate": 0.01267, "mae": 0.01267}, abs=0.0007)
    assert build("3b").oracle_loss((9, 9)) == pytest.approx(4.16446e-5, rel=1e-5)


def test_3c_judges_against_the_noise_free_target():
    task = build("3c")
    batch = task.sample(stream(1, "t"), batch_size=400, timesteps=(10, 11))
    clean = np.where(batch.inputs[:, :1, 0] > 0, 0.2, 0.8)
    np.testing.assert_allclose(task.oracle(batch), clean, atol=1e-15)
    assert task.metrics(clean + 0.0999, batch) == pytest.approx({"error_rate": 0, "mae": 0.0999})
    assert task.metrics(clean - 0.1001, batch) == pytest.approx({"error_rate": 1, "mae": 0.1001})


@pytest.mark.parametrize(
    ("variant", "limits", "text"),
    [
        ("3a", (0, 0.01), "validation error_rate at most 0 and validation mae at most 0.01"),
        ("3b", (5 / 256, 0.04), "validation error_rate at most 0.0195312 and validation mae at most 0.04"),
        ("3c", (0, 0.015), "validation error_rate at most 0 and validation mae at most 0.015"),
    ],
)
def test_both_limits_must_hold(variant, limits, text):
    rule = build(variant).solved
    assert str(rule) == text

    def met(error_rate, mae):
        return rule.is_met({"error_rate": error_rate, "mae": mae})

    assert met(*limits)
    assert not met(limits[0] + 1 / 256, limits[1])
    assert not met(limits[0], limits[1] + 0.001)


def test_lengths_follow_the_informative_elements():
    assert (
        build("3a").timesteps_fault((3, 9))
        == "needs at least 4 steps: the elements that carry the class, and one of noise"
    )
    assert build("3a", informative=1).timesteps_fault((2, 9)) is None
    assert build("3a", informative=150).default_timesteps == (151, 151)
