"""rnnlab's own backends, through the contract that a training uses."""

from contextlib import AbstractContextManager

from rnnlab.backends.base import AbstractBackend
from rnnlab.bench.checking import Figures
from rnnlab.bench.contenders.base import AbstractContender
from rnnlab.bench.work import Work
from rnnlab.cells import CELLS


class AbstractOwn(AbstractContender):
    """A backend as `rnnlab train` runs it: batches come as NumPy arrays, outputs go back as such."""

    framework = ""
    _backend: AbstractBackend

    @classmethod
    def suits(cls, work: Work) -> bool:
        return work.cell.type in CELLS.names()

    def build(self) -> None:
        self._batch = self.work.batch()
        self._model = self._backend.build(
            self.work.network(), parameters=self.work.parameters(), training=self.work.training()
        )

    def step(self) -> None:
        self._model.train_step(self._batch)

    def figures(self) -> Figures:
        return Figures(*self._model.loss_and_gradients(self._batch))

    def running(self) -> AbstractContextManager[None]:
        return self._backend.running()
