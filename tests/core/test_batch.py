"""Lengths, and the masks made from them."""

import numpy as np
import pytest

from rnnlab.core.batch import Batch, draw_lengths, last_step_mask, within_lengths


@pytest.mark.parametrize(("timesteps", "drawn"), [((7, 7), {7}), ((3, 5), {3, 4, 5})])
def test_lengths_fill_the_closed_range(timesteps: tuple[int, int], drawn: set[int]) -> None:
    assert set(draw_lengths(np.random.default_rng(0), 100, timesteps).tolist()) == drawn


def test_masks() -> None:
    lengths = np.array([1, 4, 2])
    np.testing.assert_array_equal(last_step_mask(lengths, 4), np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]]) == 1)
    np.testing.assert_array_equal(within_lengths(lengths, 4), np.array([[1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0]]) == 1)


def test_a_batch_has_the_size_of_its_sequences() -> None:
    batch = Batch(np.zeros((3, 4, 2)), np.zeros((3, 1)), np.ones((3, 4), bool), np.full(3, 4))
    assert batch.size == 3
