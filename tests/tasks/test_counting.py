"""Counting: the strings, what is legal at each step, the lengths."""

import numpy as np
import pytest

from rnnlab.core.streams import stream
from rnnlab.tasks.base import mean_loss
from rnnlab.tasks.counting import Counting, CountingOptions


def build(letters: int) -> Counting:
    return Counting(CountingOptions(letters=letters))


def test_a_string_of_three_letters_by_hand() -> None:
    batch = build(3).sample(stream(1, "t"), batch_size=1, timesteps=(6, 6))
    assert batch.inputs[0].argmax(axis=1).tolist() == [0, 0, 1, 1, 2, 2]
    legal = ["".join(name for name, legal in zip("abcT", step, strict=True) if legal) for step in batch.targets[0]]
    assert legal == ["ab", "ab", "b", "c", "c", "T"]


@pytest.mark.parametrize(("letters", "timesteps", "counts"), [(2, (1, 9), {1, 2, 3, 4}), (4, (5, 12), {2, 3})])
def test_n_is_uniform_over_the_multiples_in_the_range(
    letters: int, timesteps: tuple[int, int], counts: set[int]
) -> None:
    batch = build(letters).sample(stream(2, "t"), batch_size=4000, timesteps=timesteps)
    assert batch.inputs.shape == (4000, timesteps[1], letters)
    n, times = np.unique(batch.lengths // letters, return_counts=True)
    assert {*n.tolist()} == counts
    np.testing.assert_allclose(times / 4000, 1 / len(counts), atol=0.03)
    np.testing.assert_array_equal(batch.inputs.sum(axis=1), np.repeat(batch.lengths[:, None] // letters, letters, 1))


def test_lengths_without_a_multiple_are_explained() -> None:
    assert build(3).timesteps_fault((4, 5)) == "needs a multiple of 3 steps: n of each of 3 letters"
    assert build(3).timesteps_fault((4, 6)) is None


@pytest.mark.parametrize("letters", [2, 3, 4])
def test_the_baseline_is_the_variance_of_the_two_uncertain_outputs(letters: int) -> None:
    task = build(letters)
    batch = task.sample(stream(3, "t"), batch_size=20_000, timesteps=(letters, 5 * letters))
    (reference,) = task.references((letters, 5 * letters))
    # n = 1 … 5: the last of each letter is 1 of 3 steps; (K - 1)/K · 2 · 1/3 · 2/3 / (K + 1)
    assert reference.loss == pytest.approx((letters - 1) / letters * 4 / 9 / (letters + 1))
    assert mean_loss(task, reference.predict(batch), batch) == pytest.approx(reference.loss, rel=0.01)


def test_one_output_on_the_wrong_side_at_one_step_rejects_a_string() -> None:
    task = build(2)
    batch = task.sample(stream(4, "t"), batch_size=4, timesteps=(6, 6))
    answers = 0.5 + 0.1 * (batch.targets - 0.5)
    answers[1, 3, 2] = 0.51
    assert task.correct(answers, batch).tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("distribution", "chances"),
    [
        # n = 1, 2, 3: the integral of Binomial(2, p) over a beta distribution, by hand.
        ("u_shaped", [5 / 12, 1 / 6, 5 / 12]),  # E[p²] = (1/4 · 5/4) / (1/2 · 3/2)
        ("right_tailed", [5 / 7, 5 / 21, 1 / 21]),  # E[p²] = 1 · 2 / (6 · 7)
        ("left_tailed", [1 / 21, 5 / 21, 5 / 7]),
    ],
)
def test_the_other_distributions_of_n_by_hand(distribution: str, chances: list[float]) -> None:
    task = Counting(CountingOptions.model_validate({"letters": 2, "distribution": distribution}))
    batch = task.sample(stream(5, "t"), batch_size=20_000, timesteps=(2, 6))
    found = np.bincount(batch.lengths // 2, minlength=4)[1:] / 20_000
    np.testing.assert_allclose(found, chances, atol=0.015)
    (reference,) = task.references((2, 6))
    assert mean_loss(task, reference.predict(batch), batch) == pytest.approx(reference.loss, rel=0.02)
