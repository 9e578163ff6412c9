"""The noise-free lag: the strings, the criterion, the lengths."""

import numpy as np
import pytest

from rnnlab.core.losses import softmax
from rnnlab.core.streams import stream
from rnnlab.tasks import task_class


def build(variant, **options):
    kind = task_class(f"noise_free_lag@hs1997_{variant}")
    return kind(kind.Options(**options))


def strings(task, *, size, steps):
    batch = task.sample(stream(1, "t"), batch_size=size, timesteps=(steps, steps))
    return np.concatenate([batch.inputs.argmax(axis=2), batch.targets[:, -1:]], axis=1)


@pytest.mark.parametrize("steps", [3, 5])
def test_2a_has_two_strings(steps):
    found = strings(build("2a", symbols=5), size=200, steps=steps)
    middle = list(range(steps - 1))
    assert sorted(set(map(tuple, found.tolist()))) == [(4, *middle, 4), (5, *middle, 5)]
    assert (found[:, 0] == 4).mean() == pytest.approx(0.5, abs=0.12)


def test_2b_draws_the_middle_at_random():
    found = strings(build("2b", symbols=5), size=20_000, steps=6)
    np.testing.assert_array_equal(found[:, 0], found[:, -1])
    assert set(found[:, 0]) == {4, 5}
    for step in range(1, 6):
        np.testing.assert_allclose(np.bincount(found[:, step], minlength=6) / 20_000, [0.25] * 4 + [0] * 2, atol=0.015)


@pytest.mark.parametrize(("variant", "judged"), [("2a", slice(None)), ("2b", slice(-1, None))])
def test_right_means_no_output_off_by_a_quarter(variant, judged):
    task = build(variant, symbols=5)
    batch = task.sample(stream(1, "t"), batch_size=400, timesteps=(4, 4))
    certain = 3.5 * np.eye(6)[batch.targets]
    outputs = certain + stream(1, "noise").normal(0.0, 0.6, size=certain.shape)
    off = np.abs(softmax(outputs) - np.eye(6)[batch.targets])[:, judged].max(axis=(1, 2))
    assert 0.1 < (off < 0.25).mean() < 0.95
    np.testing.assert_array_equal(task.correct(outputs, batch), off < 0.25)


def test_references_in_closed_form():
    assert [reference.loss for reference in build("2a").references((100, 100))] == pytest.approx([np.log(2) / 100])
    # T = 3, p = 5: ln 4 at two steps; without a count each of steps 2 and 3 is the last with the chance ½.
    four, two = np.log(4), np.log(2)
    expected = [(2 * four + two + 2 * two) / 3, (2 * four + 2 * two) / 3, (2 * four + two) / 3]
    task = build("2b", symbols=5)
    assert [reference.loss for reference in task.references((3, 3))] == pytest.approx(expected, rel=1e-12)
    assert task.oracle_loss((3, 3)) == pytest.approx(2 * four / 3, rel=1e-12)


def test_oracle_of_2b_is_right_about_every_last_symbol():
    task = build("2b")
    batch = task.sample(stream(1, "t"), batch_size=64, timesteps=(300, 300))
    assert task.metrics(task.oracle(batch), batch) == pytest.approx(
        {"error_rate": 0.0, "accuracy": 1.0, "largest_error": 0.0}
    )


@pytest.mark.parametrize(
    ("variant", "timesteps", "fault"),
    [
        ("2a", (2, 2), "needs at least 3 steps: the symbol to remember and two between"),
        ("2a", (50, 60), "needs a single number of steps: all strings have the same length"),
        ("2a", (9, 9), "needs at most 8 steps, as many as the option symbols: the middle is a1 … a7"),
        ("2a", (8, 8), None),
        ("2b", (50, 60), "needs a single number of steps: all strings have the same length"),
        ("2b", (900, 900), None),
    ],
)
def test_lengths(variant, timesteps, fault):
    assert build(variant, symbols=8).timesteps_fault(timesteps) == fault


def test_alphabet_sets_the_features():
    task = build("2a", symbols=8)
    assert (task.input_features, task.output_features, task.default_timesteps) == (9, 9, (8, 8))


def test_2c_is_b_the_symbol_distractors_e():
    task = build("2c", symbols=4, lag=3)
    batch = task.sample(stream(1, "t"), batch_size=20_000, timesteps=task.default_timesteps)
    symbols = batch.inputs.argmax(axis=2)
    rows = np.arange(len(symbols))
    assert (symbols[:, 0] == 4).all()  # a1 a2 a3 a4 b e x y
    assert (symbols[rows, batch.lengths - 1] == 5).all()
    np.testing.assert_array_equal(symbols[:, 1] - 6, batch.targets)
    assert batch.targets.mean() == pytest.approx(0.5, abs=0.015)
    between = (np.arange(symbols.shape[1]) >= 2) & (np.arange(symbols.shape[1]) < batch.lengths[:, None] - 1)
    np.testing.assert_allclose(np.bincount(symbols[between], minlength=8)[:4] / between.sum(), 0.25, atol=0.01)
    assert symbols[between].max() < 4


def test_the_lag_of_2c_is_geometric():
    """P(q + 3 + k steps) = 0.1 · 0.9ᵏ, with the mean q + 12; cut at two further distractors, 1 : 0.9 : 0.81."""
    task = build("2c", symbols=2, lag=5)
    lengths = task.sample(stream(2, "t"), batch_size=50_000, timesteps=task.default_timesteps).lengths
    assert lengths.mean() == pytest.approx(17, abs=0.15)
    shares = np.bincount(lengths, minlength=20)[:12] / len(lengths)
    np.testing.assert_allclose(shares, [0] * 8 + [0.1, 0.09, 0.081, 0.0729], atol=0.005)
    cut = task.sample(stream(3, "t"), batch_size=50_000, timesteps=(8, 10)).lengths
    np.testing.assert_allclose(np.bincount(cut)[8:] / len(cut), np.array([1, 0.9, 0.81]) / 2.71, atol=0.01)
    assert task.timesteps_fault((7, 10)) == "needs at least 8 steps: b, x or y, the lag of 5, e"
