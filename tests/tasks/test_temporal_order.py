"""Temporal order: the places of the marks, the meaning of the classes, and when an answer is right."""

import numpy as np
import pytest

from rnnlab.core.batch import Batch, last_step_mask
from rnnlab.core.streams import stream
from rnnlab.tasks import task_class


def build(name):
    return task_class(name)(task_class(name).Options())


@pytest.mark.parametrize(
    ("name", "shortest", "windows"),
    [
        ("temporal_order@hs1997", 100, [(10, 20), (50, 60)]),
        ("temporal_order@hs1997", 10, [(1, 2), (5, 6)]),
        ("temporal_order@hs1997", 50, [(5, 10), (25, 30)]),
        ("temporal_order@hs1997", 1000, [(100, 200), (500, 600)]),
        ("temporal_order@hs1997_3", 100, [(10, 20), (33, 43), (66, 76)]),
        ("temporal_order@hs1997_3", 10, [(1, 2), (3, 4), (7, 8)]),
    ],
)
def test_marks_are_in_the_windows_of_the_paper(name, shortest, windows):
    batch = build(name).sample(stream(1, "t"), batch_size=4000, timesteps=(shortest, shortest + shortest // 10))
    places = np.nonzero(batch.inputs[:, :, 6:].any(axis=2))[1].reshape(4000, len(windows))
    assert list(zip(places.min(axis=0).tolist(), places.max(axis=0).tolist(), strict=True)) == windows


def test_every_length_symbol_and_class_is_as_likely():
    batch = build("temporal_order@hs1997").sample(stream(1, "t"), batch_size=20_000, timesteps=(100, 110))
    lengths = np.bincount(batch.lengths)[100:] / 20_000
    np.testing.assert_allclose(lengths, np.full(11, 1 / 11), atol=0.01)
    np.testing.assert_allclose(np.bincount(batch.targets) / 20_000, np.full(4, 0.25), atol=0.015)
    distractors = batch.inputs[:, :, 2:6].sum(axis=(0, 1))
    np.testing.assert_allclose(distractors / distractors.sum(), np.full(4, 0.25), atol=0.003)
    assert batch.inputs.sum(axis=(0, 1))[:2].tolist() == [20_000, 20_000]
    assert (batch.inputs[:, 0, 0] == 1).all()
    assert (batch.inputs[np.arange(20_000), batch.lengths - 1, 1] == 1).all()


def test_class_reads_the_marks_as_a_binary_number():
    batch = build("temporal_order@hs1997_3").sample(stream(1, "t"), batch_size=500, timesteps=(20, 22))
    words = ["".join("XY"[int(y)] for x, y in row[:, 6:] if x or y) for row in batch.inputs]
    order = ["XXX", "XXY", "XYX", "XYY", "YXX", "YXY", "YYX", "YYY"]
    assert [order[target] for target in batch.targets] == words


@pytest.mark.parametrize(("name", "least", "marks"), [("temporal_order", 5, 2), ("temporal_order@hs1997_3", 7, 3)])
def test_shortest_length(name, least, marks):
    task = build(name)
    text = f"needs at least {least} steps: E, {marks} marked symbols apart from each other, B"
    assert [task.timesteps_fault((steps, 2000)) for steps in range(1, least)] == [text] * (least - 1)
    assert {task.timesteps_fault((steps, steps)) for steps in range(least, 2000)} == {None}
    batch = task.sample(stream(1, "t"), batch_size=50, timesteps=(least, least))
    assert task.correct(task.oracle(batch), batch).all()


def test_right_means_every_probability_within_three_tenths():
    task, mask = build("temporal_order"), last_step_mask(np.array([5, 5, 5]), 5)
    batch = Batch(np.zeros((3, 5, 8)), np.array([0, 0, 1]), mask, np.array([5, 5, 5]))
    chances = np.array([[0.71, 0.29, 0, 0], [0.69, 0.11, 0.1, 0.1], [0.71, 0.29, 0, 0]])
    outputs = np.log(chances + 1e-12)
    assert task.correct(outputs, batch).tolist() == [True, False, False]
    assert task.metrics(outputs, batch) == pytest.approx(
        {"error_rate": 2 / 3, "accuracy": 2 / 3, "largest_error": 0.71}
    )
    assert str(task.solved) == ("all of the last 2,000 training sequences correct, with a mean training loss below 0.1")


@pytest.mark.parametrize(("name", "windows"), [("pascanu2013", [1, 5]), ("pascanu2013_3", [1, 3, 6])])
def test_the_marks_of_2013_are_in_tenths_of_each_own_length(name: str, windows: list[int]) -> None:
    task = task_class(f"temporal_order@{name}")(task_class(f"temporal_order@{name}").Options())
    batch = task.sample(stream(5, "t"), batch_size=3000, timesteps=(10, 63))
    marks = batch.inputs[:, :, 4:].any(axis=2)
    assert (marks.sum(axis=1) == len(windows)).all()
    tenths = np.nonzero(marks)[1].reshape(-1, len(windows)) / batch.lengths[:, None] * 10
    assert (tenths > np.array(windows) - 10 / batch.lengths[:, None]).all()
    assert (tenths < np.array(windows) + 1).all()
    assert (batch.inputs.sum(axis=2).sum(axis=1) == batch.lengths).all()
    np.testing.assert_allclose(np.bincount(batch.targets) / 3000, 0.5 ** len(windows), atol=0.03)
