"""`backend: numpy`."""

from typing import final

from rnnlab.backends.numpy.model import NumpyOptions
from rnnlab.bench.contenders._numpy import AbstractNumpy


@final
class Numpy(AbstractNumpy):
    """Pure NumPy."""

    packages = ("numpy",)
    install = "pip install numpy"
    setting = "backend numpy"
    options = NumpyOptions()


CONTENDER = Numpy
