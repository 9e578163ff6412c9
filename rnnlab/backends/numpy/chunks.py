"""How a batch is cut for computing: its rows into shards, and the time of a shard into chunks.

Both are rules of the shapes alone. The number of processors decides how many shards run at once, never what is in
them, so that the same config gives the same bits on a laptop and on a large machine.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Rows = Array | slice
_MOST_SHARDS = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some steps of the longest sequences of a shard.

    Attributes:
        start: First step.
        stop: The step after the last.
        rows: How many sequences are not over by `start`; the others take no time.
    """

    start: int
    stop: int
    rows: int


def rows_in_cache(width: int) -> int:
    """Return how many rows (steps times sequences) of this many numbers a chunk should have, by measurement.

    Example:
        >>> [rows_in_cache(width) for width in (16, 128, 1024)]
        [4096, 2048, 512]
    """
    return min(4096, max(512, 2**18 // width))


def shard_count(batch_size: int, *, width: int) -> int:
    """Return into how many shards a batch is split where the config does not say.

    Two when each has 16 rows and 2048 numbers a step, from which a second processor brings more than it costs; more
    when each still has enough for its matrix products to run at full speed.

    Args:
        batch_size: B.
        width: Numbers that a step computes for a row: units times gates.

    Example:
        >>> [shard_count(batch_size, width=128) for batch_size in (1, 32, 512)]
        [1, 2, 4]
    """
    count = 2 if batch_size >= 32 and batch_size * width >= 4096 else 1
    while 2 <= count < _MOST_SHARDS and batch_size >= 128 * count and batch_size * width >= 2**14 * 2 * count:
        count *= 2
    return count


def deal(lengths: Array, count: int) -> list[Rows]:
    """Return the rows of each shard, longest sequence first, so that all have about the same work.

    Args:
        lengths: (B,), the steps of each sequence.
        count: How many shards.

    Example:
        >>> [rows.tolist() for rows in deal(np.array([3, 5, 4, 5]), 2)]
        [[1, 2], [3, 0]]
        >>> deal(np.array([5, 5, 5]), 2)
        [slice(0, 2, None), slice(2, 3, None)]
    """
    if int(lengths.min()) == int(lengths.max()):
        edges = [-(-len(lengths) * number // count) for number in range(count + 1)]
        return [slice(first, last) for first, last in pairwise(edges)]
    longest_first = np.argsort(-lengths, kind="stable")
    return [longest_first[number::count] for number in range(count)]


def chunks(lengths: Array, *, rows_at_once: int, window: int | None = None) -> list[list[Chunk]]:
    """Return the chunks of each window of time, none of which reaches beyond the longest sequence.

    Args:
        lengths: Of the rows, descending.
        rows_at_once: Steps times rows that a chunk should have: few enough to stay in the cache.
        window: The gradient is cut at every multiple of this many steps; None for nowhere.

    Example:
        >>> chunks(np.array([5, 3]), rows_at_once=4)
        [[Chunk(start=0, stop=2, rows=2), Chunk(start=2, stop=4, rows=2), Chunk(start=4, stop=5, rows=1)]]
        >>> [[(c.start, c.stop) for c in window] for window in chunks(np.array([5]), rows_at_once=2, window=3)]
        [[(0, 2), (2, 3)], [(3, 5)]]
    """
    timesteps, shortest_first = int(lengths[0]), lengths[::-1]
    if lengths[-1] == timesteps:
        return _even_chunks(len(lengths), timesteps, rows_at_once, window or timesteps)
    windows: list[list[Chunk]] = []
    for begin in range(0, timesteps, window or timesteps):
        end, start = min(begin + (window or timesteps), timesteps), begin
        windows.append([])
        while start < end:
            rows = len(lengths) - int(np.searchsorted(shortest_first, start, side="right"))
            stop = min(end, start + max(1, rows_at_once // rows))
            windows[-1].append(Chunk(start, stop, rows))
            start = stop
    return windows


@cache  # most batches of a training are alike
def _even_chunks(rows: int, timesteps: int, rows_at_once: int, window: int) -> list[list[Chunk]]:
    """Return the chunks of sequences of one length; the lists are everybody's, and nobody changes them."""
    size = max(1, rows_at_once // rows)
    return [
        [
            Chunk(start, min(start + size, begin + window, timesteps), rows)
            for start in range(begin, min(begin + window, timesteps), size)
        ]
        for begin in range(0, timesteps, window)
    ]


def groups(window: list[Chunk], *, recompute: bool) -> list[list[Chunk]]:
    """Return the chunks in groups, of which one is held in memory at a time.

    Without recomputing that is one group; with it, about √n of them, so that the states kept at their starts and the
    tapes of one group take about as much.

    Example:
        >>> [len(group) for group in groups([Chunk(n, n + 1, 1) for n in range(10)], recompute=True)]
        [4, 4, 2]
    """
    size = 1 + isqrt(len(window) - 1) if recompute else len(window)
    return [window[start : start + size] for start in range(0, len(window), size)]
