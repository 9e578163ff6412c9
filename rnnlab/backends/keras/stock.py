"""The layers of Keras itself that compute what a cell computes, for those cells that have one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import keras
import numpy as np

from rnnlab.backends.base import Network
from rnnlab.backends.keras.layers import EquationRNN
from rnnlab.cells.base import AbstractCell
from rnnlab.core.batch import Array

Tensor = Any
ops = keras.ops
_HEAD = ("head.W", "head.b", "head.V")  # in the order of the output layer's weights


@final
@dataclass(frozen=True)
class _Stock:
    """A layer of Keras."""

    layer: str  # its class in `keras.layers`
    options: tuple[str, ...]  # those of the cell that are its arguments too
    weights: tuple[list[str], ...]  # for each of its weights, which parameters lie side by side there
    second: tuple[str, ...] = ()  # the names of a second row of the last of them; zeros where one is empty


def _stock(cell: AbstractCell) -> _Stock | None:
    gated = ("activation", "recurrent_activation")
    if cell.name == "simple":
        return _Stock("SimpleRNN", ("activation",), (["W"], ["U"], ["b"]))
    if cell.name == "lstm":
        return _Stock("LSTM", gated, tuple([f"{letter}{gate}" for gate in "ifgo"] for letter in "WUb"))
    if cell.name == "gru":  # after a reset Keras adds a second bias of every gate, of which one matters
        second = ("", "", "bhn") if cell.options.model_dump()["reset_after"] else ()
        weights = tuple([f"{letter}{gate}" for gate in "zrn"] for letter in "WUb")
        return _Stock("GRU", (*gated, "reset_after"), weights, second)
    return None


def has_stock_layer(cell: AbstractCell) -> bool:
    """Whether Keras itself has a layer that computes this cell."""
    return _stock(cell) is not None


def recurrent_layer(cell: AbstractCell, precision: str, **settings: Any) -> Any:
    """Return a layer that gives the output of every step (B, T, H) and its last states, unless `settings` differ."""
    whole: dict[str, Any] = {"return_sequences": True, "return_state": True, "dtype": precision} | settings
    if stock := _stock(cell):
        kind = getattr(keras.layers, stock.layer)
        return kind(cell.options.units, **cell.options.model_dump(include={*stock.options}), **whole)
    return EquationRNN(cell, **whole)


def keras_weights(network: Network, parameters: Mapping[str, Tensor], *, only_head: bool = False) -> list[Tensor]:
    """Return the weights of the network's Keras layers, in their order, from its parameters by full name.

    With `only_head` they are those of the output layer.
    """
    stock, found = _stock(network.cell), list[Tensor]()
    for layer in range(0 if only_head else network.cell.options.layers):
        own = {name: parameters[f"layers.{layer}.{name}"] for name in network.layer_parameters(layer)}
        found += _packed(stock, own) if stock else own.values()
    return [*found, *(parameters[name] for name in _HEAD if name in parameters)]


def gradients_of(network: Network, of_weights: list[Array]) -> dict[str, Array]:
    """Return the gradients of the network's parameters by full name, from those of its Keras weights."""
    stock, found, rest = _stock(network.cell), dict[str, Array](), iter(of_weights)
    for layer in range(network.cell.options.layers):
        names = stock.weights if stock else [[name] for name in network.layer_parameters(layer)]
        for together in names:
            array = next(rest)
            if stock and stock.second and together is stock.weights[-1]:
                parts = zip(stock.second, np.split(array[1], len(together)), strict=True)
                found |= {f"layers.{layer}.{name}": part for name, part in parts if name}
                array = array[0]
            parts = zip(together, np.split(array, len(together), axis=-1), strict=True)
            found |= {f"layers.{layer}.{name}": part for name, part in parts}
    named = network.parameters()
    return found | dict(zip((name for name in _HEAD if name in named), rest, strict=True))


def _packed(stock: _Stock, own: Mapping[str, Tensor]) -> list[Tensor]:
    found = [ops.concatenate([own[name] for name in names], axis=-1) for names in stock.weights]
    if stock.second:
        first = stock.weights[-1]
        row = [
            own[name] if name else ops.zeros_like(own[above]) for name, above in zip(stock.second, first, strict=True)
        ]
        found[-1] = ops.stack([found[-1], ops.concatenate(row, axis=-1)])
    return found
