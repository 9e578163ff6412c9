"""The Keras backend: real Keras models on TensorFlow, with the parameters, batches and numbers of the NumPy backend.

`CarryCell` and `Carry` are Keras layers of their own: `keras.layers.RNN(CarryCell(64))(x)`. They are imported, and
Keras with them, when first used.
"""

import os
from typing import TYPE_CHECKING, Any

from rnnlab.backends.keras.backend import KerasBackend
from rnnlab.backends.keras.engines import DEFAULT_ENGINE, running_engine, start

if TYPE_CHECKING:
    from rnnlab.backends.keras.layers import Carry as Carry
    from rnnlab.backends.keras.layers import CarryCell as CarryCell

BACKEND = KerasBackend
__all__ = ["BACKEND", "Carry", "CarryCell", "KerasBackend"]


def __getattr__(name: str) -> Any:
    if name in {"Carry", "CarryCell"}:
        start(running_engine() or os.environ.get("KERAS_BACKEND", DEFAULT_ENGINE))
        from rnnlab.backends.keras import layers

        return getattr(layers, name)
    raise AttributeError(f"module 'rnnlab.backends.keras' has no attribute {name!r}")
