"""Adding and multiplying marked pairs: where the marks fall, the rare case, and the papers' limits."""

import numpy as np
import pytest

from rnnlab.core.streams import stream
from rnnlab.tasks import task_class
from rnnlab.tasks.adding import first_pair_chance


def build(name):
    return task_class(name)(task_class(name).Options())


def marks(batch):
    return np.nonzero(batch.inputs[:, :, 1] == 1)[1].reshape(batch.size, 2)


def test_urnn_marks_one_step_in_each_half():
    batch = build("adding").sample(stream(1, "t"), batch_size=4000, timesteps=(11, 11))
    early, late = marks(batch).T
    assert (early.min(), early.max(), late.min(), late.max()) == (0, 4, 5, 10)


@pytest.mark.parametrize("name", ["adding@hs1997", "multiplication@hs1997"])
@pytest.mark.parametrize(("shortest", "early_last", "late_last"), [(4, 0, 1), (16, 6, 7), (100, 9, 49), (200, 9, 99)])
def test_1997_marks_fall_on_the_first_half(name, shortest, early_last, late_last):
    batch = build(name).sample(stream(1, "t"), batch_size=20_000, timesteps=(shortest, shortest + 2))
    early, late = marks(batch).T
    assert (early.min(), early.max(), late.min(), late.max()) == (0, early_last, 1, late_last)
    assert (early == 0).mean() == pytest.approx(first_pair_chance((shortest, 0)), abs=0.01)


@pytest.mark.parametrize(("name", "neutral", "lowest"), [("adding@hs1997", 0, -1), ("multiplication@hs1997", 1, 0)])
def test_1997_pairs(name, neutral, lowest):
    batch = build(name).sample(stream(1, "t"), batch_size=5000, timesteps=(20, 22))
    values, markers = batch.inputs[:, :, 0], batch.inputs[:, :, 1]
    first_marked = markers[:, 0] == 1
    assert set(values[first_marked, 0]) == {neutral}
    assert set(markers[~first_marked, 0]) == {-1}
    assert set(markers[np.arange(5000), batch.lengths - 1]) == {-1}
    assert set(markers[:, 1:-3].reshape(-1)) == {0, 1}
    assert values[:, 1:19].min() == pytest.approx(lowest, abs=1e-3)
    assert values[:, 1:19].max() == pytest.approx(1, abs=1e-3)
    one, other = values[np.arange(5000)[:, None], marks(batch)].T
    expected = 0.5 + (one + other) / 4 if name == "adding@hs1997" else one * other
    np.testing.assert_allclose(batch.targets[:, 0], expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "losses"),
    [
        # The last step is marked once in 50, 51, 51, … 55 sequences: half of the steps, rounded up.
        ("adding@urnn", [1 / 6, 0.1650847, 1 / 12]),
        # Without the rare case these are 1/24, 1/48 and 7/144, 1/36; it has the chance 1/10 + 9/10·1/49.
        ("adding@hs1997", [0.0392007, 0.0183673]),
        ("multiplication@hs1997", [0.0592434, 0.0331862]),
    ],
)
def test_references_at_one_hundred_steps(name, losses):
    assert [reference.loss for reference in build(name).references((100, 110))] == pytest.approx(losses, abs=1e-7)


@pytest.mark.parametrize("name", ["adding@urnn", "adding@hs1997", "multiplication@hs1997"])
def test_right_means_within_four_hundredths(name):
    task = build(name)
    batch = task.sample(stream(1, "t"), batch_size=3, timesteps=(20, 20))
    outputs = batch.targets + np.array([[0.0399], [-0.0401], [-0.0399]])
    assert task.correct(outputs, batch).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("name", "rule", "fault"),
    [
        ("adding@urnn", "validation loss at most 0.005", "needs at least 2 steps: one for each marked number"),
        (
            "adding@hs1997",
            "all of the last 2,000 training sequences correct, with a mean training loss below 0.01",
            "needs at least 4 steps: two marked pairs in the first half",
        ),
        (
            "multiplication@hs1997",
            "all but 139 of the last 2,000 training sequences correct",
            "needs at least 4 steps: two marked pairs in the first half",
        ),
    ],
)
def test_rule_and_shortest_length_in_words(name, rule, fault):
    task = build(name)
    assert (str(task.solved), task.timesteps_fault((1, 9))) == (rule, fault)
    assert task.timesteps_fault((int(fault.split()[3]), 9)) is None


@pytest.mark.parametrize("name", ["adding@pascanu2013", "multiplication@pascanu2013"])
def test_the_marks_of_2013_are_in_the_first_tenth_and_before_the_half(name: str) -> None:
    task = build(name)
    batch = task.sample(stream(6, "t"), batch_size=3000, timesteps=(10, 63))
    rows, places = np.nonzero(batch.inputs[:, :, 1])
    shares = places.reshape(3000, 2) / batch.lengths[:, None]
    assert (shares[:, 0] < 0.1).all()
    assert (shares[:, 1] > 0.1 - 1 / batch.lengths).all()
    assert (shares[:, 1] < 0.5).all()
    one, other = batch.inputs[rows, places, 0].reshape(3000, 2).T
    expected = (one + other) / 2 if name.startswith("adding") else one * other
    np.testing.assert_allclose(batch.targets[:, 0], expected, rtol=1e-15)
    edges = expected[:4, None] + np.array([[0.199], [-0.199], [0.201], [-0.201]])
    assert task.correct(edges, batch.rows(0, 4)).tolist() == [True, True, False, False]  # type: ignore[union-attr]
