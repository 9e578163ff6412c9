"""The matrix products of the compiled steps; in all of them a tile of the result stays in registers.

    c (M, W) = a (M, K) · x (K, W)                    `product`: weights times the W columns of one time step
    c (M, G) += Σ over the steps t of s_t (M, W) · d_t (W, G)   `gather`: the weights' gradients, for a chunk of time

Where the lanes are networks, each has weights of its own, a is (K, M, lanes), and the columns are sequences of theirs;
then `outer` takes the place of `gather`, and the sum is over the sequences of a network, not over all columns.

A library packs its operands at every call, which for so few columns is much of the work; here weights are packed once
per training step, and all else is made in the order in which it is read. A tile has as many rows and vectors as there
are registers for; what it reads again and again is cut to fit the first cache.
Source: Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication"; that packing pays off over the
steps of a recurrence: Banerjee et al. 2019, "Optimizing deep learning RNN topologies on Intel architecture".
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from llvmlite import ir

from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._machine import registers
from rnnlab.backends.numpy.compiled._values import Number, Place, Vector, Whole

_BLOCK = 24 * 2**10  # bytes: most of a first cache of 32 KiB
_WIDE = 2  # vectors of a tile, where there are two


def _even(whole: int, most: int) -> int:
    """Return the size of the fewest parts of at most this size that are about alike."""
    return -(-whole // -(-whole // most))


def tile_rows(rows: int, vectors: int) -> int:
    """Return the rows of a tile: its sums take three quarters of the registers."""
    return _even(rows, registers() * 3 // 4 // vectors)


def _blocks(depth: int, bytes_per_row: int) -> Iterator[tuple[int, int]]:
    """Yield start and size of the parts of a product's depth."""
    size = _even(depth, _BLOCK // bytes_per_row)
    for start in range(0, depth, size):
        yield start, min(size, depth - start)


def pack(module: ir.Module, name: str, shape: tuple[int, int], *, columns: int, upright: bool, precision: str) -> Code:
    """Return the function (w, a) that lays out a matrix as `product` reads it.

    That is block by block of its depth, tile by tile, column after column. `w` is its transpose, (K, M): the input of a
    layer's weights by their output; with `upright` it is the matrix itself, (M, K).
    """
    code = Code(module, f"pack {name}", places=2, numbers=0, precision=precision)
    code.function.linkage = "internal"
    (w, a), (rows, depth) = code.places, shape
    by_row, by_depth = (depth, 1) if upright else (1, rows)
    for start, size in _blocks(depth, columns * code.size):

        def tile(row: Number, height: int, start: int = start, size: int = size) -> None:
            source, to = w + row * by_row + start * by_depth, a + row * size + start * rows
            with code.loop(size) as k:
                for n in range(height):
                    (source + k * by_depth + n * by_row).copy_to(to + k * height + n)

        code.tiles(rows, tile_rows(rows, columns // code.lanes), tile)
    code.done()
    return code


def product(
    module: ir.Module,
    name: str,
    shape: tuple[int, int],
    *,
    operands: Sequence[int],
    columns: int,
    adds: bool,
    precision: str,
    lanes: int = 0,
) -> Code:
    """Return the function (a, c, x …) for a matrix of this shape, x being as many parts as there are `operands`.

    The shape is M and K, `operands` are the rows of each part of x, K in all. If `adds`, the product is added to c.
    With `lanes`, each lane of vectors of so many numbers has a matrix of its own, (K, M, lanes); else the matrix is as
    `pack` lays it out.
    """
    code = Code(module, f"product {name}", places=2 + len(operands), numbers=0, precision=precision, lanes=lanes)
    code.function.linkage = "internal"
    (a, c, *x), (rows, depth) = code.places, shape
    vectors = columns // code.lanes
    ends = [0, *accumulate(operands)]

    for start, size in _blocks(depth, columns * code.size):

        def tile(row: Number, height: int, start: int = start, size: int = size) -> None:
            # How many weights a column of the matrix is, how many numbers each of them, and where the tile's first is.
            tall, each = (rows, lanes) if lanes else (height, 1)
            packed, stop = a + (row + start * rows if lanes else row * size + start * rows) * each, start + size
            to = [c + row * columns + (n * columns + m * code.lanes) for n in range(height) for m in range(vectors)]
            sums = [at.read() if adds or start else code.constant(0.0) for at in to]
            for part, (first, last) in zip(x, pairwise(ends), strict=True):
                begin, end = max(start, first), min(stop, last)
                if begin < end:
                    of_a, of_x = packed + (begin - start) * tall * each, part + (begin - first) * columns

                    def add(
                        k: Number, sums: Sequence[Vector], of_a: Place = of_a, of_x: Place = of_x
                    ) -> Sequence[Vector]:
                        at = of_a + k * (tall * each)
                        read = Place.read if lanes else Place.read_all_over
                        left = [read(at + n * each) for n in range(height)]
                        return _add_outer(left, of_x + k * columns, sums, vectors)

                    sums = code.sums(end - begin, sums, add)
            for at, total in zip(to, sums, strict=True):
                at.write(total)

        code.tiles(rows, tile_rows(rows, vectors), tile)
    code.done()
    return code


def padded(count: int, lanes: int) -> int:
    """Return `count` rounded up to whole vectors."""
    return -(-count // lanes) * lanes


def gather(
    module: ir.Module, name: str, shape: tuple[int, int], *, columns: int, stack_rows: int, precision: str
) -> Code:
    """Return the function (s, d, c; T) for M rows of the stack and G of the arguments' gradients.

    s_t begins `stack_rows`·W after s_{t-1}. c has `padded` rows of G. d has panels of two vectors, of all T steps each.
    """
    code = Code(module, f"gather {name}", places=3, numbers=1, precision=precision)
    code.function.linkage = "internal"
    (s, d, c), (steps,), (rows, others) = code.places, code.numbers, shape
    across = padded(others, code.lanes)
    at_once = max(1, _BLOCK // (columns * _WIDE * code.lanes * code.size))  # steps

    def panel(start: Whole, vectors: int, first: Number, count: Number) -> None:
        width = vectors * code.lanes
        own = d + steps * columns * start

        def tile(row: Number, height: int) -> None:
            to = [
                c + row * across + start + (n * across + m * code.lanes) for n in range(height) for m in range(vectors)
            ]

            def step(t: Number, sums: Sequence[Vector]) -> Sequence[Vector]:
                of_s, of_d = (
                    s + (first + t) * (stack_rows * columns) + row * columns,
                    own + (first + t) * (columns * width),
                )

                def add(n: Number, sums: Sequence[Vector]) -> Sequence[Vector]:
                    left = [(of_s + n + m * columns).read_all_over() for m in range(height)]
                    return _add_outer(left, of_d + n * width, sums, vectors)

                return code.sums(columns, sums, add)

            for at, total in zip(to, code.sums(count, [at.read() for at in to], step), strict=True):
                at.write(total)

        code.tiles(rows, tile_rows(rows, vectors), tile)

    with code.loop((steps + (at_once - 1)) // at_once) as block:
        first = block * at_once
        count = (steps - first).at_most(at_once)
        code.tiles(across, _WIDE * code.lanes, lambda start, width: panel(start, width // code.lanes, first, count))
    code.done()
    return code


def outer(
    module: ir.Module,
    name: str,
    shape: tuple[int, int],
    *,
    columns: int,
    strides: tuple[int, int],
    precision: str,
    lanes: int,
    adds: bool = True,
) -> Code:
    """Return the function (s, d, c; T) for M rows and G gradients of each lane by itself; c is (M, G, lanes).

    s_t begins so many rows after s_{t-1} as the first of `strides`, d_t as the second. What is in c stays part of the
    sum if `adds`.
    """
    code = Code(module, f"outer {name}", places=3, numbers=1, precision=precision, lanes=lanes)
    code.function.linkage = "internal"
    (s, d, c), (steps,), (rows, others) = code.places, code.numbers, shape
    across = _even(others, 4 if registers() > 16 else 3)
    down = _even(rows, registers() * 3 // 4 // across)

    def tile(row: Number, height: int, column: Number, width: int) -> None:
        to = [c + ((row + n) * others + column + m) * code.lanes for n in range(height) for m in range(width)]

        def step(t: Number, sums: Sequence[Vector]) -> Sequence[Vector]:
            of_s, of_d = s + (t * strides[0] + row) * columns, d + (t * strides[1] + column) * columns
            for at in range(0, columns, code.lanes):
                right = [(of_d + m * columns + at).read() for m in range(width)]
                left = [(of_s + n * columns + at).read() for n in range(height)]
                sums = [total + left[n // width] * right[n % width] for n, total in enumerate(sums)]
            return sums

        first = [place.read() if adds else code.constant(0.0) for place in to]
        for place, total in zip(to, code.sums(steps, first, step), strict=True):
            place.write(total)

    def tiles(row: Number, height: int) -> None:
        code.tiles(others, across, lambda column, width: tile(row, height, column, width))

    code.tiles(rows, down, tiles)
    code.done()
    return code


def _add_outer(left: Sequence[Vector], row: Place, sums: Sequence[Vector], vectors: int) -> list[Vector]:
    """Add a column times a row to the tile of sums."""
    right = [(row + m * row.lanes).read() for m in range(vectors)]
    return [total + left[n // vectors] * right[n % vectors] for n, total in enumerate(sums)]
