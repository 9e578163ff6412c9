"""The contender contract: one training step, written for one library. And rnnlab's own backends, `numpy` first."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, final

from threadpoolctl import threadpool_info

from rnnlab.backends.base import AbstractBackend
from rnnlab.backends.numpy import NumpyBackend, NumpyOptions
from rnnlab.bench.work import Array, Figures, Work


class AbstractContender(ABC):
    """A network and a batch, ready to train: it starts from the work's parameters.

    Attributes:
        calls: Training steps per call of `step`.
    """

    calls: ClassVar[int] = 1

    def __init__(self, work: Work, *, engine: str = "", threads: int = 1) -> None:
        self.work, self.engine, self.threads = work, engine, threads

    @abstractmethod
    def step(self) -> None:
        """Train on the batch, and return when that is done."""

    @abstractmethod
    def figures(self) -> Figures:
        """Return loss and gradients at the present parameters."""

    @abstractmethod
    def tensor(self, matrix: Array) -> Any:
        """Return a matrix as one of the contender's library, which can be multiplied with `@`."""

    def running(self) -> AbstractContextManager[None]:
        """Return the context in which it trains."""
        return nullcontext()

    def kernels(self) -> str:
        """Return which code its library runs on this processor, or its GPU; empty if unknown."""
        return ""

    def devices(self) -> list[str]:
        """Return the devices that its library computes on; `cpu` is in the name of each that is no GPU."""
        return ["cpu"]


class AbstractOwn(AbstractContender):
    """A backend of rnnlab as `rnnlab train` runs it: batches are NumPy arrays, and so are the results."""

    def __init__(self, work: Work, *, engine: str = "", threads: int = 1) -> None:
        super().__init__(work, engine=engine, threads=threads)
        self._backend, self._batch = self._make(), work.batch()
        self._model = self._backend.build(work.network(), parameters=work.parameters(), training=work.training())

    @abstractmethod
    def _make(self) -> AbstractBackend:
        """Return the backend."""

    def step(self) -> None:
        self._model.train_step(self._batch)

    def figures(self) -> Figures:
        return Figures(*self._model.loss_and_gradients(self._batch))

    def running(self) -> AbstractContextManager[None]:
        return self._backend.running()


class AbstractNumpy(AbstractOwn):
    """`backend: numpy` with a `numpy` block; it has as many threads as processors it may run on."""

    options: ClassVar[NumpyOptions]

    def _make(self) -> AbstractBackend:
        return NumpyBackend(options=self.options)

    def tensor(self, matrix: Array) -> Any:
        return matrix

    def kernels(self) -> str:
        blas = [one for one in threadpool_info() if one["user_api"] == "blas"]
        return ", ".join(f"{b['internal_api']} {b['version']} {b.get('architecture', '')}".strip() for b in blas)


@final
class Numpy(AbstractNumpy):
    """Pure NumPy, back-propagation by hand."""

    options = NumpyOptions()


@final
class Compiled(AbstractNumpy):
    """`numpy: {compiled: true}`: the steps are machine code."""

    options = NumpyOptions(compiled=True)
