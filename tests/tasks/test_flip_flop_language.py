"""The flip-flop language: what is drawn, and what a read gives."""

import numpy as np
import pytest

from rnnlab.core.batch import Batch
from rnnlab.core.streams import stream
from rnnlab.tasks.base import mean_loss
from rnnlab.tasks.flip_flop_language import TOKENS, FlipFlopLanguage, FlipFlopLanguageOptions


def drawn(task: FlipFlopLanguage, *, size: int, timesteps: tuple[int, int]) -> tuple[Batch, list[str]]:
    batch = task.sample(stream(1, "t"), batch_size=size, timesteps=timesteps)
    texts = np.array([*TOKENS])[batch.inputs.argmax(axis=2)]
    return batch, ["".join(text[:length]) for text, length in zip(texts, batch.lengths, strict=True)]


def test_a_read_gives_the_bit_that_was_written_last() -> None:
    batch, texts = drawn(FlipFlopLanguage(FlipFlopLanguageOptions(ignore_probability=0.3)), size=200, timesteps=(4, 30))
    for text, target, mask in zip(texts, batch.targets, batch.mask, strict=True):
        assert (text[0], text[-2]) == ("w", "r")
        written = ""
        for step in range(0, len(text), 2):
            instruction, bit = text[step : step + 2]
            written = bit if instruction == "w" else written
            assert mask[step] == (instruction == "r")
            if instruction == "r":
                assert bit == written == str(target[step])
        assert not mask[1::2].any()


def test_instructions_are_as_frequent_as_stated() -> None:
    _, texts = drawn(FlipFlopLanguage(FlipFlopLanguageOptions()), size=2000, timesteps=(60, 60))
    between = "".join(text[2:-2:2] for text in texts)
    shares = [between.count(instruction) / len(between) for instruction in "wir"]
    np.testing.assert_allclose(shares, [0.1, 0.8, 0.1], atol=0.005)
    ignored = "".join(text[step + 1] for text in texts for step in range(2, 58, 2) if text[step] == "i")
    assert ignored.count("1") / len(ignored) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("timesteps", [(4, 9), (6, 6), (5, 20)])
def test_one_instruction_back_is_as_good_as_stated(timesteps: tuple[int, int]) -> None:
    task = FlipFlopLanguage(FlipFlopLanguageOptions(ignore_probability=0.6))
    batch = task.sample(stream(2, "t"), batch_size=40_000, timesteps=timesteps)
    _, back = task.references(timesteps)
    assert mean_loss(task, back.predict(batch), batch) == pytest.approx(back.loss, rel=0.02)


def test_lengths() -> None:
    task = FlipFlopLanguage(FlipFlopLanguageOptions())
    fault = "needs an even number of steps, 4 or more: a write, a read, a bit after each"
    assert [task.timesteps_fault(lengths) for lengths in [(2, 2), (3, 3), (5, 5)]] == [fault, fault, fault]
    assert [task.timesteps_fault(lengths) for lengths in [(3, 4), (5, 6)]] == [None, None]
