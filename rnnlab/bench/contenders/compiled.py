"""`backend: numpy` with `numpy: {compiled: true}`."""

from typing import final

from rnnlab.backends.numpy.compiled import COMPILED
from rnnlab.backends.numpy.model import NumpyOptions
from rnnlab.bench.contenders._numpy import AbstractNumpy
from rnnlab.bench.work import Work


@final
class Compiled(AbstractNumpy):
    """The NumPy backend whose steps are machine code."""

    packages = ("numpy", "llvmlite")
    install = "pip install 'rnnlab[compiled]'"
    setting = "backend numpy, numpy.compiled true"
    options = NumpyOptions(compiled=True)

    @classmethod
    def suits(cls, work: Work) -> bool:
        return work.cell.type in COMPILED.names()


CONTENDER = Compiled
