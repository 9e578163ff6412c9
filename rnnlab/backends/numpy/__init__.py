"""The NumPy backend: hand-written back-propagation through time, readable in `reference`, fast in `fast/`."""

from rnnlab.backends.numpy.model import NumpyBackend

BACKEND = NumpyBackend
