"""Products of rows with other rows over all steps of a chunk: the gradients of the weights.

    c (M, K) += a (M, N) · b (K, N)ᵀ

As in `_product`, a tile of c stays in registers while all of N goes by: here 4 rows by 4 as 16 vectors of partial
sums. In memory the tiles follow each other, 16 numbers each, so that a tile is added as one vector, or a few.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numpy.typing import NDArray

from rnnlab.backends.numpy.compiled._code import Code, Number, Vector

Array = NDArray[Any]
_SIDE = 4  # rows of a tile, and columns
TILE = _SIDE * _SIDE  # numbers of a tile


def tiles_of(rows: int, others: int) -> tuple[int, int]:
    """Return how many tiles c has downwards and across."""
    return -(-rows // _SIDE), -(-others // _SIDE)


def gathered(tiles: Array, rows: int, others: int) -> Array:
    """Return c (M, K) of its tiles one behind the other."""
    down, across = tiles_of(rows, others)
    whole = tiles.reshape(down, across, _SIDE, _SIDE).swapaxes(1, 2).reshape(down * _SIDE, across * _SIDE)
    return whole[:rows, :others]


def gather(module: ir.Module, name: str, rows: int, others: int, *, precision: str) -> Code:
    """Return the function (a, b, tiles; row stride of a, row stride of b, N) for M = `rows` and K = `others`.

    N is a multiple of a vector's lanes.
    """
    code = Code(module, f"gather {name}", places=3, numbers=3, precision=precision)
    code.function.linkage = "internal"
    a, b, c = code.places
    of_a, of_b, columns = code.numbers
    _, across = tiles_of(rows, others)

    def tile(n: Number, m: Number, height: int, width: int) -> None:
        at, places = (a + of_a * n, b + of_b * m), [(k, j) for k in range(height) for j in range(width)]

        def add(column: Number, sums: Sequence[Vector]) -> Sequence[Vector]:
            left = [(at[0] + of_a * k + column).read() for k in range(height)]
            right = [(at[1] + of_b * k + column).read() for k in range(width)]
            return [total + left[k] * right[j] for (k, j), total in zip(places, sums, strict=True)]

        found = dict(zip(places, code.sums(columns, len(places), add, step=code.lanes), strict=True))
        sums = [found.get((k, j), code.constant(0.0)) for k in range(_SIDE) for j in range(_SIDE)]
        to = c + (n // _SIDE * across + m // _SIDE) * TILE
        for number, total in enumerate(_summed(code, sums)):
            there = to + number * code.lanes
            there.write(there.read() + total)

    code.tiles(rows, _SIDE, lambda n, height: code.tiles(others, _SIDE, lambda m, width: tile(n, m, height, width)))
    code.done()
    return code


def _summed(code: Code, vectors: list[Vector]) -> list[Vector]:
    """Return the sums over the lanes of each vector, in order, in as few vectors as hold them.

    With L lanes, L vectors become one in log L rounds: each two neighbours are folded, halves upon halves.
    """
    size = code.lanes
    return [_folded(code, vectors[start : start + size]) for start in range(0, len(vectors), size)]


def _folded(code: Code, vectors: list[Vector]) -> Vector:
    width = code.lanes  # that belong to one sum
    while len(vectors) > 1:
        width //= 2
        first = [part + lane for part in range(0, 2 * code.lanes, 2 * width) for lane in range(width)]
        second = [lane + width for lane in first]
        vectors = [
            code.shuffled(one, other, first) + code.shuffled(one, other, second)
            for one, other in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    return vectors[0]
