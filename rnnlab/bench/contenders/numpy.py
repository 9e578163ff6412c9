"""`backend: numpy`, in pure NumPy and compiled."""

from collections.abc import Callable
from typing import ClassVar, final

import numpy as np
from threadpoolctl import threadpool_info

from rnnlab.backends.numpy.model import NumpyBackend, NumpyOptions
from rnnlab.bench.contenders.base import AbstractOwn
from rnnlab.bench.work import Array, Work


class AbstractNumpy(AbstractOwn):
    """Hand-written back-propagation; it has as many threads as processors it may run on.

    Attributes:
        options: The `numpy` block of a config.
    """

    options: ClassVar[NumpyOptions]

    def __init__(self, work: Work, *, engine: str = "", threads: int = 1) -> None:
        super().__init__(NumpyBackend(options=self.options), work, engine=engine, threads=threads)

    def product(self, matrix: Array) -> Callable[[], object]:
        return lambda: np.dot(matrix, matrix)

    def kernels(self) -> str:
        blas = [one for one in threadpool_info() if one["user_api"] == "blas"]
        return ", ".join(
            f"{one['internal_api']} {one['version']} {one.get('architecture', '')}".strip() for one in blas
        )


@final
class Numpy(AbstractNumpy):
    """Pure NumPy."""

    options = NumpyOptions()


@final
class Compiled(AbstractNumpy):
    """`numpy: {compiled: true}`: the steps are machine code."""

    options = NumpyOptions(compiled=True)
