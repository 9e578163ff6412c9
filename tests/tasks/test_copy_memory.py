"""The copying task: the places of the symbols, and the published baselines."""

import numpy as np
import pytest
from scipy.stats import entropy

from rnnlab.core.streams import stream
from rnnlab.tasks.copy_memory import CopyMemory, CopyMemoryOptions


@pytest.mark.parametrize(("delay", "published"), [(100, 0.1733), (200, 0.0945), (300, 0.0650), (500, 0.0400)])
def test_counting_scores_the_published_baseline_and_the_present_alone_more(delay: int, published: float) -> None:
    """Without counting, each of delay + 9 blanks is answered by a blank or one of 8 symbols, ten times by a symbol."""
    timesteps, blanks = (delay + 20, delay + 20), delay + 9
    task = CopyMemory(CopyMemoryOptions())
    counting = task.references(timesteps)[1]
    assert (counting.loss, counting.needs_memory) == (pytest.approx(published, abs=5e-5), True)
    surprise = entropy([(blanks - 10) / blanks, *[10 / blanks / 8] * 8])
    assert task.baseline(timesteps) == pytest.approx(blanks * surprise / (delay + 20))


def test_each_sequence_has_its_parts_where_the_paper_puts_them() -> None:
    batch = CopyMemory(CopyMemoryOptions()).sample(stream(0, "data/train"), batch_size=50, timesteps=(21, 40))
    for inputs, targets, length in zip(batch.inputs.argmax(axis=-1), batch.targets, batch.lengths, strict=True):
        symbols, delimiter = inputs[:10], length - 11
        assert 1 <= symbols.min() <= symbols.max() <= 8
        expected = [*symbols, *[0] * (delimiter - 10), 9, *[0] * 10]
        assert inputs[:length].tolist() == expected
        assert targets[:length].tolist() == [*[0] * (delimiter + 1), *symbols]


def test_a_wrong_blank_and_a_wrong_symbol_both_make_a_sequence_wrong() -> None:
    task = CopyMemory(CopyMemoryOptions(symbols=2, alphabet=3))
    batch = task.sample(stream(0, "data/train"), batch_size=3, timesteps=(8, 8))
    outputs = task.oracle(batch)
    outputs[1, 3, 2] = 1.0  # a symbol where a blank belongs
    outputs[2, 7, 0] = 1.0  # a blank where the second symbol belongs
    assert task.correct(outputs, batch).tolist() == [True, False, False]
    assert task.metrics(outputs, batch) == pytest.approx({"error_rate": 2 / 3, "recall_accuracy": 5 / 6})


def test_too_few_steps_are_explained() -> None:
    task = CopyMemory(CopyMemoryOptions(symbols=2))
    assert task.timesteps_fault((5, 5)) is None
    assert task.timesteps_fault((4, 9)) == "needs at least 5 steps: 2 symbols, the delimiter, 2 to recall them"


def test_one_symbol_leaves_one_reference_that_counts() -> None:
    references = CopyMemory(CopyMemoryOptions(symbols=1)).references((10, 30))
    memoryless = 18 * entropy([17 / 18, *[1 / 18 / 8] * 8]) / 20  # 18 of 20 steps are blanks, one is the answer
    assert [reference.loss for reference in references] == pytest.approx([memoryless, np.log(8) / 20])
