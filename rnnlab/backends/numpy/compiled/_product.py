"""Products of a matrix of weights, packed once a training step, and the few columns that one step of time has.

    c (M, N) = a (M, K) · x (K, N)

A library packs its operands at every call, which for so few columns is much of the work. Here a tile of c, 8 rows
by one or two vectors of columns, stays in registers while all of K goes by.
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
_ROWS = 8  # of a tile


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
