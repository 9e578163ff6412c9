"""Random streams: pure functions of (seed, stream, n), far apart from each other, the same in every process."""

import subprocess
import sys

import numpy as np
import pytest

from rnnlab.core.streams import stream

PUBLISHED = [5678830771456742367, 1804986278256034591, 3136283755967192651, 8899044065490554877]
PROGRAM = "from rnnlab.core.streams import stream; print(stream(7, 'data/train', 3).integers(0, 2**63, 4).tolist())"


def test_the_order_of_draws_changes_nothing() -> None:
    forward = [stream(1, "data/train", n).random(3) for n in range(10)]
    backward = [stream(1, "data/train", n).random(3) for n in reversed(range(10))]
    assert np.array_equal(forward, backward[::-1])


def test_ten_thousand_batches_of_two_streams_share_no_number() -> None:
    names = ("data/train", "data/validation")
    seen = {int(number) for name in names for n in range(10_000) for number in stream(0, name, n).integers(0, 2**63, 2)}
    assert len(seen) == 40_000


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((0, "data/train", 0), (0, "data/train", 1)),
        ((0, "data/train", 0), (0, "data/validation", 0)),
        ((0, "data/train", 0), (1, "data/train", 0)),
        ((0, "init/layers.0.W", 0), (0, "init/layers.1.W", 0)),
        ((1, "1/x", 0), (11, "x", 0)),
        ((0, "data/train", 0), (0, "data/train", 2**63)),
    ],
)
def test_streams_are_uncorrelated(one: tuple[int, str, int], other: tuple[int, str, int]) -> None:
    """The correlation of N independent pairs has a standard error of 1/√N."""
    count = 20_000
    a, b = stream(*one).normal(size=count), stream(*other).normal(size=count)
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(count)
    assert not set(a.tolist()) & set(b.tolist())


def test_a_stream_is_uniform() -> None:
    """χ² over 20 equal bins: 19 ± 6.2; across batch numbers, where a counter-based generator would be weak."""
    first = np.array([stream(0, "data/train", n).random() for n in range(10_000)])
    counts = np.histogram(first, bins=20, range=(0, 1))[0]
    assert ((counts - 500) ** 2 / 500).sum() < 19 + 5 * 6.2


def test_a_new_process_draws_the_same_numbers() -> None:
    """The numbers themselves, so that no release of anything changes them unseen."""
    child = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    here = stream(7, "data/train", 3).integers(0, 2**63, 4).tolist()
    assert child.stdout.strip() == str(here) == str(PUBLISHED)


@pytest.mark.parametrize("n", [-1, 2**64])
def test_a_draw_number_is_a_word(n: int) -> None:
    with pytest.raises(OverflowError):
        stream(0, "data/train", n)
