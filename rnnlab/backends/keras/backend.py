"""The backend itself: light to import; Keras comes with the first model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from rnnlab.backends.base import AbstractBackend, AbstractModel, Network, Training


class KerasBackend(AbstractBackend):
    """Builds Keras models, on TensorFlow."""

    name = "keras"

    @contextmanager
    def running(self) -> Iterator[None]:
        """TensorFlow keeps its own threads: nothing to set."""
        yield

    def build(
        self, network: Network, *, parameters: Mapping[str, NDArray[Any]], training: Training | None = None
    ) -> AbstractModel:
        from rnnlab.backends.keras.engine import start

        start()
        from rnnlab.backends.keras.model import KerasModel

        return KerasModel(network, training, parameters=parameters)
