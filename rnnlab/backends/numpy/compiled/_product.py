"""The two matrix products of the compiled steps.

    c (M, N) = a (M, K) · x (K, N)       `product`: weights times the few columns of one time step
    c (M, K) += a (M, N) · b (K, N)ᵀ     `gather`: rows times rows over all steps of a chunk, the weights' gradients

A library packs its operands at every call, which for so few columns is much of the work; here weights are packed once
per training step. A tile of c stays in registers: in `product` 8 rows by one or two vectors of columns, in `gather` 4
rows by 4 as 16 vectors of partial sums. In memory the tiles of `gather` follow each other, 16 numbers each, so that a
tile is added as one vector, or a few.
Source: Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication"; that packing pays off over the
steps of a recurrence: Banerjee et al. 2019, "Optimizing deep learning RNN topologies on Intel architecture".
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numpy.typing import NDArray

from rnnlab.backends.numpy.compiled._code import Code, Number, Place, Vector
from rnnlab.backends.numpy.compiled._machine import vectors_a_tile

Array = NDArray[Any]
_ROWS = 8  # per tile of `product`
_SIDE = 4  # rows, and columns, per tile of `gather`
TILE = _SIDE * _SIDE  # numbers per tile of `gather`


def pack(weights: Array, into: Array) -> None:
    """Lay out a matrix as `product` reads it: 8 rows at a time, column after column.

    Args:
        weights: The transpose of a, (K, M): the input of a layer's weights by their output.
        into: Flat, M·K numbers.
    """
    depth, rows = weights.shape
    whole = rows - rows % _ROWS
    into[: whole * depth].reshape(-1, depth, _ROWS)[...] = weights[:, :whole].reshape(depth, -1, _ROWS).swapaxes(0, 1)
    into[whole * depth :].reshape(depth, rows - whole)[...] = weights[:, whole:]


def product(module: ir.Module, name: str, *, rows: int, depth: int, precision: str) -> Code:
    """Return the function (a, x, c; row stride of x, row stride of c, N) for M = `rows` and K = `depth`.

    N is a multiple of a vector's lanes; strides count numbers.
    """
    code = Code(module, f"product {name}", places=3, numbers=3, precision=precision)
    code.function.linkage = "internal"
    a, x, c = code.places
    of_x, of_c, columns = code.numbers
    code.tiles(
        rows,
        _ROWS,
        lambda row, height: _across(
            code, (a + row * depth, x, c + of_c * row), (of_x, of_c, columns), height=height, depth=depth
        ),
    )
    code.done()
    return code


def _across(
    code: Code, at: tuple[Place, Place, Place], sizes: tuple[Number, Number, Number], *, height: int, **how: Any
) -> None:
    """Do some rows of c, wide tiles first and then what is left."""
    (a, x, c), (of_x, of_c, columns) = at, sizes
    wide = vectors_a_tile() * code.lanes
    with code.loop(columns, step=wide) as column:
        _tile(code, (a, x + column, c + column), (of_x, of_c), size=(height, vectors_a_tile()), **how)
    with code.loop(columns, step=code.lanes, start=columns // wide * wide) as column:
        _tile(code, (a, x + column, c + column), (of_x, of_c), size=(height, 1), **how)


def _tile(
    code: Code,
    at: tuple[Place, Place, Place],
    strides: tuple[Number, Number],
    *,
    size: tuple[int, int],
    depth: int,
) -> None:
    (a, x, c), (of_x, of_c), (height, width) = at, strides, size

    def add(k: Number, sums: Sequence[Vector]) -> Sequence[Vector]:
        columns = [(x + of_x * k + code.lanes * n).read() for n in range(width)]
        weights = [(a + k * height + n).read_all_over() for n in range(height)]
        return [sums[n * width + m] + weights[n] * columns[m] for n in range(height) for m in range(width)]

    sums = code.sums(depth, height * width, add)
    for n in range(height):
        for m in range(width):
            (c + of_c * n + code.lanes * m).write(sums[n * width + m])


def tiles_of(rows: int, others: int) -> tuple[int, int]:
    """Return how many tiles of `gather` c has downwards and across."""
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
    """Return the sums over the lanes of each vector, in order, in as few vectors as possible.

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
