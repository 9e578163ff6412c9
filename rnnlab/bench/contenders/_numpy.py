"""The NumPy backend, whichever way its steps are computed."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from rnnlab.backends.numpy.model import NumpyBackend, NumpyOptions
from rnnlab.bench.contenders._own import AbstractOwn
from rnnlab.bench.contenders.base import Array
from rnnlab.bench.work import Work


class AbstractNumpy(AbstractOwn):
    """Hand-written back-propagation; its threads are its own, and follow the affinity.

    Attributes:
        options: What a config says to have it.
    """

    options: ClassVar[NumpyOptions]

    def __init__(self, work: Work, *, engine: str = "", threads: int = 1) -> None:
        super().__init__(work, engine=engine, threads=threads)
        self._backend = NumpyBackend(options=self.options)

    def product(self, matrix: Array) -> Callable[[], object]:
        return lambda: np.dot(matrix, matrix)

    def kernels(self) -> str:
        from threadpoolctl import threadpool_info

        blas = [one for one in threadpool_info() if one["user_api"] == "blas"]
        return ", ".join(
            f"{one['internal_api']} {one['version']} {one.get('architecture', '')}".strip() for one in blas
        )
