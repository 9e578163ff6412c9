"""The flip-flop: when pulses come, and its references at other rates and lengths."""

import numpy as np
import pytest

from rnnlab.core.streams import stream
from rnnlab.tasks.base import mean_loss
from rnnlab.tasks.flip_flop import FlipFlop, FlipFlopOptions


def test_baseline_is_the_measured_one_of_the_example() -> None:
    assert FlipFlop(FlipFlopOptions()).baseline((64, 64)) == pytest.approx(0.492, abs=5e-4)


def test_a_constant_zero_scores_one() -> None:
    task = FlipFlop(FlipFlopOptions())
    batch = task.sample(stream(0, "data/train"), batch_size=10, timesteps=(5, 64))
    assert mean_loss(task, np.zeros_like(batch.targets), batch) == 1.0


@pytest.mark.parametrize(("probability", "timesteps"), [(0.1, (2, 30)), (0.9, (5, 5)), (0.5, (2, 2))])
def test_references_hold_for_other_rates_and_lengths(probability: float, timesteps: tuple[int, int]) -> None:
    task = FlipFlop(FlipFlopOptions(bits=2, pulse_probability=probability))
    batch = task.sample(stream(1, "data/train"), batch_size=30_000, timesteps=timesteps)
    references = task.references(timesteps)
    assert len(references) == {(2, 30): 3, (5, 5): 3, (2, 2): 1}[timesteps]
    for reference in references:
        assert mean_loss(task, reference.predict(batch), batch) == pytest.approx(reference.loss, rel=0.06, abs=1e-4), (
            reference.name
        )


def test_pulses_come_at_their_rate_with_even_signs_and_always_first() -> None:
    task = FlipFlop(FlipFlopOptions(pulse_probability=0.2))
    inputs = task.sample(stream(2, "data/train"), batch_size=2000, timesteps=(20, 20)).inputs
    assert set(np.unique(inputs)) == {-1.0, 0.0, 1.0}
    assert (inputs[:, 0] != 0).all()
    assert (inputs[:, 1:] != 0).mean() == pytest.approx(0.2, abs=0.005)
    assert inputs.mean() == pytest.approx(0, abs=0.005)


def test_one_bit_with_the_wrong_sign_at_one_step_is_an_error() -> None:
    task = FlipFlop(FlipFlopOptions())
    batch = task.sample(stream(3, "data/train"), batch_size=2, timesteps=(9, 9))
    outputs = task.oracle(batch)
    outputs[1, 4, 2] *= -0.1
    assert task.metrics(outputs, batch) == pytest.approx({"error_rate": 0.5, "bit_accuracy": 1 - 1 / 54})
