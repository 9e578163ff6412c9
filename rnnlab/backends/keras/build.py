"""A network's layers in Keras: stock layers where Keras has them, the shelf's equations where it has not."""

from typing import Any

import keras

from rnnlab.backends.base import Network
from rnnlab.backends.keras.layers import Carry, EquationCell
from rnnlab.cells.base import AbstractCell
from rnnlab.cells.carry import CarryOptions

Layer = Any


def recurrent_layer(cell: AbstractCell, precision: str, **settings: Any) -> Layer:
    """Return a layer that gives the output of every step (B, T, H) and its last states, unless `settings` say else.

    Its weights have the order of the cell's own parameters.
    """
    options = cell.options
    whole: dict[str, Any] = {"return_sequences": True, "return_state": True, "dtype": precision} | settings
    if cell.name == "simple":
        return keras.layers.SimpleRNN(options.units, activation=options.activation, **whole)
    if isinstance(options, CarryOptions):
        gates = options.model_dump(include={"activation", "recurrent_activation", "forget_bias"})
        return Carry(options.units, cell_options=gates, **whole)
    return keras.layers.RNN(EquationCell(cell.name, options.model_dump(), dtype=precision), **whole)


def head_layer(network: Network, **settings: Any) -> Layer:
    """Return the linear output layer."""
    return keras.layers.Dense(network.output_features, dtype=network.precision, **settings)


def loss_of(network: Network) -> Any:
    """Return Keras's loss on raw outputs, its mean over rows."""
    losses = {
        "mse": lambda: keras.losses.MeanSquaredError(dtype=network.precision),
        "cross_entropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=network.precision),
        "binary_cross_entropy": lambda: keras.losses.BinaryCrossentropy(from_logits=True, dtype=network.precision),
    }
    return losses[network.loss]()
