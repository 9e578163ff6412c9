"""How a batch is divided for computing, rows into batch shards and their time into chunks, and the memory it takes.

All are rules of the shapes alone. The number of processors decides how many shards run at once, never what is in
them, so that the same config gives bit-identical results on a laptop and on a large machine.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import isqrt
from typing import Literal

import numpy as np

from rnnlab.backends.base import Network
from rnnlab.core.batch import Array
from rnnlab.equations.plan import Plan, plan_of

Rows = Array | slice
Recompute = Literal["auto", "off", "sqrt"]
_MOST_SHARDS = 8
# Beyond this the states are kept only now and then. A fixed number, for a rule must not depend on the machine; it is
# far more than a cache has, so that only those who need it pay for it.
_TOO_MUCH = 2**30  # bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some steps of the longest sequences of a shard."""

    start: int  # first step
    stop: int  # the step after the last
    rows: int  # how many sequences are not over by `start`; the others take no time


def rows_in_cache(width: int) -> int:
    """Return how many rows (steps times sequences) of this many numbers a chunk should have, by measurement.

    Example:
        >>> [rows_in_cache(width) for width in (16, 128, 1024)]
        [4096, 2048, 512]
    """
    return min(4096, max(512, 2**18 // max(width, 1)))


def shard_count(batch_size: int, *, width: int) -> int:
    """Return into how many shards a batch is divided where the config leaves it open.

    `width` is how many numbers a step computes for a row: units times gates. Two when each has 16 rows and 2048 numbers
    per step, from which a second processor brings more than it costs; more when each still has enough for its matrix
    products to run at full speed.

    Example:
        >>> [shard_count(batch_size, width=128) for batch_size in (1, 32, 512)]
        [1, 2, 4]
    """
    count = 2 if batch_size >= 32 and batch_size * width >= 4096 else 1
    while 2 <= count < _MOST_SHARDS and batch_size >= 128 * count and batch_size * width >= 2**14 * 2 * count:
        count *= 2
    return count


@cache  # called at every step
def count_shards(network: Network, shards: int | None, *, batch_size: int) -> int:
    """Return into how many shards a batch is divided: as in the config, or by the rule."""
    return min(shards or shard_count(batch_size, width=width_of(_plan(network))), batch_size)


def deal(lengths: Array, count: int) -> list[Rows]:
    """Return the rows of each shard, longest of all lengths (B,) first, so that each has about the same work.

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


def chunks(
    lengths: Array, *, rows_at_once: int, window: int | None = None, every_step: bool = True
) -> list[list[Chunk]]:
    """Return the chunks between steps at which no gradient passes; none reaches beyond the longest sequence.

    A chunk begins wherever the gradient of a row is cut: at every multiple of `window` steps before that row's end. So
    rows of many different lengths make short chunks, and a training step takes two to four times as long.

    Args:
        lengths: Of the rows, descending.
        rows_at_once: Steps times rows that a chunk should have: few enough to stay in the cache.
        window: Steps between two cuts; None for no cut.
        every_step: Whether steps before the last of a sequence may be scored: else nothing passes its last cut.

    Example:
        >>> chunks(np.array([5, 3]), rows_at_once=4)
        [[Chunk(start=0, stop=2, rows=2), Chunk(start=2, stop=4, rows=2), Chunk(start=4, stop=5, rows=1)]]
        >>> [[(c.start, c.stop) for c in part] for part in chunks(np.array([8]), rows_at_once=2, window=3)]
        [[(0, 2)], [(2, 4), (4, 5)], [(5, 7), (7, 8)]]
        >>> some = chunks(np.array([9, 8]), rows_at_once=9, window=4, every_step=False)
        >>> [[(c.start, c.stop) for c in part] for part in some]  # one is cut at 5, the other at 4
        [[(0, 4)], [(4, 5), (5, 9)]]
    """
    timesteps, shortest_first = int(lengths[0]), lengths[::-1]
    size = min(window or timesteps, timesteps)
    if lengths[-1] == timesteps:
        return _even_chunks(len(lengths), timesteps, rows_at_once, size)
    shortest = int(lengths[-1])
    starts = {0} if every_step or window is None else {0, *range(shortest - size, 0, -size)}
    first = 0 if every_step else shortest - size
    cuts = {cut for length in set(lengths.tolist()) for cut in range(length - size, max(0, first), -size) if window}
    windows: list[list[Chunk]] = []
    for begin, end in pairwise(sorted({*starts, *cuts, timesteps})):
        if begin in starts:
            windows.append([])
        start = begin
        while start < end:
            rows = len(lengths) - int(np.searchsorted(shortest_first, start, side="right"))
            stop = min(end, start + max(1, rows_at_once // rows))
            windows[-1].append(Chunk(start, stop, rows))
            start = stop
    return windows


def reach(longest: int, shortest: int, *, window: int | None, every_step: bool) -> int:
    """Return the steps between two cuts that all rows share, over which a backward pass has to keep its states.

    Example:
        >>> [reach(100, shortest, window=20, every_step=every) for shortest in (100, 90) for every in (False, True)]
        [20, 20, 30, 100]
    """
    if window is None or (every_step and shortest < longest):
        return longest
    return min(longest, window + longest - shortest)


@cache  # most batches of a training have the same shape
def _even_chunks(rows: int, timesteps: int, rows_at_once: int, window: int) -> list[list[Chunk]]:
    """Return the chunks of sequences of one length; the lists are shared and never changed."""
    size = max(1, rows_at_once // rows)
    return [
        [Chunk(start, min(start + size, end), rows) for start in range(begin, end, size)]
        for begin, end in pairwise([0, *range(timesteps % window or window, timesteps, window), timesteps])
    ]


def groups(window: list[Chunk], *, recompute: bool) -> list[list[Chunk]]:
    """Return the chunks in groups, of which one is in memory at a time.

    Without recomputing that is one group; with it, about √n of them, so that the states kept at their starts and the
    tapes of one group take about as much.

    Example:
        >>> [len(group) for group in groups([Chunk(n, n + 1, 1) for n in range(10)], recompute=True)]
        [4, 4, 2]
    """
    size = 1 + isqrt(len(window) - 1) if recompute else len(window)
    return [window[start : start + size] for start in range(0, len(window), size)]


def tape_bytes(network: Network, *, batch_size: int, timesteps: int, recompute: bool = False) -> int:
    """Return about how many bytes are kept for going back: D·B·T·(I + (L - 1)·H + L·K), or √ of it in T.

    D bytes per number, B sequences, T steps, L layers, K numbers of states and saved values of the cell's plan.
    """
    options, plan = network.cell.options, _plan(network)
    kept = sum(plan.sizes.values()) + sum(node.width for node in plan.saved)
    numbers = network.input_features + (options.layers - 1) * options.units + options.layers * kept
    if recompute:
        chunk = chunk_steps(network, batch_size)
        timesteps = min(timesteps, 2 * chunk * (1 + int((timesteps / chunk) ** 0.5)))
    return batch_size * timesteps * numbers * network.dtype.itemsize


def chunk_steps(network: Network, batch_size: int) -> int:
    """Return how many steps are computed at a time, at most."""
    return max(1, rows_in_cache(network.cell.options.units) // batch_size)


@cache  # called at every step
def should_recompute(network: Network, asked: Recompute, *, batch_size: int, timesteps: int) -> bool:
    """Return whether states are recomputed instead of kept; `timesteps` are those between two cuts of the gradient."""
    return (
        asked == "sqrt"
        if asked != "auto"
        else tape_bytes(network, batch_size=batch_size, timesteps=timesteps) > _TOO_MUCH
    )


def width_of(plan: Plan) -> int:
    """Return the numbers that a step computes for a row by products with matrices: units times gates."""
    return sum(node.width for stage in plan.forward for node in stage.products)


def _plan(network: Network) -> Plan:
    return plan_of(network.cell, network.layer_features(0))
