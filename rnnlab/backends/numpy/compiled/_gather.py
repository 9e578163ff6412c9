"""Products of rows with other rows over all steps of a chunk: the gradients of the weights.

    c (M, K) += a (M, N) · b (K, N)ᵀ

As in `_product`, a tile of c stays in registers while all of N goes by: here as vectors of partial sums.
"""

from collections.abc import Sequence

from llvmlite import ir

from rnnlab.backends.numpy.compiled._code import Code, Number, Vector

_SIDE = 4  # rows of a tile, and columns


def gather(module: ir.Module, name: str, *, rows: int, others: int, precision: str) -> Code:
    """Return the function (a, b, c; row stride of a, row stride of b, N) for M = `rows` and K = `others`.

    N is a multiple of a vector's lanes; c is (M, K), contiguous.
    """
    code = Code(module, f"gather {name}", places=3, numbers=3, precision=precision)
    code.function.linkage = "internal"
    a, b, c = code.places
    of_a, of_b, columns = code.numbers

    def tile(n: Number, m: Number, height: int, width: int) -> None:
        at, places = (a + of_a * n, b + of_b * m), [(k, j) for k in range(height) for j in range(width)]

        def add(column: Number, sums: Sequence[Vector]) -> Sequence[Vector]:
            left = [(at[0] + of_a * k + column).read() for k in range(height)]
            right = [(at[1] + of_b * k + column).read() for k in range(width)]
            return [total + left[k] * right[j] for (k, j), total in zip(places, sums, strict=True)]

        for (k, j), total in zip(places, code.sums(columns, len(places), add, step=code.lanes), strict=True):
            (c + (n + k) * others + m + j).add_all(total)

    code.tiles(rows, _SIDE, lambda n, height: code.tiles(others, _SIDE, lambda m, width: tile(n, m, height, width)))
    code.done()
    return code
