"""`backend: keras`, on each of its engines."""

from collections.abc import Callable
from typing import final

from rnnlab.backends.keras.backend import KerasBackend
from rnnlab.backends.keras.engines import ENGINES
from rnnlab.bench.contenders._keras import product
from rnnlab.bench.contenders._own import AbstractOwn
from rnnlab.bench.contenders.base import Array
from rnnlab.bench.work import Work


@final
class Keras(AbstractOwn):
    """The whole sequence with a gradient of its own, as `keras: {path: auto}` chooses."""

    packages = ("keras",)
    install = "pip install 'rnnlab[jax,torch]'"
    setting = "backend keras"
    engines = tuple(ENGINES.names())

    def __init__(self, work: Work, *, engine: str, threads: int = 1) -> None:
        super().__init__(work, engine=engine, threads=threads)
        self._backend = KerasBackend(engine=engine)

    def product(self, matrix: Array) -> Callable[[], object]:
        return product(matrix)


CONTENDER = Keras
