"""What is peculiar to parity: the noise, and the count that ends with each sequence."""

import numpy as np
import pytest

from rnnlab.core.streams import stream
from rnnlab.tasks.parity import Parity, ParityOptions


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_inputs_are_plus_and_minus_one_within_the_noise(noise: float) -> None:
    batch = Parity(ParityOptions(noise=noise)).sample(stream(0, "data/train"), batch_size=500, timesteps=(20, 20))
    off = np.abs(np.abs(batch.inputs) - 1)
    assert off.max() == pytest.approx(noise, abs=1e-4)
    assert (batch.inputs > 0).mean() == pytest.approx(0.5, abs=0.02)


def test_bits_beyond_a_sequence_do_not_count() -> None:
    batch = Parity(ParityOptions()).sample(stream(1, "data/train"), batch_size=200, timesteps=(1, 9))
    for row, length, target in zip(batch.inputs, batch.lengths, batch.targets, strict=True):
        assert target == sum(1 for bit in row[:length, 0] if bit == 1) % 2


def test_missing_the_first_bit_is_as_good_as_guessing() -> None:
    task = Parity(ParityOptions())
    batch = task.sample(stream(2, "data/train"), batch_size=20_000, timesteps=(2, 30))
    batch.inputs[:, 0] = 0.0
    assert task.correct(task.oracle(batch), batch).mean() == pytest.approx(0.5, abs=0.015)
