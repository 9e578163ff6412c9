"""The regular tasks of Delétang et al.: answers by other programs, shares, lengths."""

from itertools import pairwise

import numpy as np
import pytest

from rnnlab.core.streams import stream
from rnnlab.tasks import task_class
from rnnlab.tasks._regular import AbstractRegular


def build(name: str) -> AbstractRegular:
    task = task_class(f"{name}@deletang2023")(task_class(f"{name}@deletang2023").Options())
    assert isinstance(task, AbstractRegular)
    return task


def _odd_pairs(string: str) -> int:
    return sum(one != other for one, other in pairwise(string)) % 2


ANSWERS = {
    "parity": lambda string: string.count("1") % 2,
    "even_pairs": _odd_pairs,
    "cycle_navigation": lambda string: (string.count("+") - string.count("-")) % 5,
    "modular_arithmetic": lambda string: eval(string.replace("×", "*")) % 5,  # Python's own precedence
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_those_of_the_string(name: str) -> None:
    task = build(name)
    batch = task.sample(stream(1, "t"), batch_size=300, timesteps=(2, 26))
    symbols = np.array([*task.symbols, "_"])[batch.inputs.argmax(axis=2)]
    for row, length, answer in zip(symbols, batch.lengths, batch.targets, strict=True):
        string = "".join(row[:length])
        assert string[-1] == "_"
        assert answer == ANSWERS[name](string[:-1])
    assert (batch.inputs.sum(axis=2).sum(axis=1) == batch.lengths).all()


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("timesteps", [(2, 7), (4, 4), (6, 20)])
def test_classes_are_as_frequent_as_stated(name: str, timesteps: tuple[int, int]) -> None:
    task = build(name)
    batch = task.sample(stream(2, "t"), batch_size=40_000, timesteps=timesteps)
    frequent = np.bincount(batch.targets, minlength=task.output_features) / batch.size
    np.testing.assert_allclose(frequent, task._shares(timesteps), atol=0.01)


@pytest.mark.parametrize("name", ANSWERS)
def test_symbols_are_equally_likely_where_they_can_be(name: str) -> None:
    task = build(name)
    batch = task.sample(stream(3, "t"), batch_size=4000, timesteps=(20, 20))
    count = np.bincount(batch.inputs.argmax(axis=2)[:, :-1].ravel(), minlength=len(task.symbols))
    alike = [count[:5], count[5:]] if name == "modular_arithmetic" else [count]
    for those in alike:
        np.testing.assert_allclose(those / those.sum(), 1 / len(those), atol=0.01)


def test_an_expression_has_an_odd_number_of_symbols() -> None:
    task = build("modular_arithmetic")
    assert task.timesteps_fault((7, 7)) == "needs an even number of steps: an odd number of symbols, and the empty one"
    assert task.timesteps_fault((7, 9)) is None
    lengths = task.sample(stream(4, "t"), batch_size=6000, timesteps=(3, 9)).lengths
    np.testing.assert_allclose(np.bincount(lengths)[[4, 6, 8]] / 6000, 1 / 3, atol=0.025)
